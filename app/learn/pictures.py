"""The pictures of the tour: examples that come with the project, and the same changed in simple ways."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from app.work.examples import EXAMPLES
from app.work.workbench import PictureFile
from avsl_core.errors import DataError
from avsl_core.images import load_image

__all__ = ["NAMES", "TRICKS", "Trick", "changed_picture", "picture_of", "words_of"]

NAMES = {
    "jay": "the jay",
    "jay-turned": "the jay from its other side",
    "jay-grey": "the jay with a blue wing",
    "jay-fan-crest": "the jay with a fan on its head",
    "owl": "the owl",
    "owl-spotted": "the owl with a spotted wing",
    "heron-dagger": "the heron",
    "heron-spoon": "the heron with a spoon for a beak",
    "apple-red": "the red apple",
    "apple-green": "the green apple",
    "orange": "the orange",
    "shirt-plain": "the plain shirt",
    "shirt-striped": "the striped shirt",
}
"""What every picture of the tour is called inside a sentence, by its file's name."""

_BLUR = 9.0  # pixels of a picture of 448: a child would still say what it shows


@dataclass(frozen=True)
class Trick:
    """A change after which a person still sees the same thing, and another thing to hold against it.

    Attributes:
        name: Short, for addresses and caches.
        title: For the choice.
        picture: What is changed.
        other: What the change should leave farther away.
        words: The changed picture inside a sentence.
        change: What is done to the pixels.
    """

    name: str
    title: str
    picture: str
    other: str
    words: str
    change: Callable[[Image.Image], Image.Image]


def _outline(picture: Image.Image) -> Image.Image:
    return picture.convert("L").filter(ImageFilter.CONTOUR).convert("RGB")


TRICKS: tuple[Trick, ...] = (
    Trick("mirror", "Mirrored", "heron-dagger", "heron-spoon", "the same heron in a mirror", ImageOps.mirror),
    Trick("flip", "Upside down", "jay", "jay-fan-crest", "the same jay upside down", ImageOps.flip),
    Trick(
        "blur",
        "Out of focus",
        "owl",
        "jay",
        "the same owl out of focus",
        lambda picture: picture.filter(ImageFilter.GaussianBlur(_BLUR)),
    ),
    Trick("outline", "Only its outline", "jay", "owl", "the same jay as a line drawing", _outline),
)
"""What is tried on the model in the step about being fooled."""


def picture_of(name: str, folder: Path = EXAMPLES) -> PictureFile:
    """A picture of the tour.

    Raises:
        DataError: If it is not there.
    """
    path = folder / f"{name}.webp"
    if name not in NAMES or not path.is_file():
        raise DataError(f"{path}: the tour needs this picture; get the project's assets again")
    return PictureFile(path, path.name)


def changed_picture(trick: Trick) -> NDArray[np.uint8]:
    """A picture after its change, RGB ``[H, W, 3]``."""
    picture = Image.fromarray(load_image(picture_of(trick.picture).path))
    return np.asarray(trick.change(picture))


def words_of(name: str) -> str:
    """A picture's name at the start of a sentence.

    Example:
        >>> words_of("jay")
        'The jay'
    """
    words = NAMES[name]
    return words[0].upper() + words[1:]
