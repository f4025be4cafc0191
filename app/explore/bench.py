"""What the Explore page works with: open galleries, pictures that visitors gave, and answers to queries."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.explore.shelf import OpenGallery, Shelf, calling
from app.explore.state import ExploreState, Step
from app.look.printable import printable
from app.work.cache import LruCache
from app.work.workbench import PictureFile, Workbench, content_key
from avsl_core.errors import AvslError, GalleryError, ImageError
from avsl_core.explain.levels import part_titles
from avsl_core.search.searcher import SearchResult

__all__ = ["ExploreBench", "Found", "LinkedPair", "Query", "is_changed", "titles_of"]

_LARGE = 640  # sharp on a screen of double density at the size the page shows it


@dataclass(frozen=True)
class Query:
    """The picture whose neighbours are shown.

    Attributes:
        step: Which it is.
        name: Its file's name.
        class_name: Its class, if that is known.
        large: The picture as a ``data:`` address.
        size: Width and height in pixels, if they are known.
    """

    step: Step
    name: str
    class_name: str | None
    large: str
    size: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class Found:
    """A query and its neighbours.

    Attributes:
        state: What was asked for.
        open: The gallery.
        query: The picture.
        result: Its neighbours.
        weights: What each level counted, from low to high.
        kin: How many of the neighbours are of the query's class, and how many the gallery has besides it;
            None if its class is not known.
    """

    state: ExploreState
    open: OpenGallery
    query: Query
    result: SearchResult
    weights: tuple[float, ...]
    kin: tuple[int, int] | None


@dataclass(frozen=True)
class LinkedPair:
    """Two pictures that a link asks to compare.

    Attributes:
        a: First picture.
        b: Second picture.
        bench: What compares them: the model that made the gallery.
        model: What that model is called.
        gallery: What the gallery is called.
    """

    a: PictureFile
    b: PictureFile
    bench: Workbench
    model: str
    gallery: str


class ExploreBench:
    """Answers queries; holds nothing of any one visitor but the pictures they gave.

    Args:
        shelf: The galleries.
        uploads: Pictures of visitors that are kept.
    """

    def __init__(self, shelf: Shelf, *, uploads: int = 256) -> None:
        self.shelf = shelf
        self._uploads: LruCache[PictureFile] = LruCache(uploads)
        self._drawn: LruCache[str] = LruCache(256)

    def add_upload(self, file: PictureFile, bench: Workbench) -> Step:
        """Take in a visitor's picture.

        Raises:
            ImageError: If it cannot be read.
        """
        key, _ = bench.encode(file)
        self._uploads.put(key, file)
        return Step(upload=key)

    def known(self, state: ExploreState, gallery: OpenGallery) -> ExploreState:
        """The state without what this gallery or this server does not have (any more)."""
        changed = is_changed(state, gallery)
        trail = tuple(
            step
            for step in state.trail
            if (step.upload in self._uploads if step.upload else gallery.has(step.row or 0) and not changed)
        )
        classes = gallery.classes
        method = "" if gallery.base is None else self.shelf.models.name(gallery.bench)
        mode = state.mode if gallery.searcher.fast is not None else "exact"
        weights = state.weights if len(state.weights) == len(gallery.searcher.measure.parts) else ()
        return ExploreState(
            state.gallery,
            trail or (self.first(gallery),),
            weights,
            tuple(name for name in state.classes if name in classes),
            state.k,
            mode,
            method,
            gallery.gallery.generation,
        )

    def open(self, state: ExploreState) -> OpenGallery:
        """The gallery that a state is of, as its method sees it.

        Raises:
            GalleryError: If it cannot be opened, or has yet to be looked at by that method.
            CheckpointError: If the method's model is not here, or damaged.
        """
        return self.shelf.open(state.gallery, state.method)

    def seen_by(self, state: ExploreState, method: str) -> ExploreState:
        """The same pictures in the gallery as another method sees it; what only the old one has is left out.

        Args:
            state: What is on the page.
            method: Name of the other model; empty for the one that made the gallery.

        Raises:
            GalleryError: If the gallery has yet to be looked at by that method, or has changed.
            CheckpointError: If there is no such model, or it is damaged.
        """
        before, after = self.open(state), self.shelf.open(state.gallery, method)
        if is_changed(state, before):
            raise GalleryError(f"{before.title}: the gallery has changed; load the page again")
        steps = (step if step.upload else _same_picture(before, after, step) for step in state.trail)
        trail = tuple(step for step in steps if step is not None)
        name = "" if after.base is None else self.shelf.models.name(after.bench)
        return ExploreState(state.gallery, trail, classes=state.classes, k=state.k, method=name)

    def first(self, gallery: OpenGallery) -> Step:
        """The query that a gallery opens with."""
        return Step(row=next(row for row in range(len(gallery.gallery)) if gallery.has(row)))

    def rows(self, gallery: OpenGallery, classes: Sequence[str]) -> NDArray[np.int64]:
        """The pictures of some classes, of all if none are named or none has any."""
        live = gallery.gallery.live
        all_rows = np.arange(len(gallery.gallery)) if live is None else np.flatnonzero(live.numpy())
        known = gallery.classes
        codes = [gallery.gallery.classes.index(known[name]) for name in classes if name in known]
        chosen = all_rows[np.isin(gallery.gallery.class_codes[all_rows], codes)]
        return chosen if len(chosen) else all_rows

    def find(self, state: ExploreState) -> Found:
        """Answer a query.

        Raises:
            GalleryError: If the gallery cannot be opened or read, or is another one than the state is of.
            ImageError: If the picture is no longer there.
            BusyError: If the model has too much to do.
        """
        opened = self.open(state)
        try:
            return self._find(state, opened)
        except GalleryError:
            again = self.open(state)
            if again is opened:
                raise
            return self._find(state, again)  # a build had changed it while it was read

    def _find(self, state: ExploreState, opened: OpenGallery) -> Found:
        if is_changed(state, opened):
            raise GalleryError(f"{opened.title}: the gallery has changed; load the page again")
        with calling(opened.gallery.path, opened.title):
            return self._answer(state, opened)

    def _answer(self, state: ExploreState, opened: OpenGallery) -> Found:
        state = self.known(state, opened)
        step = state.trail[-1]
        parts = opened.searcher.measure.parts
        weights = state.weights or (1.0,) * len(parts)
        order = dict(zip(parts, weights, strict=True)) if state.weights else None
        known = opened.classes
        classes = [known[name] for name in state.classes] or None
        search, search_row = opened.searcher.search, opened.searcher.search_row
        file = None if step.upload is None else self._upload(step.upload)
        encoded = None if file is None else opened.bench.encode(file)[1]  # waits for a turn of its own
        with opened.bench.turnstile.turn():
            if encoded is not None:
                result = search(encoded, state.k, mode=state.mode, weights=order, classes=classes)
            else:
                result = search_row(step.row or 0, state.k, mode=state.mode, weights=order, classes=classes)
        query = self._query(step, opened)
        return Found(state, opened, query, result, weights, _kin(query, result, opened))

    def thumbnail(self, gallery: OpenGallery, row: int) -> str:
        """A gallery picture's thumbnail as a ``data:`` address; empty where the file is gone."""

        def make() -> str:
            data = gallery.gallery.thumbnail(row).read_bytes()
            return f"data:image/webp;base64,{base64.b64encode(data).decode()}"

        try:
            return self._drawn.get_or_make(f"small|{gallery.gallery.path}|{_digest(gallery, row)}", make)
        except OSError:  # not kept: it may come back
            return ""

    def step_picture(self, gallery: OpenGallery, step: Step) -> str:
        """A step's small picture as a ``data:`` address."""
        if step.upload is None:
            return self.thumbnail(gallery, step.row or 0)
        try:
            file = self._upload(step.upload)
            return self._drawn.get_or_make(f"step|{step.upload}", lambda: self._draw(file, 112))
        except ImageError:
            return ""

    def step_name(self, gallery: OpenGallery, step: Step) -> str:
        """What a step is called."""
        if step.upload is None:
            item = gallery.gallery.item(step.row or 0)
            return printable(item.class_name or Path(item.name).name)
        try:
            return printable(self._upload(step.upload).name)
        except ImageError:
            return "your picture"

    def pair_link(self, found: Found, row: int) -> str:
        """The query string of the address that compares the query with one of its neighbours.

        Rows are those of the gallery itself, whichever method sees it: Compare knows no other.
        """
        opened, steps = found.open, [found.query.step, Step(row=row)]
        if opened.base is not None:
            base = opened.base
            steps = [step if step.upload else _same_picture(opened, base, step) or step for step in steps]
            opened = base
        values = {"gallery": found.state.gallery, "a": steps[0].token, "b": steps[1].token}
        values["g"] = opened.gallery.generation
        if found.state.method:
            values["method"] = found.state.method
        return urlencode(values)

    def pair(self, gallery: str, a: str, b: str, generation: str = "") -> LinkedPair:
        """The two pictures that a link names: rows of a known gallery, or keys of pictures given before.

        Args:
            gallery: Key of the gallery.
            a: Token of the first picture.
            b: Token of the second one.
            generation: The state of the gallery that the rows are of; empty for any.

        Raises:
            GalleryError: If the link names something that is not here.
            ImageError: If a given picture is no longer here.
        """
        opened = self.shelf.open(gallery)
        if generation not in ("", opened.gallery.generation):
            raise GalleryError(f"{opened.title}: the gallery has changed; go back and choose again")
        with calling(opened.gallery.path, opened.title):
            files = [self._file(opened, Step.parse(token)) for token in (a, b)]
        model = self.shelf.models.name(opened.bench)
        return LinkedPair(files[0], files[1], opened.bench, model, opened.title)

    def _file(self, gallery: OpenGallery, step: Step | None) -> PictureFile:
        if step is not None and step.upload is not None:
            return self._upload(step.upload)
        if step is None or not gallery.has(step.row or 0):
            raise GalleryError(f"{gallery.title}: has no such picture; go back and choose another one")
        item = gallery.gallery.item(step.row or 0)
        file = PictureFile(item.path, printable(Path(item.name).name))
        if not item.path.is_file():
            raise GalleryError(
                f"{file.name}: is no longer where the gallery found it; build the gallery again"
            )
        if content_key(file.read()) != item.digest:
            raise GalleryError(f"{file.name}: has changed since the gallery was made; build it again")
        return file

    def _upload(self, key: str) -> PictureFile:
        return self._uploads.get_or_make(key, _gone)

    def _query(self, step: Step, gallery: OpenGallery) -> Query:
        if step.upload is not None:
            file = self._upload(step.upload)
            large = self._drawn.get_or_make(f"large|{step.upload}", lambda: self._draw(file, _LARGE))
            return Query(step, printable(file.name), None, large, None)
        item = gallery.gallery.item(step.row or 0)

        file = PictureFile(item.path, printable(Path(item.name).name))
        try:
            large = self._drawn.get_or_make(
                f"large|{item.digest}", lambda: self._draw(file, _LARGE, item.digest)
            )
        except AvslError:  # moved, changed or deleted since: its thumbnail stands for it
            large = self.thumbnail(gallery, item.row)
        class_name = printable(item.class_name) if item.class_name else None
        return Query(step, file.name, class_name, large, (item.width, item.height))

    def _draw(self, file: PictureFile, side: int, digest: str | None = None) -> str:
        data = file.read()
        if digest not in (None, content_key(data)):
            raise ImageError(f"{file.name}: has changed since the gallery was made; build it again")
        decoder = self.shelf.models.decoder
        pixels = decoder.within(data, file.name, side, target_side=side, resampling=Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "WEBP", quality=84, method=2)
        return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def is_changed(state: ExploreState, gallery: OpenGallery) -> bool:
    """Whether the gallery numbers its pictures otherwise than when the state was made."""
    return state.generation not in ("", gallery.gallery.generation)


def titles_of(gallery: OpenGallery) -> list[tuple[str, str]]:
    """Title and gloss of every part of a gallery's distance."""
    return part_titles(gallery.searcher.measure.parts, gallery.bench.checkpoint.model.method)


def _same_picture(before: OpenGallery, after: OpenGallery, step: Step) -> Step | None:
    """Where one gallery has what another one has in a row; None if it is not there."""
    if not before.has(step.row or 0):
        return None
    row = after.gallery.find(_digest(before, step.row or 0))
    return None if row is None else Step(row=row)


def _kin(query: Query, result: SearchResult, opened: OpenGallery) -> tuple[int, int] | None:
    gallery = opened.gallery
    if query.class_name is None:
        return None
    same = gallery.class_codes == gallery.classes.index(opened.classes[query.class_name])
    if gallery.live is not None:
        same = same & gallery.live.numpy()
    found = sum(printable(hit.item.class_name or "") == query.class_name for hit in result.hits)
    return found, int(np.count_nonzero(same)) - 1


def _digest(gallery: OpenGallery, row: int) -> str:
    digest: str = gallery.gallery.digests[row].tobytes().hex()
    return digest


def _gone() -> PictureFile:
    raise ImageError("Your picture: it is no longer kept here; choose it again")
