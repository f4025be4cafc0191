"""The models that the pages work with: the app's own, and the shipped ones when asked for."""

import logging
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from app.decoding.decoder import HereDecoder, PictureDecoder
from app.work.cache import LruCache
from app.work.turnstile import Turnstile
from app.work.workbench import Workbench
from avsl_core.checkpoint import Checkpoint, describe_checkpoint, load_checkpoint, shipped_checkpoints
from avsl_core.errors import AvslError, CheckpointError, GalleryError
from avsl_core.explain.methods import MethodWords, method_words
from avsl_core.gallery import CheckpointStamp
from avsl_core.gallery.stamp import stamp_of

__all__ = ["ModelEntry", "Models"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelEntry:
    """A model that a visitor may choose.

    Attributes:
        name: What addresses and messages call it.
        method: How it measures.
    """

    name: str
    method: str

    @property
    def words(self) -> MethodWords:
        """What its method is called and shows."""
        return method_words(self.method)

    @property
    def title(self) -> str:
        """Its line in a list."""
        return self.words.title("" if self.name == self.method else self.name)


class Models:
    """One workbench per checkpoint, so that all pages share what was already encoded.

    Args:
        checkpoint: The app's own.
        others: Further ones that are loaded already.
        decoder: Decodes pictures for all of them; None does it in this process.
        turnstile: The queue before all of them; None makes one.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *others: Checkpoint,
        decoder: PictureDecoder | None = None,
        turnstile: Turnstile | None = None,
    ) -> None:
        self.decoder = decoder or HereDecoder()
        self.turnstile = turnstile or Turnstile()
        self._lock, self._loading = Lock(), Lock()
        self._benches: dict[str, Workbench] = {}
        self._stamps: dict[str, CheckpointStamp] = {}
        self._marks: dict[str, str] = {}  # fingerprints by name
        self._methods: dict[str, str] = {}  # of shipped ones, as their files say
        self._damaged: set[str] = set()
        self._originals: LruCache[Path] = LruCache(256)
        self.default = self._add(checkpoint)
        for other in others:
            self._add(other)
        self._given = list(self._marks)

    @property
    def names(self) -> list[str]:
        """What a visitor may choose from: the app's own first, whatever others have asked for."""
        return list(dict.fromkeys([*self._given, *shipped_checkpoints(), *self._marks.copy()]))

    @property
    def entries(self) -> list[ModelEntry]:
        """The models to choose from with their methods; shipped files that are damaged are left out."""
        found = []
        for name in self.names:
            method = self._method(name)
            if method is not None:
                found.append(ModelEntry(name, method))
        return found

    def entry(self, bench: Workbench) -> ModelEntry:
        """How a model here stands in the list."""
        return ModelEntry(self.name(bench), bench.checkpoint.model.method)

    def named(self, name: object) -> Workbench:
        """A model by its name; a shipped one is loaded when first asked for.

        Raises:
            CheckpointError: If there is no such model, or it is damaged.
        """
        # It comes from outside: a path is no name.
        if not isinstance(name, str) or name not in self.names:
            raise CheckpointError(f"{name}: no such model here; choose another one")
        mark = self._marks.get(name)
        return self._load(name) if mark is None else self._benches[mark]

    def marked(self, mark: str | None) -> Workbench:
        """A model by its fingerprint; the app's own if there is none."""
        return self._benches.get(mark or "", self.default)

    def mark(self, bench: Workbench) -> str:
        """The fingerprint of a model here."""
        return next(mark for mark, known in self._benches.copy().items() if known is bench)

    def name(self, bench: Workbench) -> str:
        """What addresses and messages call a model here."""
        mark = self.mark(bench)
        return next(name for name, known in self._marks.copy().items() if known == mark)

    def maker(self, stamp: CheckpointStamp, title: str) -> Workbench:
        """The model that made a gallery.

        Args:
            stamp: What the gallery remembers of it.
            title: What messages call the gallery.

        Raises:
            GalleryError: If it is neither the app's nor a shipped one.
            CheckpointError: If it is damaged.
        """
        if stamp.fingerprint not in self._benches and stamp.name in shipped_checkpoints():
            self._load(stamp.name)
        if stamp.fingerprint not in self._benches:
            raise GalleryError(
                f"{title}: was made by a model called {stamp.name} that is not here; build it again "
                "with one of the models of this page, or ask those who run it for that model"
            )
        return self._benches[stamp.fingerprint]

    @property
    def preview_folders(self) -> list[Path]:
        """Where pictures lie that were made of uploads."""
        return [bench.preview_folder for bench in self._benches.copy().values()]

    def _method(self, name: str) -> str | None:
        mark = self._marks.get(name)
        if mark is not None:
            return self._stamps[mark].method
        if name not in self._methods:
            try:
                self._methods[name] = describe_checkpoint(name).method
            except CheckpointError as error:
                if name not in self._damaged:  # once, not with every visitor
                    self._damaged.add(name)
                    log.warning("the shipped model %s cannot be offered: %s", name, error)
                return None
        return self._methods[name]

    def _load(self, name: str) -> Workbench:
        with self._loading:  # one at a time: whoever asks second finds it loaded
            mark = self._marks.get(name)
            if mark is not None and self._is_shipped(mark):
                return self._benches[mark]
            file = shipped_checkpoints().get(name)
            if file is None:
                raise CheckpointError(f"{name}: no such model here; choose another one")
            try:
                bench = self._add(load_checkpoint(file, self.default.checkpoint.model.device))
            except AvslError as error:  # where its file lies is no visitor's business
                raise CheckpointError(str(error).replace(str(file), name)) from error
            self._marks.setdefault(name, self.mark(bench))  # the same weights may be here by another name
            return bench

    def _is_shipped(self, mark: str) -> bool:
        return self._benches[mark].checkpoint.path in shipped_checkpoints().values()

    def _add(self, checkpoint: Checkpoint) -> Workbench:
        stamp = stamp_of(checkpoint)
        mark = stamp.fingerprint
        with self._lock:
            if mark not in self._benches:
                # Two files of one name and different weights: the one that came first keeps it.
                name = f"{stamp.name}-{mark[:8]}" if stamp.name in self._marks else stamp.name
                self._stamps[mark] = stamp
                self._benches[mark] = Workbench(
                    checkpoint, originals=self._originals, decoder=self.decoder, turnstile=self.turnstile
                )
                self._marks[name] = mark
            return self._benches[mark]
