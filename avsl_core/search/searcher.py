"""Search a gallery by picture: the one object behind the command line and the app."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import EncodedPicture, encode_picture
from avsl_core.errors import ConfigError, GalleryError
from avsl_core.gallery import Gallery, Item
from avsl_core.images import ImageSource
from avsl_core.models import Rows
from avsl_core.search.exact import ExactSearch
from avsl_core.search.fast import FastIndex, open_fast
from avsl_core.search.neighbours import Neighbours

__all__ = ["Hit", "Mode", "SearchResult", "Searcher"]

Mode = Literal["exact", "fast"]

_SAMPLE = 512  # pairs from which the typical distance is taken


@dataclass(frozen=True, eq=False)
class Hit:
    """One neighbour.

    Attributes:
        item: The picture found.
        distance: The model's distance.
        score: What the order is by: the distance, or its parts as weighted by the search.
        parts: The distance's parts by name.
        decided_by: The part that brings the pair closest compared with a typical pair of the gallery: where
            the typical part exceeds this one by most.
    """

    item: Item
    distance: float
    score: float
    parts: Mapping[str, float]
    decided_by: str


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Neighbours and what they rest on.

    Attributes:
        hits: Nearest first.
        mode: How they were found.
        verified: Pairs whose distance was computed in full.
        searched: Pictures that could have been found.
        seconds: Time of the search, without encoding.
        recall: Of ``fast``: the share of true neighbours that it finds, as measured when its index was built.
    """

    hits: tuple[Hit, ...]
    mode: Mode
    verified: int
    searched: int
    seconds: float
    recall: float | None = None


