"""What a network sees of a picture: the region, its size and its scale, saved in every checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from avsl_core.errors import ConfigError
from avsl_core.images.options import check_keys, whole_number
from avsl_core.images.resample import INTERPOLATIONS, Box, central_box, resample

__all__ = ["Preprocess"]


@dataclass(frozen=True)
class Preprocess:
    """From a decoded picture to the input of a network, at evaluation time.

    The short side is scaled to `resize`, the centre `size` x `size` is cut out, values are scaled to
    [0, 1] and normalised. Scaling and cutting are one resampling step of the source pixels.

    Attributes:
        size: Side of the network's input, in pixels.
        resize: Length of the short side before the cut; at least `size`. 256 with a size of 224 is the
            published evaluation; equal values show the network the whole short side.
        interpolation: "bicubic" or "bilinear".
        antialias: Average over source pixels when scaling down.
        mean: Subtracted from R, G, B in [0, 1].
        std: Divides the result.

    Raises:
        ConfigError: A value is out of range.

    Examples:
        >>> Preprocess(size=224, resize=256).box(height=512, width=1024)
        (288.0, 32.0, 736.0, 480.0)
    """

    size: int = 224
    resize: int = 224
    interpolation: str = "bicubic"
    antialias: bool = True
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        whole_number("preprocess", "size", self.size, least=1)
        whole_number("preprocess", "resize", self.resize, least=self.size)
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            names = " or ".join(INTERPOLATIONS)
            raise ConfigError(f"preprocess interpolation is {self.interpolation!r}; give {names}")
        if not isinstance(self.antialias, bool):
            raise ConfigError(f"preprocess antialias is {self.antialias!r}; give true or false")
        object.__setattr__(self, "mean", _triple("mean", self.mean))
        object.__setattr__(self, "std", _triple("std", self.std))
        if min(self.std) <= 0:
            raise ConfigError(f"preprocess std is {list(self.std)}; give three numbers above 0")

    def __call__(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """Prepare one picture.

        Args:
            image: uint8 RGB [H, W, 3].

        Returns:
            float32 [3, size, size].

        Raises:
            ImageError: `image` is not uint8 RGB.
        """
        return self.normalize(self.crop(image))

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Prepare several pictures of any sizes.

        Args:
            images: B pictures, uint8 RGB [H, W, 3] each.

        Returns:
            float32 [B, 3, size, size].

        Raises:
            ImageError: One of `images` is not uint8 RGB.
        """
        prepared = torch.empty(len(images), 3, self.size, self.size)
        for row, image in zip(prepared, images, strict=True):
            row.copy_(self(image))
        return prepared

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Exactly the pixels that the network sees, for drawing maps on.

        Args:
            image: uint8 RGB [H, W, 3].

        Returns:
            uint8 [size, size, 3].

        Raises:
            ImageError: `image` is not uint8 RGB.
        """
        height, width = image.shape[:2] if getattr(image, "ndim", 0) == 3 else (1, 1)
        return resample(
            image,
            self.box(height, width),
            self.size,
            self.size,
            interpolation=self.interpolation,
            antialias=self.antialias,
        )

    def box(self, height: int, width: int) -> Box:
        """Which part of a picture the network sees.

        Args:
            height: Rows of the picture.
            width: Pixels per row.

        Returns:
            Left, top, right, bottom of a centred square in source pixels; fractions are meant.
        """
        return central_box(height, width, self.size, self.resize)

    @property
    def decoded_side(self) -> int:
        """Short side below which a large picture need not be decoded for this network."""
        return 2 * self.resize

    def normalize(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Scale to [0, 1], subtract the mean, divide by the standard deviation.

        Args:
            pixels: uint8 [H, W, 3].

        Returns:
            float32 [3, H, W].
        """
        values = torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).div_(255)
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return values.sub_(mean[:, None, None]).div_(std[:, None, None]).contiguous()

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
        check_keys("preprocess", values, cls)
        return cls(**values)


def _triple(key: str, values: object) -> tuple[float, float, float]:
    numbers = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else []
    valid = [
        v for v in numbers if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
    ]
    if len(numbers) != 3 or len(valid) != 3:
        raise ConfigError(f"preprocess {key} is {values!r}; give three numbers, for red, green and blue")
    red, green, blue = (float(number) for number in numbers)
    return red, green, blue
