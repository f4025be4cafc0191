"""What the tour works with: one AVSL model, and what was already computed for a step."""

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.learn.pictures import NAMES, Trick, changed_picture, picture_of
from app.work.cache import LruCache
from app.work.models import Models
from app.work.workbench import Workbench
from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import Comparison, EncodedPicture, compare_encoded, encode_picture
from avsl_core.errors import CheckpointError
from avsl_core.models import AvslEncoding, AvslModel

__all__ = ["LearnBench"]

_METHOD = "avsl"
_PREFERRED = "default"  # it was trained on more than birds


class LearnBench:
    """Measures the pictures of the tour; what one visitor saw, the next one gets at once.

    Args:
        models: What compares; the app's own model guides the tour if it is an AVSL model, else a shipped one.
        many: Whether the site has a page that compares many pictures.
    """

    def __init__(self, models: Models, *, many: bool = False) -> None:
        self.models, self.many = models, many
        self._guide: Workbench | None = None
        self._lock = Lock()
        self._changed: LruCache[EncodedPicture] = LruCache(16)
        self._shown: LruCache[str] = LruCache(16)

    @property
    def guide(self) -> Workbench:
        """The model of the tour, loaded when first asked for.

        Raises:
            CheckpointError: If there is no AVSL model here.
        """
        with self._lock:
            if self._guide is None:
                self._guide = self._find()
            return self._guide

    @property
    def checkpoint(self) -> Checkpoint:
        """The model with its preprocessing."""
        return self.guide.checkpoint

    @property
    def model(self) -> AvslModel:
        """The model itself."""
        model = self.checkpoint.model
        assert isinstance(model, AvslModel)
        return model

    def picture(self, name: str) -> EncodedPicture:
        """A picture of the tour as the model saw it.

        Raises:
            DataError: If it is not there.
        """
        return self.guide.encode(picture_of(name))[1]

    def changed(self, trick: Trick) -> EncodedPicture:
        """A picture after its change as the model saw it."""

        def make() -> EncodedPicture:
            pixels = changed_picture(trick)
            with self.guide.turnstile.turn():
                return encode_picture(self.checkpoint, pixels, name=trick.title)

        return self._changed.get_or_make(trick.name, make)

    def nodes(self, name: str) -> AvslEncoding:
        """What every node answers to a picture of the tour."""
        encoding = self.picture(name).encoding
        assert isinstance(encoding, AvslEncoding)
        return encoding

    def compare(self, a: str, b: str) -> Comparison:
        """The account of two pictures of the tour."""
        return self.guide.compare(picture_of(a), picture_of(b))

    def distance(self, a: EncodedPicture, b: EncodedPicture) -> float:
        """How far apart two pictures are."""
        with self.guide.turnstile.turn():
            return compare_encoded(self.checkpoint, a, b).distance

    def distances(self) -> NDArray[np.float64]:
        """All pictures of the tour against all, ``[N, N]``, in the order of their names."""
        encodings = AvslEncoding.concatenate([self.nodes(name) for name in NAMES])
        with self.guide.turnstile.turn():
            matrix = self.model.distance_matrix(encodings, encodings)
        return np.asarray(matrix.double().cpu().numpy(), np.float64)

    def knows(self, key: str) -> bool:
        """Whether something was made and is still kept."""
        return key in self._shown

    def keep(self, key: str, make: Callable[[], str]) -> str:
        """What was made under a key, or make it now."""
        return self._shown.get_or_make(key, make)

    def _find(self) -> Workbench:
        if isinstance(self.models.default.checkpoint.model, AvslModel):
            return self.models.default
        names = [entry.name for entry in self.models.entries if entry.method == _METHOD]
        if not names:
            raise CheckpointError(
                "the tour follows an AVSL model, and there is none here; start the app with one, "
                "or get the project's checkpoints again"
            )
        return self.models.named(_PREFERRED if _PREFERRED in names else names[0])
