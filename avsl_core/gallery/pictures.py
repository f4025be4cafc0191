"""One file in one reading: its digest, its size, its thumbnail and what the network sees of it."""

from collections.abc import Set
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from avsl_core.errors import ImageError
from avsl_core.gallery.files import typed_errors
from avsl_core.gallery.loading import Load, load_here
from avsl_core.gallery.segment import DIGEST_BYTES
from avsl_core.gallery.sources import FileEntry
from avsl_core.gallery.store import thumbnail_path
from avsl_core.gallery.thumbnails import write_thumbnail
from avsl_core.images import Preprocess
from avsl_core.images.limits import DEFAULT_LIMITS
from avsl_core.images.source import label_of, read_bytes

__all__ = ["Pictures", "ReadPicture"]


class ReadPicture(NamedTuple):
    """A file as a worker hands it over.

    Attributes:
        number: Of the entry.
        digest: Of the content; empty where the file could not be read.
        image: ``[3, S, S]`` for the network; None if the content is known or no picture.
        width: Pixels per row, upright; 0 without image.
        height: Number of rows.
        reason: Why it is no picture, in one line, or None.
    """

    number: int
    digest: bytes
    image: Tensor | None = None
    width: int = 0
    height: int = 0
    reason: str | None = None


class Pictures(Dataset[ReadPicture]):
    """Files to read, in worker processes or here.

    Args:
        entries: The files.
        preprocess: The network's.
        gallery: Where thumbnails go.
        known: Digests of pictures that the gallery has: their files are not decoded.
        thumbnail_side: Longest side of a thumbnail.
        load: Decodes.
    """

    def __init__(
        self,
        entries: list[FileEntry],
        preprocess: Preprocess,
        gallery: Path,
        known: Set[bytes],
        thumbnail_side: int,
        load: Load = load_here,
    ) -> None:
        self.entries, self.preprocess, self.gallery = entries, preprocess, gallery
        self.known, self.side, self.load = known, thumbnail_side, load

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> ReadPicture:
        path = self.entries[index].path
        label = label_of(path, None)
        digest = b""
        try:
            data = read_bytes(path, DEFAULT_LIMITS, label)
            digest = blake2b(data, digest_size=DIGEST_BYTES).digest()
            if digest in self.known:
                return ReadPicture(index, digest)
            pixels, (width, height) = self.load(self.preprocess, data, label)
            image = self.preprocess(pixels)
        except ImageError as error:
            return ReadPicture(index, digest, reason=str(error).removeprefix(f"{label}: "))
        with typed_errors(self.gallery):
            write_thumbnail(thumbnail_path(self.gallery, digest.hex()), pixels, self.side)
        return ReadPicture(index, digest, image, width, height)
