"""How large, small, or thin a picture may be, and the words for one that is not."""

from dataclasses import dataclass

from avsl_core.errors import ConfigError, ImageError

__all__ = ["DEFAULT_LIMITS", "ImageLimits"]


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked on the file and its header, before any pixel is decoded.

    Attributes:
        max_pixels: Largest width times height. 40 million pixels decode to 120 MB of RGB.
        max_bytes: Largest encoded size, in bytes.
        min_side: Smallest side, in pixels: below it there is nothing to compare.
        max_aspect: Largest ratio of the long side to the short side.

    Raises:
        ConfigError: A limit is not a positive number.

    Examples:
        >>> ImageLimits(max_pixels=1_000_000).max_pixels
        1000000
    """

    max_pixels: int = 40_000_000
    max_bytes: int = 64 * 2**20
    min_side: int = 8
    max_aspect: float = 20.0

    def __post_init__(self) -> None:
        for key in ("max_pixels", "max_bytes", "min_side"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"image limit {key} is {value!r}; give a whole number of at least 1")
        if isinstance(self.max_aspect, bool) or not isinstance(self.max_aspect, int | float):
            raise ConfigError(f"image limit max_aspect is {self.max_aspect!r}; give a number of at least 1")
        if not self.max_aspect >= 1:
            raise ConfigError(f"image limit max_aspect is {self.max_aspect}; give a number of at least 1")

    def check_bytes(self, count: int, name: str) -> None:
        """Refuse an encoded picture that is empty or too heavy.

        Args:
            count: Size in bytes.
            name: What the message calls the picture.

        Raises:
            ImageError: `count` is 0 or above `max_bytes`.
        """
        if count == 0:
            raise ImageError(f"{name}: empty, 0 bytes; give the picture itself (was it copied completely?)")
        if count > self.max_bytes:
            raise ImageError(
                f"{name}: more than the {_megabytes(self.max_bytes)} MB that a picture may weigh; "
                "save it smaller or with stronger compression"
            )

    def check_size(self, width: int, height: int, name: str) -> None:
        """Refuse a picture whose sides are too long, too short, or too unequal.

        Args:
            width: Pixels per row, as the header states it.
            height: Number of rows.
            name: What the message calls the picture.

        Raises:
            ImageError: A limit is exceeded; the message says which.
        """
        size = f"{width:,} x {height:,} pixels"
        short, long = sorted((width, height))
        if width * height > self.max_pixels:
            raise ImageError(
                f"{name}: {size} is above the limit of {self.max_pixels:,} pixels; scale it down first"
            )
        if long > self.max_aspect * short:
            raise ImageError(
                f"{name}: {size} is too long and thin (at most {self.max_aspect:g} to 1); "
                "crop it to the part that matters"
            )
        if short < self.min_side:
            raise ImageError(
                f"{name}: {size} is too small to compare (both sides need at least {self.min_side}); "
                "use a larger picture"
            )


DEFAULT_LIMITS = ImageLimits()


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.3g}"
