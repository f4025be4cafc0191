"""What the pages work with: one checkpoint, and what was already computed with it."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.cache import LruCache
from avsl_core.checkpoint import Checkpoint
from avsl_core.compare import Comparison, EncodedPicture, compare_encoded, encode_picture
from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits, load_image

__all__ = ["PictureFile", "Workbench", "content_key"]

# What every browser can show by itself; the rest is shown as a preview.
_SHOWABLE = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"BM")
_PREVIEW_SIDE = 1024


@dataclass(frozen=True)
class PictureFile:
    """A picture that a visitor gave.

    Attributes:
        path: Where it lies on this machine.
        name: What the visitor calls it.
    """

    path: Path
    name: str

    def read(self) -> bytes:
        """Its content.

        Raises:
            ImageError: If the file is gone, empty or too heavy.
        """
        limits = ImageLimits()
        try:
            limits.check_bytes(self.path.stat().st_size, self.name)
            return self.path.read_bytes()
        except OSError as error:
            raise ImageError(
                f"{self.name}: the upload is no longer here; choose the picture again"
            ) from error


class Workbench:
    """Compares pictures by content: a picture seen before is not encoded again.

    Args:
        checkpoint: Model and preprocessing.
        pictures: Encoded pictures kept.
        comparisons: Comparisons kept.
        originals: Of previews, by the preview's content; shared by the workbenches of one page, so that each
            works on the original.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        pictures: int = 64,
        comparisons: int = 32,
        originals: LruCache[PictureFile] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self._originals: LruCache[PictureFile] = LruCache(256) if originals is None else originals
        self._encoded: LruCache[EncodedPicture] = LruCache(pictures)
        self._compared: LruCache[Comparison] = LruCache(comparisons)
        self._previews = tempfile.TemporaryDirectory(prefix="avsl-previews-")

    def compare(self, a: PictureFile, b: PictureFile) -> Comparison:
        """Compare two pictures.

        Raises:
            ImageError: If one cannot be read; the message calls it by its name.
        """
        (first_key, first), (second_key, second) = self.encode(a), self.encode(b)
        return self._compared.get_or_make(
            f"{first_key}-{second_key}", lambda: compare_encoded(self.checkpoint, first, second)
        )

    def check(self, file: PictureFile) -> None:
        """Encode a picture ahead of its comparison.

        Raises:
            ImageError: If it cannot be read.
        """
        self.encode(file)

    def preview(self, file: PictureFile, *, always: bool = False) -> Path | None:
        """A copy that a browser can show, for a TIFF, HEIC or other format that it cannot.

        Results belong to the original: the copy's content stands for the original's encoding.

        Args:
            file: The picture.
            always: Copy any picture: the copy tells nothing but what is seen, not where it was taken.

        Returns:
            The copy, or None if the picture can be shown as it is.

        Raises:
            ImageError: If it cannot be read.
        """
        data = file.read()
        if not always and data.startswith(_SHOWABLE):
            return None
        key, encoded = self.encode(file)
        copy = Path(self._previews.name) / f"{key}.webp"
        if not copy.exists():
            picture = Image.fromarray(load_image(data, name=file.name))
            picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
            picture.save(copy, quality=92)
        copy_key = content_key(copy.read_bytes())
        if copy_key != key:
            self._originals.put(copy_key, file)
            self._encoded.put(copy_key, encoded)
        return copy

    def encode(self, file: PictureFile) -> tuple[str, EncodedPicture]:
        """A picture's content key and encoding.

        Raises:
            ImageError: If it cannot be read.
        """
        data = file.read()
        key = content_key(data)

        def make() -> EncodedPicture:
            return encode_picture(self.checkpoint, self._original(key, data), name=file.name)

        return key, self._encoded.get_or_make(key, make)

    def _original(self, key: str, data: bytes) -> bytes:
        """What a preview was made from, as long as that is still there."""
        original = self._originals.get(key)
        try:
            return data if original is None else original.read()
        except ImageError:
            return data


def content_key(data: bytes) -> str:
    """Names a content, as galleries do: 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
