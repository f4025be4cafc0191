"""The galleries that the Explore page can open: the one that comes along, and those of a folder."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from app.explore.shelf_views import build_view, remove_old_views, view_folder
from app.look.printable import printable
from app.work.cache import LruCache
from app.work.models import Models
from app.work.workbench import Workbench
from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import GalleryError
from avsl_core.gallery import BuildOptions, Gallery, Progress, build_gallery
from avsl_core.gallery.manifest import MANIFEST
from avsl_core.gallery.stamp import stamp_of
from avsl_core.search.searcher import Searcher

__all__ = [
    "DEMO",
    "DEMO_KEY",
    "DEMO_PICTURES",
    "Demo",
    "OpenGallery",
    "Shelf",
    "calling",
    "default_folder",
    "folder_name",
]

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "gallery"

DEMO = _ASSETS / "index"
"""The index that comes with the project."""

DEMO_PICTURES = _ASSETS / "pictures"
"""Its pictures."""

DEMO_KEY = "demo"
"""Its name in addresses; no other gallery may have it."""

_INDEX = "index"
_FAST = "fast"  # of a gallery's folder: its fast index
_MEMORY = 2**30  # of prepared rows, for each open gallery
_NAME = 60
_COMMAND = re.compile(r"; [^;]*(`index`|--[a-z]).*", re.DOTALL)  # advice for the command line


@dataclass(frozen=True)
class Demo:
    """The gallery that is open when the page loads.

    Attributes:
        checkpoint: What it is searched with.
        title: What visitors read.
        index: Ready-made, used if the checkpoint made it.
        pictures: What it is built from anew otherwise.
    """

    checkpoint: Checkpoint
    title: str = "Made birds"
    index: Path = DEMO
    pictures: Path = DEMO_PICTURES


@dataclass(frozen=True, eq=False)
class OpenGallery:
    """A gallery with all that answering needs; shared by all visitors.

    Attributes:
        key: Its name in addresses.
        title: What visitors read.
        searcher: Finds neighbours in it.
        bench: Compares pictures with the model that made it.
        base: The gallery of which this is the view of another method; None if it is no such view.
    """

    key: str
    title: str
    searcher: Searcher
    bench: Workbench
    base: "OpenGallery | None" = None

    @cached_property
    def classes(self) -> dict[str, str]:
        """Every class that has pictures: what pages call it, and what the gallery does."""
        codes = self.gallery.class_codes
        if self.gallery.live is not None:
            codes = codes[self.gallery.live.numpy()]
        present = np.bincount(codes[codes >= 0], minlength=len(self.gallery.classes))
        return {
            printable(name): name for name, count in zip(self.gallery.classes, present, strict=True) if count
        }

    @property
    def gallery(self) -> Gallery:
        """The gallery itself."""
        return self.searcher.gallery

    def has(self, row: int) -> bool:
        """Whether there is such a picture, and it was not removed."""
        live = self.gallery.live
        return 0 <= row < len(self.gallery) and (live is None or bool(live[row]))


class Shelf:
    """Knows the galleries by key, and opens each once.

    Args:
        models: Where the model of a gallery comes from.
        folder: Of the visitors' galleries: ``NAME/`` or ``NAME/index/`` is one.
        demo: The gallery to begin with, if there is one.
        kept: Galleries kept open.
    """

    def __init__(self, models: Models, folder: Path, demo: Demo | None, *, kept: int = 6) -> None:
        self.models, self.folder, self.demo = models, folder.absolute(), demo
        self._open: LruCache[tuple[str, OpenGallery]] = LruCache(kept)  # with the state it was opened in
        self._opening = Lock()
        self._demo_found: Path | None = None

    def titles(self) -> dict[str, str]:
        """Key and title of every gallery, the demo first."""
        found = {} if self.demo is None else {DEMO_KEY: self.demo.title}
        try:
            names = sorted((entry.name for entry in self.folder.iterdir()), key=str.casefold)
        except OSError:
            names = []
        for name in names:
            if self.index_of(name) is not None and name not in found:
                found[name] = name
        return found

    def index_of(self, name: str) -> Path | None:
        """The finished gallery of that name in the folder; None if there is none, or it is no such name."""
        if name != folder_name(name):
            return None
        places = (self.folder / name, self.folder / name / _INDEX)
        return next((place for place in places if (place / MANIFEST).is_file()), None)

    def new_index(self, name: str) -> Path:
        """Where a gallery of that name would be built."""
        return self.folder / name / _INDEX

    def open(self, key: str, method: str = "") -> OpenGallery:
        """A gallery by its key; a gallery that was changed since is opened anew.

        Args:
            key: Its key.
            method: Name of the model that is to see it; empty for the one that made it.

        Raises:
            GalleryError: If there is none, it is damaged, its model is not here, or has yet to see it.
            CheckpointError: If its model is damaged.
        """
        base = self._open_base(key)
        bench = self.models.named(method) if method else base.bench
        if bench is base.bench:
            return base
        path = self._view(base, bench)
        if not (path / MANIFEST).is_file():
            name = self.models.entry(bench).title
            raise GalleryError(f"{base.title}: has yet to be looked at by {name}; choose that method again")
        return self._open_once(f"{key}/{self.models.mark(bench)}", key, base.title, path, base)

    def is_seen(self, key: str, method: str) -> bool:
        """Whether a gallery can be opened as a model sees it.

        Raises:
            GalleryError: If there is no such gallery, or it is damaged.
            CheckpointError: If there is no such model, or it is damaged.
        """
        base = self._open_base(key)
        bench = self.models.named(method) if method else base.bench
        return bench is base.bench or (self._view(base, bench) / MANIFEST).is_file()

    def build_view(
        self,
        key: str,
        method: str,
        work: Path,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Let another model see a gallery: its pictures are encoded once more, in a folder of their own.

        Args:
            key: The gallery's.
            method: Name of the model.
            work: A folder to build in, which goes away.
            progress: Told how far it has come.
            cancelled: Asked whether to stop.

        Raises:
            GalleryError: If its pictures are gone, it cannot be written, or this was cancelled.
            CheckpointError: If the model is damaged.
        """
        base, bench = self._open_base(key), self.models.named(method)
        target = self._view(base, bench)
        build_view(base.gallery, base.title, bench, work, target, progress=progress, cancelled=cancelled)
        remove_old_views(self.folder, key, self.models.mark(bench), target.parent)

    def _view(self, base: OpenGallery, bench: Workbench) -> Path:
        return view_folder(self.folder, base.key, base.gallery, self.models.mark(bench)) / _INDEX

    def _open_base(self, key: str) -> OpenGallery:
        title = self.titles().get(key)
        if title is None:
            raise GalleryError(f"{key}: no such gallery here; choose another one")
        path = self._demo_index() if key == DEMO_KEY else self.index_of(key)
        if path is None:
            raise GalleryError(f"{title}: has yet to be built")
        return self._open_once(key, key, title, path)

    def _open_once(
        self, place: str, key: str, title: str, path: Path, base: OpenGallery | None = None
    ) -> OpenGallery:
        opened = self._kept(place, path)
        if opened is not None:
            return opened
        with self._opening:  # one at a time: whoever asks second finds it open
            opened = self._kept(place, path)
            if opened is None:
                mark = _mark(path)
                opened = self._make(key, title, path, base)
                self._open.put(place, (mark, opened))  # in place of an older state, and of its memory
            return opened

    def demo_missing(self) -> bool:
        """Whether the demo has to be built anew: its index is missing or another model's."""
        return self.demo is not None and self._demo_index() is None

    def build_demo(
        self, progress: Callable[[Progress], None] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Build the demo anew, in the folder of the visitors' galleries.

        Raises:
            GalleryError: If it cannot be written, or this was cancelled.
            DataError: If its pictures are missing.
        """
        if self.demo is None:
            return
        target = self._demo_copy(self.demo)
        target.parent.mkdir(parents=True, exist_ok=True)
        options = BuildOptions(dtype="fp16", batch_size=16, map="pca")
        build_gallery(
            self.demo.checkpoint,
            self.demo.pictures,
            target,
            options=options,
            progress=progress,
            cancelled=cancelled,
        )

    def _demo_index(self) -> Path | None:
        if self.demo is None or self._demo_found is not None:
            return self._demo_found
        for path in (self.demo.index, self._demo_copy(self.demo)):
            try:
                Gallery.open(path, checkpoint=self.demo.checkpoint)
            except GalleryError:
                continue
            self._demo_found = path
            break
        return self._demo_found

    def _demo_copy(self, demo: Demo) -> Path:
        return self.folder / f".demo-{stamp_of(demo.checkpoint).fingerprint[:12]}" / _INDEX

    def _kept(self, place: str, path: Path) -> OpenGallery | None:
        mark, opened = self._open.get(place) or ("", None)
        return opened if mark == _mark(path) else None

    def _make(self, key: str, title: str, path: Path, base: OpenGallery | None) -> OpenGallery:
        with calling(path, title):
            gallery = Gallery.open(path)
            if not gallery.count:
                raise GalleryError(f"{title}: holds no picture; choose another gallery, or build it again")
            bench = self.models.maker(gallery.stamp, title)
            return OpenGallery(key, title, Searcher(bench.checkpoint, gallery, memory=_MEMORY), bench, base)


@contextmanager
def calling(path: Path, title: str) -> Iterator[None]:
    """Let messages call a gallery as visitors know it: where it lies, and the command line, are not theirs.

    Args:
        path: Where it lies.
        title: What visitors read.

    Raises:
        GalleryError: In place of one that names its folder.
    """
    try:
        yield
    except GalleryError as error:
        text = _COMMAND.sub("; build it again", str(error).replace(str(path), title))
        if text == str(error):
            raise
        raise GalleryError(text) from error


def _mark(path: Path) -> str:
    """Something that changes when a gallery or its fast index does."""
    return f"{_state(path / MANIFEST)}|{_state(path / _FAST)}"


def _state(path: Path) -> str:
    """Something that changes when a file or folder is replaced."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_mtime_ns}"


def folder_name(text: str) -> str:
    """A gallery's name as a folder can bear it: no separators, no leading dot, not too long.

    Example:
        >>> folder_name("../Birds: my (best)  ones.zip")
        'Birds my best ones.zip'
    """
    plain = re.sub(r"[^\w\-. ]+", " ", unicodedata.normalize("NFC", text))
    return " ".join(plain.split()).lstrip(". ")[:_NAME].rstrip(". ")


def default_folder() -> Path:
    """Where galleries are kept unless the command says otherwise."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "avsl" / "galleries"
