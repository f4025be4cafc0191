"""Random views of a picture for training, reproducible from an explicit generator."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from avsl_core.errors import ConfigError
from avsl_core.images.jitter import ColourFactors, jitter_colours
from avsl_core.images.options import check_keys, finite_number, whole_number
from avsl_core.images.preprocess import Preprocess
from avsl_core.images.resample import Box, check_rgb, resample

__all__ = ["Augmentation", "RandomSource", "sample_generator", "train_transform"]

RandomSource = np.random.Generator | torch.Generator

_ATTEMPTS = 10  # as in the usual random resized crop: then the largest central box of an allowed shape
_COLOUR_KEYS = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class Augmentation:
    """How far a training view may stray from the picture.

    Attributes:
        scale: Smallest and largest share of the picture's area that a view covers.
        ratio: Smallest and largest width divided by height of the region that becomes square.
        flip: Probability of mirroring left and right.
        resize: Short side before the random crop, or None to crop from the source pixels. The published
            recipe has 256, which blurs small crops as its training did.
        brightness: Factors are drawn from 1 - value to 1 + value, never below 0; 0 leaves it alone.
        contrast: As brightness.
        saturation: As brightness.
        hue: Largest turn of the colour circle either way, as a share of it; at most 0.5.

    Raises:
        ConfigError: A value is out of range.
    """

    scale: tuple[float, float] = (0.16, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    resize: int | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _range("scale", self.scale, most=1.0))
        object.__setattr__(self, "ratio", _range("ratio", self.ratio, most=math.inf))
        finite_number("augmentation", "flip", self.flip, least=0, most=1)
        finite_number("augmentation", "hue", self.hue, least=0, most=0.5)
        for key in _COLOUR_KEYS:
            finite_number("augmentation", key, getattr(self, key), least=0, most=math.inf)
        if self.resize is not None:
            whole_number("augmentation", "resize", self.resize, least=1)

    def to_dict(self) -> dict[str, Any]:
        """The values as they are saved; `from_dict` of it is equal to this object."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read saved values; a key that is absent takes its default.

        Raises:
            ConfigError: A key is unknown or a value out of range.
        """
        check_keys("augmentation", values, cls)
        return cls(**values)


def train_transform(
    image: NDArray[np.uint8], preprocess: Preprocess, augmentation: Augmentation, generator: RandomSource
) -> torch.Tensor:
    """One random view of a picture, ready for the network.

    A region of random area and shape is scaled to the network's square, perhaps mirrored, and its
    colours shifted. The flip and the colours are drawn before the region, so that switching one of them
    off leaves all regions as they were.

    Args:
        image: uint8 RGB [H, W, 3].
        preprocess: Size, interpolation and normalisation; its `resize` plays no part here.
        augmentation: How far the view may stray.
        generator: The only source of randomness: the same state gives the same view.

    Returns:
        float32 [3, size, size].

    Raises:
        ImageError: `image` is not uint8 RGB.
    """
    image = check_rgb(image)
    flipped = _uniform(generator, 0, 1) < augmentation.flip
    colours = _draw_colours(augmentation, generator)
    if augmentation.resize is not None:
        image = _short_side_to(image, augmentation.resize, preprocess)
    height, width = image.shape[:2]
    box = _draw_box(height, width, augmentation, generator)
    view = resample(
        image,
        box,
        preprocess.size,
        preprocess.size,
        interpolation=preprocess.interpolation,
        antialias=preprocess.antialias,
    )
    if flipped:
        view = np.ascontiguousarray(view[:, ::-1])
    return preprocess.normalize(jitter_colours(view, colours))


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample, independent of workers, batch size and order.

    Args:
        seed: Seed of the run, at least 0.
        epoch: At least 0.
        index: Which picture of the data set, at least 0.

    Examples:
        >>> a, b = sample_generator(0, 3, 17), sample_generator(0, 3, 17)
        >>> a.random() == b.random()
        True
    """
    return np.random.default_rng([seed, epoch, index])


def _draw_colours(augmentation: Augmentation, generator: RandomSource) -> ColourFactors:
    """All draws are made whatever the strengths are: a strength of 0 turns each into no change."""
    brightness, contrast, saturation = (
        _uniform(generator, max(0.0, 1 - strength), 1 + strength)
        for strength in (getattr(augmentation, key) for key in _COLOUR_KEYS)
    )
    hue = _uniform(generator, -augmentation.hue, augmentation.hue)
    order = tuple(int(place) for place in np.argsort([_uniform(generator, 0, 1) for _ in range(4)]))
    return ColourFactors(brightness, contrast, saturation, hue, order)


def _draw_box(height: int, width: int, augmentation: Augmentation, generator: RandomSource) -> Box:
    """A box of random area, shape and place inside a picture."""
    low, high = (math.log(ratio) for ratio in augmentation.ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * _uniform(generator, *augmentation.scale)
        ratio = math.exp(_uniform(generator, low, high))
        across, down = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if across <= width and down <= height:
            left, top = _uniform(generator, 0, width - across), _uniform(generator, 0, height - down)
            return left, top, min(left + across, width), min(top + down, height)
    ratio = min(max(width / height, augmentation.ratio[0]), augmentation.ratio[1])
    across, down = min(width, height * ratio), min(height, width / ratio)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, min(left + across, width), min(top + down, height)


def _short_side_to(image: NDArray[np.uint8], side: int, preprocess: Preprocess) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    factor = side / min(height, width)
    return resample(
        image,
        (0, 0, width, height),
        round(width * factor),
        round(height * factor),
        interpolation=preprocess.interpolation,
        antialias=preprocess.antialias,
    )


def _uniform(generator: RandomSource, low: float, high: float) -> float:
    if isinstance(generator, torch.Generator):
        unit = float(torch.rand((), generator=generator, dtype=torch.float64, device=generator.device))
    else:
        unit = float(generator.random())
    return low + (high - low) * unit


def _range(key: str, values: object, *, most: float) -> tuple[float, float]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
        raise ConfigError(f"augmentation {key} is {values!r}; give two numbers, the smallest and the largest")
    for value in values:
        finite_number("augmentation", key, value, least=0, most=most)
    low, high = float(values[0]), float(values[1])
    if not 0 < low <= high:
        raise ConfigError(
            f"augmentation {key} is {list(values)}; give two numbers above 0, the smaller first"
        )
    return low, high
