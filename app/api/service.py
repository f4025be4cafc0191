"""What programs may ask for: plain functions over the app's models and galleries, without any protocol.

Every answer is a frozen value of :mod:`app.api.answers`; every refusal an error of the library's family,
which :mod:`app.api.errors` turns into words. Pictures come as files of ours: the doors see to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.api import answers
from app.api.errors import RequestError
from app.compare.takeaway import TakenAway, reported, shown_names, take_away
from app.explore.shelf import OpenGallery, Shelf, calling
from app.look.printable import printable
from app.work.keep import Keep
from app.work.models import Models
from app.work.workbench import PictureFile, Workbench
from avsl_core.comparison import Comparison
from avsl_core.explain.levels import component_titles
from avsl_core.explain.region import Side, counterpart, coverage_of
from avsl_core.images.paint import Fill
from avsl_core.many import FEWEST, MOST, compare_many
from avsl_core.models import Component
from avsl_core.search.searcher import Hit, SearchResult
from avsl_core.whatif import what_if

__all__ = ["Fraction", "Regions", "ReportKind", "Service", "ServiceLimits"]

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""Of the width or height of the square that the model saw."""

ReportKind = Literal["html", "png", "json"]
"""A page to read and print, one picture, or every number."""

Regions = Annotated[
    list[Annotated[list[Fraction], Field(min_length=4, max_length=4)]], Field(min_length=1, max_length=16)
]
"""Rectangles: x, y, width and height each."""

_KINDS: dict[ReportKind, str] = {"html": "report", "png": "sheet", "json": "record"}


@dataclass(frozen=True)
class ServiceLimits:
    """How much one request may ask for.

    Attributes:
        pictures: Compared with one another in one request.
        neighbours: Found in one request.
        picture_bytes: Of one picture.
        request_bytes: Of a whole request.
    """

    pictures: int = MOST
    neighbours: int = 100
    picture_bytes: int = 64 * 2**20
    request_bytes: int = 256 * 2**20


