"""The manifest: the one small file that says what a gallery holds, replaced as a whole at each commit."""

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avsl_core.config import from_dict, to_dict
from avsl_core.errors import ConfigError, GalleryError
from avsl_core.gallery.files import write_json
from avsl_core.gallery.stamp import CheckpointStamp

__all__ = [
    "ITEM_FILES",
    "MANIFEST",
    "NUMBER_FILES",
    "Manifest",
    "MapEntry",
    "Root",
    "SegmentEntry",
    "StorageType",
    "next_generation",
    "read_manifest",
    "root_paths",
    "store_root",
    "write_manifest",
]

MANIFEST = "manifest.json"
StorageType = Literal["fp16", "fp32"]

NUMBER_FILES = ("vectors.npy", "gates.npy", "limits.npy", "digests.npy")
ITEM_FILES = (("items", ".jsonl"), ("offsets", ".npy"), ("classes", ".npy"))

_FORMAT = "avsl-gallery"
_VERSION = 1


@dataclass(frozen=True)
class Root:
    """A folder that pictures come from.

    Attributes:
        path: Absolute, or relative to the gallery's folder where the two can move together.
        classes: Whether the folders in it are classes.
    """

    path: str
    classes: bool


@dataclass(frozen=True)
class SegmentEntry:
    """One segment: consecutive rows in a folder of their own.

    Attributes:
        id: Name of the folder.
        rows: How many, at least 1.
        items: Mark of the files that hold names and classes; they alone are ever replaced.
        sizes: Bytes of its files, in the order of :attr:`files`, to notice damage.
    """

    id: str
    rows: int
    items: str
    sizes: tuple[int, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files."""
        return (*NUMBER_FILES, *(f"{stem}-{self.items}{ending}" for stem, ending in ITEM_FILES))


@dataclass(frozen=True)
class MapEntry:
    """The map of the gallery: which file, how it was made, and of how many pictures."""

    file: str
    method: str
    fitted: int


@dataclass(frozen=True)
class Manifest:
    """What a gallery holds.

    Attributes:
        generation: Changes with every commit.
        dtype: Number type of vectors and gates.
        checkpoint: What made them.
        roots: Where pictures come from.
        classes: Names of classes; rows hold their numbers.
        segments: In the order of rows.
        count: Pictures, those removed not counted.
        removed: File that marks removed rows, or None.
        map: The map, or None.
    """

    generation: str
    dtype: StorageType
    checkpoint: CheckpointStamp
    roots: tuple[Root, ...] = ()
    classes: tuple[str, ...] = ()
    segments: tuple[SegmentEntry, ...] = ()
    count: int = 0
    removed: str | None = None
    map: MapEntry | None = None

    @property
    def rows(self) -> int:
        """Rows on disk, those removed included."""
        return sum(segment.rows for segment in self.segments)


def read_manifest(folder: Path) -> Manifest | None:
    """Read a gallery's manifest; None if it has none.

    Raises:
        GalleryError: If it is damaged, foreign, or from a newer version.
    """
    path = folder / MANIFEST
    try:
        values: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise GalleryError(f"{path}: damaged; index the pictures again into a new folder") from error
    except OSError as error:
        raise GalleryError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not isinstance(values, dict) or values.pop("format", None) != _FORMAT:
        raise GalleryError(f"{path}: not the manifest of a gallery; give a folder that `index` made")
    version = values.pop("version", None)
    if version != _VERSION:
        raise GalleryError(
            f"{path}: written in version {version} of the format, this library reads version {_VERSION}; "
            "update the library, or index the pictures again into a new folder"
        )
    try:
        manifest = from_dict(Manifest, values, where="the manifest")
        _check_names(manifest)
        return manifest
    except ConfigError as error:
        raise GalleryError(
            f"{path}: damaged ({error}); index the pictures again into a new folder"
        ) from error


def _check_names(manifest: Manifest) -> None:
    """See that the files are where a gallery has them: a manifest may come from anywhere.

    Raises:
        ConfigError: If a name is of another form.
    """
    names = [(r"\d+-[0-9a-f]+", manifest.generation)]
    for segment in manifest.segments:
        names += [("[0-9a-f]+", segment.id), (r"\d+-[0-9a-f]+", segment.items)]
        if len(segment.sizes) != len(segment.files) or segment.rows < 1:
            raise ConfigError(f"segment {segment.id} has no right sizes")
    if manifest.removed is not None:
        names.append((r"removed-[0-9a-f-]+\.npy", manifest.removed))
    if manifest.map is not None:
        names.append((r"map-[0-9a-f-]+\.npy", manifest.map.file))
    for form, name in names:
        if not re.fullmatch(form, name):
            raise ConfigError(f"{name!r} is no name of a gallery's own")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make a state of the gallery the current one: the only moment at which readers see a change."""
    write_json(folder / MANIFEST, {"format": _FORMAT, "version": _VERSION} | to_dict(manifest))


def next_generation(generation: str) -> str:
    """A mark that no earlier state of a gallery had.

    Args:
        generation: The current one; empty for a new gallery.

    Example:
        >>> next_generation("000007-abcd")[:7]
        '000008-'
    """
    return f"{int(generation.partition('-')[0] or 0) + 1:06d}-{secrets.token_hex(4)}"


def root_paths(folder: Path, manifest: Manifest) -> list[str]:
    """The roots as absolute paths, in their order."""
    base = folder.absolute()
    return [os.path.normpath(base / root.path) for root in manifest.roots]


def store_root(folder: Path, root: str) -> str:
    """How the manifest notes a root: relative when it lies in the gallery's folder or beside it."""
    base = folder.absolute()
    beside = base.parent
    if Path(root).is_relative_to(beside) and beside != Path(beside.anchor):
        return os.path.relpath(root, base)
    return root
