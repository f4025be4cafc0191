"""The models that the pages work with: the app's own, and the shipped ones when asked for."""

from threading import Lock

from app.workbench import Workbench
from avsl_core.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoints
from avsl_core.errors import CheckpointError, GalleryError
from avsl_core.gallery import CheckpointStamp
from avsl_core.gallery.stamp import stamp_of

__all__ = ["Models"]


class Models:
    """One workbench per checkpoint, so that all pages share what was already encoded.

    Args:
        checkpoint: The app's own.
        others: Further ones that are loaded already.
    """

    def __init__(self, checkpoint: Checkpoint, *others: Checkpoint) -> None:
        self._lock = Lock()
        self._benches: dict[str, Workbench] = {}
        self._stamps: dict[str, CheckpointStamp] = {}
        self.default = self._add(checkpoint)
        for other in others:
            self._add(other)

    @property
    def names(self) -> list[str]:
        """What a visitor may choose from: the app's own first."""
        own = [stamp.name for stamp in self._stamps.values()]
        return list(dict.fromkeys([*own, *shipped_checkpoints()]))

    def named(self, name: str) -> Workbench:
        """A model by its name; a shipped one is loaded when first asked for.

        Raises:
            CheckpointError: If there is no such model, or it is damaged.
        """
        if name not in self.names:  # it comes from outside: a path is no name
            raise CheckpointError(f"{name}: no such model here; choose another one")
        for print_, stamp in list(self._stamps.items()):
            if stamp.name == name:
                return self._benches[print_]
        return self._load(name)

    def marked(self, mark: str | None) -> Workbench:
        """A model by its fingerprint; the app's own if there is none."""
        return self._benches.get(mark or "", self.default)

    def mark(self, bench: Workbench) -> str:
        """The fingerprint of a model here."""
        return next(mark for mark, known in self._benches.items() if known is bench)

    def name(self, bench: Workbench) -> str:
        """What messages call a model here."""
        return self._stamps[self.mark(bench)].name

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

    def _load(self, name: str) -> Workbench:
        return self._add(load_checkpoint(name, self.default.checkpoint.model.device))

    def _add(self, checkpoint: Checkpoint) -> Workbench:
        stamp = stamp_of(checkpoint)
        with self._lock:
            if stamp.fingerprint not in self._benches:
                self._benches[stamp.fingerprint] = Workbench(checkpoint)
                self._stamps[stamp.fingerprint] = stamp
            return self._benches[stamp.fingerprint]
