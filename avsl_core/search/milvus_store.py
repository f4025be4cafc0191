"""What a gallery in Milvus consists of, and the talk with it: two collections, batches, filters, errors.

Beside the collection of pictures stands a small one that says what it holds and between what limits the gates
lie: Milvus Lite keeps neither descriptions nor properties of a collection.
"""

import base64
import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avsl_core.errors import ConfigError, GalleryError

__all__ = ["LONGEST_TEXT", "MilvusStore", "any_of", "from_text", "to_text"]

LONGEST_TEXT = 65_535  # bytes of a VARCHAR, in every Milvus
_BATCH = 512  # rows per message: about 10 MB where 64 MB are allowed
_NAME, _CLASS, _DIGEST = 4096, 1024, 256  # bytes
_SECONDS = 10.0


class MilvusStore:
    """One gallery's two collections.

    Args:
        uri: Address of a Milvus (``http://host:19530``), or a path ending in ``.db`` for Milvus Lite.
        collection: Name of the collection of pictures.
        token: ``user:password`` or an API key, where the server asks for one.

    Raises:
        ConfigError: If pymilvus is not installed.
        GalleryError: If nothing answers there.
    """

    def __init__(self, uri: str, collection: str, token: str = "") -> None:
        try:
            import pymilvus
        except ImportError as error:
            raise ConfigError(
                "a gallery in Milvus needs pymilvus: pip install pymilvus (and milvus-lite for a .db file)"
            ) from error
        self._pymilvus = pymilvus
        self.uri, self.collection, self._about = uri, collection, f"{collection}_about"
        with self.talk():
            self._client = pymilvus.MilvusClient(uri, token=token, timeout=_SECONDS)

    @contextlib.contextmanager
    def talk(self) -> Iterator[None]:
        """Turn what Milvus complains about into an error of ours."""
        try:
            yield
        except self._pymilvus.MilvusException as error:
            words = " ".join(str(error.message).split())
            if "onnecting to server" in words or "Open local milvus" in words:
                raise GalleryError(
                    f"{self.uri}: no Milvus answers there ({words}); check the address and that it runs"
                ) from error
            raise GalleryError(f"{self.uri}: Milvus could not do it ({words})") from error

    def exists(self) -> bool:
        """Whether there is a collection of that name."""
        with self.talk():
            return bool(self._client.has_collection(self.collection))

    def create(self, width: int, index: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Create both collections, the one that makes a gallery last."""
        kinds = self._pymilvus.DataType
        with self.talk():
            self._client.drop_collection(self._about)  # left over from an interruption, if there
            self._create(
                self._about,
                [("row", kinds.INT64, {}), ("text", kinds.VARCHAR, {"max_length": LONGEST_TEXT})],
                2,  # every collection must have a vector
                {"index_type": "FLAT", "metric_type": "L2"},
            )
            self.write_about({0: json.dumps(about)})
            fields = [("row", kinds.INT64, {}), ("payload", kinds.VARCHAR, {"max_length": LONGEST_TEXT})]
            lengths = {"name": _NAME, "class": _CLASS, "digest": _DIGEST}
            fields += [(name, kinds.VARCHAR, {"max_length": length}) for name, length in lengths.items()]
            self._create(self.collection, fields, width, index)

    def about(self) -> dict[str, Any]:
        """The description.

        Raises:
            GalleryError: If the collection is none of ours.
        """
        with self.talk():
            for name in (self.collection, self._about):
                if self._client.has_collection(name):
                    self._client.load_collection(name)
        text = self.read_about([0]).get(0)
        try:
            described = json.loads(text or "")
        except ValueError:
            described = None
        if not isinstance(described, dict):
            raise GalleryError(
                f"{self.uri}: the collection {self.collection!r} is not a gallery of this library; "
                "use another name"
            )
        return described

    def read_about(self, numbers: Sequence[int]) -> dict[int, str]:
        """Texts of the small collection by number, those that are there."""
        with self.talk():
            if not self._client.has_collection(self._about):
                return {}
            found = self._client.query(self._about, ids=list(numbers), output_fields=["row", "text"])
        return {int(entry["row"]): str(entry["text"]) for entry in found}

    def write_about(self, texts: Mapping[int, str]) -> None:
        """Write texts of the small collection, in one message."""
        rows = [{"row": number, "text": text, "vector": [0.0, 0.0]} for number, text in texts.items()]
        if (longest := max(len(row["text"]) for row in rows)) > LONGEST_TEXT:  # type: ignore[arg-type]
            raise ConfigError(f"{longest:,} characters of gates: Milvus holds {LONGEST_TEXT:,} in one field")
        with self.talk():
            self._client.upsert(self._about, rows)

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, in batches."""
        for row in rows:
            for field, most in (("name", _NAME), ("class", _CLASS), ("digest", _DIGEST)):
                if len(row[field].encode()) > most:
                    raise GalleryError(
                        f"{row[field][:60]}...: longer than {most} bytes, the most for a {field}"
                    )
        with self.talk():
            for start in range(0, len(rows), _BATCH):
                self._client.insert(self.collection, [dict(row) for row in rows[start : start + _BATCH]])

    def nearest(
        self, vectors: Tensor, limit: int, condition: str, parameters: Mapping[str, Any]
    ) -> list[list[tuple[int, float]]]:
        """Ask for the best rows of each query: row number and score, best first."""
        with self.talk():
            answers = self._client.search(
                self.collection,
                data=list(vectors.to(torch.float32).cpu().numpy()),
                anns_field="vector",
                limit=limit,
                filter=condition,
                search_params={"params": dict(parameters)},
                output_fields=["row"],
            )
        return [[(int(hit["row"]), float(hit["distance"])) for hit in hits] for hits in answers]

    def fetch(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Fields of rows by number; a row that is not there is left out."""
        found: dict[int, dict[str, Any]] = {}
        with self.talk():
            for start in range(0, len(rows), _BATCH):
                some = list(rows[start : start + _BATCH])
                for entry in self._client.query(self.collection, ids=some, output_fields=["row", *fields]):
                    found[int(entry["row"])] = dict(entry)
        return found

    def select(self, condition: str, limit: int) -> list[int]:
        """Numbers of some rows that meet a condition."""
        with self.talk():
            found = self._client.query(self.collection, filter=condition, output_fields=["row"], limit=limit)
        return [int(entry["row"]) for entry in found]

    def delete(self, rows: Sequence[int]) -> None:
        """Remove rows by number."""
        with self.talk():
            for start in range(0, len(rows), _BATCH):
                self._client.delete(self.collection, ids=list(rows[start : start + _BATCH]))

    def count(self) -> int:
        """Rows there are."""
        with self.talk():
            found = self._client.query(self.collection, filter="", output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def drop(self) -> None:
        """Delete both collections."""
        with self.talk():
            for name in (self.collection, self._about):
                self._client.drop_collection(name)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _create(
        self,
        name: str,
        fields: Sequence[tuple[str, Any, dict[str, Any]]],
        width: int,
        index: Mapping[str, Any],
    ) -> None:
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        for field, kind, options in fields:
            schema.add_field(field, kind, is_primary=field == "row", **options)
        schema.add_field("vector", self._pymilvus.DataType.FLOAT_VECTOR, dim=width)
        indexes = self._client.prepare_index_params()
        indexes.add_index(field_name="vector", **index)
        # Strong: what was written is found by the next search, also on a cluster.
        self._client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")


def any_of(field: str, values: Collection[str]) -> str:
    """The condition that a field is one of some texts."""
    # Templates are not for Milvus Lite. JSON quotes as its expressions do.
    return f"{field} in [{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"


def to_text(numbers: Tensor) -> str:
    """Numbers as float32 in base64: exact, and shorter than any list of digits."""
    return base64.b64encode(numbers.to(torch.float32).cpu().numpy().astype("<f4").tobytes()).decode("ascii")


def from_text(text: str) -> Tensor:
    """The numbers of :func:`to_text`, ``[n]``."""
    values = np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)
    return torch.from_numpy(values)