class Searcher:
    """Finds a picture's neighbours in a gallery and says which part of the distance decided.

    Safe to share between threads.

    Args:
        checkpoint: The one that made the gallery.
        gallery: Where to search.
        memory: Bytes of prepared rows to keep.

    Raises:
        GalleryError: If the gallery was made by another checkpoint, or holds no picture.
    """

    def __init__(self, checkpoint: Checkpoint, gallery: Gallery, *, memory: int = 2 * 2**30) -> None:
        gallery.check(checkpoint)
        if gallery.count == 0:
            raise GalleryError(f"{gallery.path}: holds no picture; add some with `index`")
        self.checkpoint, self.gallery = checkpoint, gallery
        self.measure = checkpoint.model.measure()
        self.exact = ExactSearch(self.measure, gallery, device=checkpoint.model.device, memory=memory)
        self.fast: FastIndex | None = None
        self._fast_trouble = (
            f"{gallery.path}: has no fast index of its present contents; run `index` with --fast, "
            "or search with mode exact"
        )
        try:
            self.fast = open_fast(gallery, self.measure, exact=self.exact)
        except GalleryError as error:  # exact search does not need it
            self._fast_trouble = str(error)
        self.typical = MappingProxyType(_typical_parts(self.exact, gallery))

    def search(
        self,
        picture: ImageSource | EncodedPicture,
        k: int = 10,
        *,
        mode: Mode = "exact",
        weights: Mapping[str, float] | None = None,
        classes: Sequence[str] | None = None,
    ) -> SearchResult:
        """Find the neighbours of a picture that need not be in the gallery.

        Args:
            picture: To be encoded, or encoded by this checkpoint.
            k: How many neighbours.
            mode: ``"exact"``, or ``"fast"``, which needs an index.
            weights: What each part of the distance counts in the order, by name; those left out count
                nothing. The distance itself when None.
            classes: Only pictures of these classes; all when None.

        Raises:
            ImageError: If the picture cannot be read.
            ConfigError: If k, the mode, a weight or a class does not exist.
            GalleryError: If the mode is fast and the gallery has no index that is up to date.
        """
        if not isinstance(picture, EncodedPicture):
            picture = encode_picture(self.checkpoint, picture)
        return self._search(
            self.checkpoint.model.rows(picture.encoding, "query"), k, mode, weights, classes, None
        )

    def search_row(
        self,
        row: int,
        k: int = 10,
        *,
        mode: Mode = "exact",
        weights: Mapping[str, float] | None = None,
        classes: Sequence[str] | None = None,
    ) -> SearchResult:
        """Find the neighbours of a picture of the gallery, itself left out; as :meth:`search`."""
        self.gallery.item(row)
        query = self.gallery.gather(torch.tensor([row]))
        return self._search(query, k, mode, weights, classes, torch.tensor([row]))

    @property
    def recall(self) -> float | None:
        """Share of true neighbours that ``fast`` finds, as measured when its index was built."""
        measured = None if self.fast is None else self.fast.recall
        return None if measured is None else measured.value

    def part_weights(self, weights: Mapping[str, float] | None) -> list[float] | None:
        """Weights by name as a list in the parts' order.

        Raises:
            ConfigError: If a name is no part of the distance.
        """
        if weights is None:
            return None
        unknown = next((name for name in weights if name not in self.measure.parts), None)
        if unknown is not None:
            raise ConfigError(
                f"no part {unknown!r} of the distance; there are {', '.join(self.measure.parts)}"
            )
        return [float(weights.get(name, 0.0)) for name in self.measure.parts]

    def allowed(self, classes: Sequence[str] | None) -> Tensor | None:
        """Which rows are of some classes, ``[N]`` bool; None for all.

        Raises:
            ConfigError: If the gallery has no such class.
        """
        if classes is None:
            return None
        known = {name: code for code, name in enumerate(self.gallery.classes)}
        unknown = next((name for name in classes if name not in known), None)
        if unknown is not None:
            raise ConfigError(f"{self.gallery.path}: has no class {unknown!r}")
        codes = torch.tensor([known[name] for name in classes], dtype=torch.int64)
        return torch.isin(torch.as_tensor(self.gallery.class_codes).long(), codes)

    def _search(
        self,
        query: Rows,
        k: int,
        mode: Mode,
        weights: Mapping[str, float] | None,
        classes: Sequence[str] | None,
        exclude: Tensor | None,
    ) -> SearchResult:
        part_weights, allowed = self.part_weights(weights), self.allowed(classes)
        engine = self._engine(mode)
        started = time.perf_counter()
        found = engine.search(query, k, part_weights=part_weights, allowed=allowed, exclude=exclude)
        seconds = time.perf_counter() - started
        live = self.gallery.live
        if allowed is None:
            searched = self.gallery.count
        else:
            searched = int((allowed if live is None else allowed & live).sum())
        if exclude is not None and all(rows is None or bool(rows[exclude]) for rows in (allowed, live)):
            searched -= 1
        return SearchResult(
            hits=self._hits(found, part_weights),
            mode=mode,
            verified=int(found.verified[0]),
            searched=searched,
            seconds=seconds,
            recall=self.recall if mode == "fast" else None,
        )

    def _engine(self, mode: Mode) -> ExactSearch | FastIndex:
        if mode not in get_args(Mode):
            raise ConfigError(f"mode {mode!r}: use exact or fast")
        if mode == "exact":
            return self.exact
        if self.fast is None:
            raise GalleryError(self._fast_trouble)
        return self.fast

    def _hits(self, found: Neighbours, part_weights: Sequence[float] | None) -> tuple[Hit, ...]:
        names = self.measure.parts
        counts = part_weights or [1.0] * len(names)
        rows = zip(found.rows[0].tolist(), found.distances[0].tolist(), found.parts[0].tolist(), strict=True)
        hits = []
        for row, score, values in rows:
            if row < 0:
                break
            parts = dict(zip(names, values, strict=True))
            saved = {
                name: weight * (self.typical[name] - parts[name])
                for name, weight in zip(names, counts, strict=True)
                if weight > 0
            }
            hits.append(
                Hit(
                    item=self.gallery.item(row),
                    distance=score if part_weights is None else sum(values),
                    score=score,
                    parts=MappingProxyType(parts),
                    decided_by=max(saved, key=lambda name: saved[name]),
                )
            )
        return tuple(hits)


@torch.inference_mode()
def _typical_parts(search: ExactSearch, gallery: Gallery) -> dict[str, float]:
    """Mean parts over pairs of live pictures drawn with a fixed seed."""
    live = torch.arange(len(gallery)) if gallery.live is None else gallery.live.nonzero()[:, 0]
    generator = torch.Generator().manual_seed(0)
    first = live[torch.randint(len(live), (_SAMPLE,), generator=generator)]
    second = live[torch.randint(len(live), (_SAMPLE,), generator=generator)]
    measure = search.measure.to("cpu")
    different = first != second
    if not bool(different.any()):
        return dict.fromkeys(measure.parts, 0.0)
    pairs = measure.part_distances(gallery.gather(first[different]), gallery.gather(second[different]))
    return dict(zip(measure.parts, pairs.mean(dim=0).tolist(), strict=True))
