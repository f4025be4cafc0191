"""Galleries that one machine cannot hold: rows in Milvus, exact ranking here.

How the search works is told in :mod:`avsl_core.search.milvus_search`.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, EncodingError, GalleryError
from avsl_core.models import Measure, Rows
from avsl_core.search.milvus_search import Mode, Question, encode_rows, search_exactly, search_fast
from avsl_core.search.milvus_store import LONGEST_TEXT, MilvusStore, any_of, from_text, to_text
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.pairs import check_search
from avsl_core.search.source import MemoryRows, RowSource, gate_limits

__all__ = ["MilvusGallery", "Record"]

_FORMAT, _VERSION = "avsl-gallery", 1
_ABOUT, _LOW, _HIGH, _MEAN = 0, 1, 2, 3  # numbers of texts: the description, and gates
_WIDEST = 32_768  # dimensions of a vector
_INDEX: dict[str, dict[str, Any]] = {
    "exact": {"index_type": "FLAT", "metric_type": "IP", "params": {}},
    "fast": {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 32, "efConstruction": 200}},
}


@dataclass(frozen=True)
class Record:
    """What is kept of a picture beside its row.

    Attributes:
        row: Its number.
        name: Path or any other name.
        digest: Of the file; empty if none was given.
        class_name: Empty if none was given.
    """

    row: int
    name: str
    digest: str
    class_name: str


class MilvusGallery:
    """A gallery in Milvus; the collection is created if it is not there.

    One process may write at a time, any number may search. Milvus Lite locks its file to one process until
    that process ends.

    Args:
        uri: Address of a Milvus (``http://host:19530``), or a path ending in ``.db`` for Milvus Lite, which
            is part of this process.
        collection: Its name: letters, digits and underscores.
        measure: Of the model that makes the rows.
        fingerprint: Of that model's checkpoint; a collection made with another one is refused.
        mode: ``"exact"``, or ``"fast"``: an HNSW index over the vector of the distance at its mean gate,
            with half the width, whose shortlist is measured in full. Fixed when the collection is created.
        token: ``user:password`` or an API key, where the server asks for one.

    Raises:
        ConfigError: If pymilvus is not installed, or Milvus cannot hold rows so wide.
        GalleryError: If nothing answers there, or the collection is no gallery or of another model or mode.
    """

    def __init__(
        self,
        uri: str,
        collection: str,
        measure: Measure,
        *,
        fingerprint: str = "",
        mode: Mode = "exact",
        token: str = "",
    ) -> None:
        if mode not in _INDEX:
            raise ConfigError(f"no mode {mode!r}; known are {', '.join(_INDEX)}")
        self.measure, self.mode = measure.to("cpu"), mode
        self._store = MilvusStore(uri, collection, token)
        about = {
            "format": _FORMAT,
            "version": _VERSION,
            "mode": mode,
            "fingerprint": fingerprint,
            "widths": list(measure.widths),
            "gates": measure.gates,
        }
        if not self._store.exists():
            width = measure.dimensions * (2 if mode == "exact" else 1)
            payload = measure.gates if mode == "exact" else measure.dimensions + measure.gates
            if width > _WIDEST or 4 * -(-4 * payload // 3) > LONGEST_TEXT:
                raise ConfigError(
                    f"rows of {measure.dimensions} numbers and {measure.gates} gates: wider than Milvus holds"
                )
            self._store.create(width, _INDEX[mode], about | {"next": 0})
        self._check(about)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Pictures in the gallery."""
        return self._store.count()

    def close(self) -> None:
        """End the connection."""
        self._store.close()

    def add(
        self,
        source: RowSource,
        names: Sequence[str],
        *,
        classes: Sequence[str] | None = None,
        digests: Sequence[str] | None = None,
    ) -> int:
        """Add all rows of a source but those that were removed from it.

        An interruption leaves some of the pictures; :meth:`remove` their names before adding them again.

        Args:
            source: Rows of the same measure.
            names: One per row of the source.
            classes: One per row, to filter by.
            digests: One per row.

        Returns:
            How many were added.

        Raises:
            ConfigError: If a list has not one entry per row.
            EncodingError: If the rows are not of this measure, or not finite.
            GalleryError: If Milvus cannot take them, or a text is too long.
        """
        for what, given in (("names", names), ("classes", classes), ("digests", digests)):
            if given is not None and len(given) != len(source):
                raise ConfigError(f"{len(given)} {what} for {len(source)} rows: give one each")
        added = 0
        for block in source.blocks():
            kept = torch.arange(block.start, block.stop)
            if source.live is not None:
                kept = kept[source.live[block.start : block.stop].cpu()]
            if len(kept) == 0:
                continue
            rows = source.read(block.start, block.stop)[kept - block.start]
            self._check_rows(rows)
            texts = [
                {
                    "name": names[i],
                    "class": classes[i] if classes else "",
                    "digest": digests[i] if digests else "",
                }
                for i in kept.tolist()
            ]
            self._add(rows, texts)
            added += len(rows)
        return added

    def remove(self, names: Collection[str]) -> int:
        """Remove all pictures of some names, and say how many that were."""
        removed, waiting = 0, list(names)
        for start in range(0, len(waiting), 100):
            condition = any_of("name", waiting[start : start + 100])
            while rows := self._store.select(condition, 1000):
                self._store.delete(rows)
                removed += len(rows)
        return removed

    def records(self, rows: Tensor | Sequence[int]) -> list[Record | None]:
        """Names and classes by row number, None where there is no such row."""
        numbers = [int(row) for row in (rows.flatten().tolist() if isinstance(rows, Tensor) else rows)]
        found = self._store.fetch(sorted({n for n in numbers if n >= 0}), ["name", "digest", "class"])
        return [
            Record(n, found[n]["name"], found[n]["digest"], found[n]["class"]) if n in found else None
            for n in numbers
        ]

    @torch.inference_mode()
    def search(
        self,
        queries: Rows,
        k: int,
        *,
        part_weights: Sequence[float] | None = None,
        classes: Collection[str] | None = None,
        names: Collection[str] | None = None,
        exclude: Tensor | None = None,
    ) -> Neighbours:
        """Find each query's k nearest pictures.

        In mode ``"fast"`` neighbours may be missed, with unequal weights most of all: the index knows the
        whole distance only.

        Args:
            queries: Q rows of the same measure.
            k: How many; more than there are leaves places empty.
            part_weights: What each part of the distance counts in the order, as in exact search.
            classes: Only pictures of these; all when None.
            names: Only pictures of these names; all when None.
            exclude: ``[Q]`` int64, one row that each query must not find; -1 for none.

        Returns:
            The neighbours: in mode ``"exact"`` the same as from measuring all pairs. ``bounded`` counts the
            rows that Milvus answered with.

        Raises:
            ConfigError: If an argument is out of range or of the wrong shape.
            EncodingError: If the queries are not of this measure, or not finite.
            GalleryError: If Milvus fails.
        """
        queries = queries.to("cpu").to(torch.float32)
        nothing = MemoryRows(queries[:0])  # no rows here to filter: Milvus does that
        check_search(self.measure, nothing, queries, k, part_weights, None, exclude)
        texts = self._store.read_about([_ABOUT, _LOW, _HIGH, _MEAN])
        filters = {"class": classes, "name": names}
        if _LOW not in texts or any(values is not None and not values for values in filters.values()):
            return Neighbours.empty(len(queries), k, len(self.measure.parts))
        question = Question(
            self._store,
            self.measure,
            k,
            None if part_weights is None else tuple(float(weight) for weight in part_weights),
            " and ".join(any_of(field, values) for field, values in filters.items() if values is not None),
            exclude,
        )
        if self.mode == "fast":
            return search_fast(question, queries, from_text(texts[_MEAN]))
        stop = int(json.loads(texts[_ABOUT])["next"])
        return search_exactly(question, queries, from_text(texts[_LOW]), from_text(texts[_HIGH]), stop)

    def drop(self) -> None:
        """Delete the whole gallery from Milvus."""
        self._store.drop()

    def _check(self, wanted: dict[str, Any]) -> None:
        """Refuse a collection that was made for something else."""
        about, where = self._store.about(), f"{self._store.uri}: the collection {self._store.collection!r}"
        if about.get("format") != _FORMAT or about.get("version") != _VERSION:
            raise GalleryError(f"{where} is not a gallery of this version of the library; use another name")
        if about.get("fingerprint") != wanted["fingerprint"]:
            raise GalleryError(f"{where} was made with another checkpoint; use that one, or another name")
        if (about.get("widths"), about.get("gates")) != (wanted["widths"], wanted["gates"]):
            raise GalleryError(f"{where} holds rows of other widths; use its checkpoint, or another name")
        if about.get("mode") != self.mode:
            raise GalleryError(f"{where} is in mode {about.get('mode')!r}, which is fixed; open it so")

    def _add(self, rows: Rows, texts: Sequence[dict[str, str]]) -> None:
        """Insert rows, after room has been made for their gates: the limits hold at any moment."""
        known = self._store.read_about([_ABOUT, _LOW, _HIGH, _MEAN])
        low, high = gate_limits(rows.gates)
        if _LOW in known:
            low = torch.minimum(low, from_text(known[_LOW]))
            high = torch.maximum(high, from_text(known[_HIGH]))
        about = json.loads(known[_ABOUT])
        first = int(about["next"])
        widened = {_ABOUT: json.dumps(about | {"next": first + len(rows)})}
        widened |= {_LOW: to_text(low), _HIGH: to_text(high)}
        if _MEAN not in known:
            known[_MEAN] = widened[_MEAN] = to_text(rows.gates.mean(dim=0))
        self._store.write_about(widened)
        vectors, payload = encode_rows(self.measure, rows, self.mode, from_text(known[_MEAN]))
        self._store.insert(
            [
                {"row": first + i, "vector": vectors[i].numpy(), "payload": to_text(payload[i])} | texts[i]
                for i in range(len(rows))
            ]
        )

    def _check_rows(self, rows: Rows) -> None:
        self.measure.check(rows)
        if not (rows.vectors.isfinite().all() and rows.gates.isfinite().all()):
            raise EncodingError("a row holds numbers that are not finite; check that picture and the model")