class Service:
    """Answers the requests of programs. Safe to share between threads.

    It keeps no pictures but those of :meth:`keep_picture`; the models' workbenches remember the latest
    encodings and comparisons by content, as they do for the pages.

    Args:
        models: What compares.
        shelf: The galleries.
        keep: Where pictures lie that were given before; None keeps none.
        limits: How much one request may ask for.
    """

    def __init__(
        self, models: Models, shelf: Shelf, *, keep: Keep | None = None, limits: ServiceLimits | None = None
    ) -> None:
        self.models_here, self.shelf, self.keep = models, shelf, keep
        self.limits = limits or ServiceLimits()

    def models(self) -> answers.ModelList:
        """The models that may be asked for."""
        own = self.models_here.name(self.models_here.default)
        return answers.ModelList(
            [
                answers.Model(entry.name, entry.method, entry.title, entry.words.shows, entry.name == own)
                for entry in self.models_here.entries
            ]
        )

    def galleries(self) -> answers.GalleryList:
        """The galleries that may be searched."""
        titles = self.shelf.titles()
        return answers.GalleryList(
            [answers.GalleryEntry(printable(key), printable(title)) for key, title in titles.items()]
        )

    def keep_picture(self, picture: PictureFile) -> answers.Kept:
        """Keep a picture for some hours, so that tools can be given its key.

        Raises:
            ImageError: If it cannot be read.
            RequestError: If nothing is kept here.
            KeptError: If there is no room.
        """
        if self.keep is None:
            raise RequestError("unsupported", "pictures are not kept here; send them as data: addresses")
        self.models_here.default.check(picture)
        return answers.Kept(self.keep.put(picture), printable(picture.name), self.keep.hours)

    def compare(
        self, a: PictureFile, b: PictureFile, model: str = "", *, maps: bool = False
    ) -> answers.Compared:
        """How far apart two pictures look, and what that is made of.

        Args:
            a: First picture.
            b: Second picture.
            model: A model's name, or a method's; empty for the app's own.
            maps: Whether to give each part's map over both pictures.

        Raises:
            ImageError: If a picture cannot be read.
            RequestError: If there is no such model.
            CheckpointError: If the model is damaged.
            BusyError: If the model has too much to do; as in all that follow.
        """
        bench = self._bench(model)
        return self._compared(bench.compare(a, b), bench, a, b, maps=maps)

    def compare_many(self, pictures: Sequence[PictureFile], model: str = "") -> answers.ComparedMany:
        """The distances between all of several pictures, each from and to each.

        Args:
            pictures: Two or more, at most as many as the limits say.
            model: A model's name, or a method's; empty for the app's own.

        Raises:
            ImageError: If a picture cannot be read.
            RequestError: If there are too few or too many pictures, or no such model.
            CheckpointError: If the model is damaged.
        """
        self.check_count(len(pictures))
        bench = self._bench(model)
        encoded, limit = [], bench.turnstile.deadline()
        for file in pictures:
            limit.check()
            encoded.append(bench.encode(file)[1])
        with bench.turnstile.turn():
            found = compare_many(bench.checkpoint, encoded)
        names = [printable(file.name) for file in pictures]
        return answers.ComparedMany(
            *self._model(bench), names, found.distances.tolist(), found.symmetric, list(found.order)
        )

    def check_count(self, count: int) -> None:
        """Refuse too few or too many pictures, before they are read.

        Raises:
            RequestError: If there are.
        """
        most = self.limits.pictures
        if not FEWEST <= count <= most:
            raise RequestError("invalid_request", f"pictures: {count} given; give {FEWEST} to {most}")

    def search(self, gallery: str, picture: PictureFile, k: int = 10) -> answers.Searched:
        """The pictures of a gallery that look most like a given one; exact.

        Args:
            gallery: Its key.
            picture: What to look for.
            k: How many to find, at least 1; a gallery with fewer gives all it has.

        Raises:
            ImageError: If the picture cannot be read.
            RequestError: If there is no such gallery, or k is out of range.
            GalleryError: If the gallery is damaged or not ready.
            CheckpointError: If its model is damaged.
        """
        most = self.limits.neighbours
        if not 1 <= k <= most:
            raise RequestError("invalid_request", f"k: {k} is out of range; give 1 to {most}")
        opened = self._open(gallery)
        _, encoded = opened.bench.encode(picture)
        with calling(opened.gallery.path, opened.title), opened.bench.turnstile.turn():
            result = opened.searcher.search(encoded, min(k, opened.gallery.count))
        return self._searched(gallery, picture, opened, result)

    def region(
        self, a: PictureFile, b: PictureFile, box: answers.Box, side: Side = "a", model: str = ""
    ) -> answers.RegionAnswer:
        """What a region of one picture comes to, and where in the other its counterpart lies.

        Args:
            a: First picture.
            b: Second picture.
            box: The region, on the square that the model saw.
            side: On which picture.
            model: A model's name, or a method's; empty for the app's own.

        Raises:
            ImageError: If a picture cannot be read.
            RequestError: If there is no such model.
            ConfigError: If the region covers nothing, or the method does not know which cells are alike.
        """
        bench = self._bench(model)
        explanation = bench.compare(a, b).explanation
        likeness = explanation.likeness
        if likeness is None:
            raise RequestError("unsupported", "this model does not know which cells are alike; name another")
        grid, other = likeness.grid_a, likeness.grid_b
        if side == "b":
            grid, other = other, grid
        found = counterpart(explanation, coverage_of(grid, box.x, box.y, box.width, box.height), side)
        row, column = divmod(int(found.map.argmax()), other[1])
        best = answers.Box(column / other[1], row / other[0], 1 / other[1], 1 / other[0])
        return answers.RegionAnswer(
            *self._model(bench), side, found.value, found.share, found.distance, best, found.map.tolist()
        )

    def what_if(
        self,
        a: PictureFile,
        b: PictureFile,
        side: Side,
        regions: Sequence[answers.Box],
        model: str = "",
        *,
        fill: Fill = "surroundings",
    ) -> answers.WhatIfAnswer:
        """How far apart two pictures would be if a part of one were not there.

        Args:
            a: First picture.
            b: Second picture.
            side: On which picture to paint.
            regions: What to paint over, on the square that the model saw.
            model: A model's name, or a method's; empty for the app's own.
            fill: What lies there afterwards.

        Raises:
            ImageError: If a picture cannot be read.
            RequestError: If there is no such model.
            ConfigError: If the regions cover nothing or everything.
        """
        bench = self._bench(model)
        comparison = bench.compare(a, b)
        mask = _painted(comparison, side, regions)
        with bench.turnstile.turn():
            found = what_if(
                bench.checkpoint,
                comparison.a,
                comparison.b,
                side,
                mask,
                fill=fill,
                explanation=comparison.explanation,
            )
        return answers.WhatIfAnswer(
            *self._model(bench),
            side,
            found.covered,
            found.distance,
            found.painted,
            found.change,
            found.predicted,
            found.attributed,
        )

    def report(self, a: PictureFile, b: PictureFile, model: str = "", kind: ReportKind = "html") -> TakenAway:
        """A whole comparison as one file, the same that the Compare page gives to take away.

        Args:
            a: First picture.
            b: Second picture.
            model: A model's name, or a method's; empty for the app's own.
            kind: A page, a picture or the numbers.

        Raises:
            ImageError: If a picture cannot be read.
            RequestError: If there is no such model.
            CheckpointError: If the model is damaged.
        """
        bench = self._bench(model)
        account = reported(self.models_here, bench, bench.compare(a, b))
        with bench.turnstile.turn():
            return take_away(_KINDS[kind], [account], shown_names(a, b))

    def _bench(self, model: str) -> Workbench:
        models = self.models_here
        if not model:
            return models.default
        if model in models.names:
            return models.named(model)
        of_method = next((entry.name for entry in models.entries if entry.method == model), None)
        if of_method is None:
            names = ", ".join(models.names)
            raise RequestError("unknown_model", f"{_shown(model)}: no such model here; there are {names}")
        return models.named(of_method)

    def _open(self, key: str) -> OpenGallery:
        titles = self.shelf.titles()
        if key not in titles:
            keys = ", ".join(titles) or "none yet"
            raise RequestError("unknown_gallery", f"{_shown(key)}: no such gallery here; there are {keys}")
        return self.shelf.open(key)

    def _model(self, bench: Workbench) -> tuple[str, str]:
        entry = self.models_here.entry(bench)
        return entry.name, entry.method

    def _compared(
        self, comparison: Comparison, bench: Workbench, a: PictureFile, b: PictureFile, *, maps: bool
    ) -> answers.Compared:
        explanation, verdict = comparison.explanation, comparison.verdict
        titles, shares = component_titles(explanation), explanation.shares()
        components = [
            _component(component, titles[component.name], shares[component.name], maps=maps)
            for component in explanation.components
        ]
        return answers.Compared(
            *self._model(bench),
            printable(a.name),
            printable(b.name),
            comparison.distance,
            answers.VerdictWords(verdict.words, verdict.sentence, verdict.grade),
            components,
            explanation.residual,
            explanation.exact,
        )

    def _searched(
        self, key: str, picture: PictureFile, opened: OpenGallery, result: SearchResult
    ) -> answers.Searched:
        neighbours = [_neighbour(rank, hit) for rank, hit in enumerate(result.hits, start=1)]
        model = self._model(opened.bench)
        return answers.Searched(key, *model, printable(picture.name), neighbours, result.searched)


def _painted(comparison: Comparison, side: Side, regions: Sequence[answers.Box]) -> NDArray[np.bool_]:
    """The pixels of the crop that lie half or more under one of the regions."""
    height, width = (comparison.a if side == "a" else comparison.b).crop.shape[:2]
    mask = np.zeros((height, width), dtype=np.bool_)
    for box in regions:
        mask |= coverage_of((height, width), box.x, box.y, box.width, box.height) >= 0.5
    return mask


def _component(
    component: Component, title: tuple[str, str], share: float, *, maps: bool
) -> answers.Component:
    name, gloss = (text.replace("\u00a0", " ") for text in title)
    grids = [values.tolist() if maps else None for values in (component.map_a, component.map_b)]
    return answers.Component(component.name, name, gloss, component.value, share, grids[0], grids[1])


def _neighbour(rank: int, hit: Hit) -> answers.Neighbour:
    item = hit.item
    class_name = None if item.class_name is None else printable(item.class_name)
    return answers.Neighbour(
        rank, printable(item.name), class_name, hit.distance, hit.decided_by, dict(hit.parts)
    )


def _shown(text: str) -> str:
    """A name that a caller made up, in a message."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)[:60]
    return f'"{clean}"'
