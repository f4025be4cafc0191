"""What the pages work with: one checkpoint, and what was already computed with it."""

import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.decoding.decoder import HereDecoder, PictureDecoder
from app.look.printable import display_name
from app.work.cache import LruCache
from app.work.turnstile import Turnstile
from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import Comparison, EncodedPicture, compare_encoded, encode_crop
from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits

__all__ = ["PictureFile", "Workbench", "content_key", "own_name"]

# What every browser can show by itself; the rest is shown as a preview.
_SHOWABLE = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"BM")
_PREVIEW_SIDE = 1024
_PREVIEW = ".preview.webp"  # after the name that the visitor knows
_NAME_BYTES = 150  # of that name; file systems, and Gradio, take some more
_TRIES = 100  # to write a copy whose folder is deleted just then: each is over in microseconds


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
        originals: Where those of previews lie, by the preview's content; shared by the workbenches of one
            page, so that each works on the original.
        decoder: Decodes pictures; None does it in this process.
        turnstile: The queue before the model, shared by all workbenches; None gives it one of its own.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        pictures: int = 64,
        comparisons: int = 32,
        originals: LruCache[Path] | None = None,
        decoder: PictureDecoder | None = None,
        turnstile: Turnstile | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.turnstile = turnstile or Turnstile()
        self.decoder = decoder or HereDecoder()
        self._originals: LruCache[Path] = LruCache(256) if originals is None else originals
        self._encoded: LruCache[EncodedPicture] = LruCache(pictures)
        self._compared: LruCache[Comparison] = LruCache(comparisons)
        self._previews = tempfile.TemporaryDirectory(prefix="avsl-previews-")

    def compare(self, a: PictureFile, b: PictureFile) -> Comparison:
        """Compare two pictures.

        Raises:
            ImageError: If one cannot be read; the message calls it by its name.
            BusyError: If the model has too much to do.
        """
        (first_key, first), (second_key, second) = self.encode(a), self.encode(b)

        def make() -> Comparison:
            with self.turnstile.turn():
                return compare_encoded(self.checkpoint, first, second)

        return self._compared.get_or_make(f"{first_key}-{second_key}", make)

    def check(self, file: PictureFile) -> None:
        """Encode a picture ahead of its comparison.

        Raises:
            ImageError: If it cannot be read.
        """
        self.encode(file)

    def preview(self, file: PictureFile, *, always: bool = False) -> Path | None:
        """A copy that a browser can show, for a TIFF, HEIC or other format that it cannot.

        Results belong to the original: the copy's content stands for the original's encoding. What the
        visitor calls it is in the copy's own name: another visitor may give the same picture by another one.

        Args:
            file: The picture.
            always: Copy any picture: the copy tells nothing but what is seen, not where it was taken.

        Returns:
            The copy, or None if the picture can be shown as it is.

        Raises:
            ImageError: If it cannot be read.
            OSError: If there is no room for the copy.
        """
        data = file.read()
        if not always and data.startswith(_SHOWABLE):
            return None
        key, encoded = self.encode(file)
        copy = self.preview_folder / key / _preview_name(file.name)
        try:
            shown = copy.read_bytes()
            os.utime(copy)  # in use again: it goes with the latest who was shown it
        except FileNotFoundError:
            shown = _encoded_preview(self.decoder.within(data, file.name, _PREVIEW_SIDE))
            self._write(copy, shown)
        copy_key = content_key(shown)
        if copy_key != key:
            self._originals.put(copy_key, file.path)
            self._encoded.put(copy_key, encoded)
        return copy

    def _write(self, copy: Path, data: bytes) -> None:
        """Write a copy that appears whole or not at all."""
        descriptor, name = tempfile.mkstemp(dir=self.preview_folder)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            for last in range(_TRIES - 1, -1, -1):
                copy.parent.mkdir(exist_ok=True)
                try:
                    temporary.replace(copy)
                    return
                except FileNotFoundError:  # its folder was found empty and deleted at this moment
                    if not last:
                        raise
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    @property
    def preview_folder(self) -> Path:
        """Where the copies lie that browsers can show."""
        return Path(self._previews.name)

    def original(self, file: PictureFile) -> PictureFile:
        """What a preview was made from, as long as that is there; any other file is its own.

        The name stays that of the given file, which is this visitor's own.

        Raises:
            ImageError: If the file is gone, empty or too heavy.
        """
        path = self._originals.get(content_key(file.read()))
        return file if path is None or not path.is_file() else PictureFile(path, file.name)

    def encode(self, file: PictureFile) -> tuple[str, EncodedPicture]:
        """A picture's content key and encoding.

        Raises:
            ImageError: If it cannot be read.
            BusyError: If the model has too much to do.
            SlowError: If the work that this is a step of has taken too long.
        """
        data = file.read()
        key = content_key(data)

        def make() -> EncodedPicture:
            original = self._original(key, data)
            crop = self.decoder.crop(original, file.name, self.checkpoint.preprocess)
            with self.turnstile.turn() as turn:  # what takes long to decode does not hold the model up
                turn.check()
                return encode_crop(self.checkpoint, crop)

        return key, self._encoded.get_or_make(key, make)

    def _original(self, key: str, data: bytes) -> bytes:
        """What a preview was made from, as long as that is still there."""
        original = self._originals.get(key)
        try:
            return data if original is None else PictureFile(original, original.name).read()
        except ImageError:
            return data


def own_name(name: str) -> str:
    """What the visitor calls a picture, of which a preview may be shown.

    Example:
        >>> own_name("scan.tif.preview.webp"), own_name("jay.webp")
        ('scan.tif', 'jay.webp')
    """
    return name.removesuffix(_PREVIEW) or name


def content_key(data: bytes) -> str:
    """Names a content, as galleries do: 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _preview_name(name: str) -> str:
    return display_name(name).encode()[:_NAME_BYTES].decode(errors="ignore") + _PREVIEW


def _encoded_preview(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=92)
    return file.getvalue()
