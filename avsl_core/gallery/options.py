"""What a build is asked for, and what it tells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avsl_core.errors import ConfigError, GalleryError
from avsl_core.gallery.loading import Load, load_here
from avsl_core.gallery.manifest import StorageType
from avsl_core.images.options import whole_number
from avsl_core.precision import Precision

__all__ = ["BuildCancelled", "BuildOptions", "BuildReport", "MapMethod", "Progress"]

MapMethod = Literal["pca", "umap", "none"]

_CHOICES = {
    "dtype": ("fp16", "fp32", None),
    "precision": ("none", "bf16", "fp16"),
    "map": ("pca", "umap", "none"),
}


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        dtype: Number type on disk; None for that of the gallery, and fp32 for a new one.
        batch_size: Pictures per pass of the network.
        workers: Processes that decode; 0 decodes in this one.
        precision: Of the trunk; heads always work in float32.
        map: How pictures are laid out on the map; umap separates kinds better, and takes about 20 seconds
            to start.
        prune: Also remove pictures that the source, a folder or an archive, no longer has.
        chunk: Pictures that are saved together: the most that an interruption costs.
        segment_rows: Rows of a large segment.
        thumbnail_side: Longest side of a thumbnail in pixels.
        max_archive_bytes: Refuse an archive that unpacks to more.
        max_archive_files: Refuse an archive with more entries.
        load: Decodes a picture; for pictures of strangers, in a process that may be lost. With workers, it
            must be one that can be sent to them.

    Raises:
        ConfigError: If a value is out of range.
    """

    dtype: StorageType | None = None
    batch_size: int = 32
    workers: int = 0
    precision: Precision = "none"
    map: MapMethod = "pca"
    prune: bool = False
    chunk: int = 512
    segment_rows: int = 65_536
    thumbnail_side: int = 256
    max_archive_bytes: int | None = None
    max_archive_files: int | None = None
    load: Load = load_here

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                names = ", ".join(str(choice) for choice in choices if choice)
                raise ConfigError(f"gallery {key} is {getattr(self, key)!r}; give one of {names}")
        for key in ("batch_size", "chunk", "segment_rows", "thumbnail_side"):
            whole_number("gallery", key, getattr(self, key), least=1)
        whole_number("gallery", "workers", self.workers, least=0)
        for key in ("max_archive_bytes", "max_archive_files"):
            if getattr(self, key) is not None:
                whole_number("gallery", key, getattr(self, key), least=1)


@dataclass(frozen=True)
class Progress:
    """How far a build has come, of the share that this process encodes.

    Attributes:
        done: Pictures dealt with, those of an interrupted build included.
        total: Pictures to deal with.
        skipped: Files of them that could not be read.
        rate: Pictures per second of this run; 0 before the first batch.
        seconds_left: Until all are encoded; None before the first batch.
    """

    done: int
    total: int
    skipped: int
    rate: float
    seconds_left: float | None


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        added: New pictures.
        unchanged: Files that were in the gallery already.
        duplicates: Files equal to another in content: (name, name that it equals).
        skipped: Files that could not be read: (name, why, in one line).
        removed: Pictures that are no longer in the gallery.
        seconds: That it took.
        gallery: The gallery's folder.
        pictures: In the gallery now.
    """

    added: int
    unchanged: int
    duplicates: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    removed: int
    seconds: float
    gallery: Path
    pictures: int


class BuildCancelled(GalleryError):  # noqa: N818 - the user asked for it: no error
    """A build was stopped on request; finished chunks are kept for the next."""
