"""What a build is given: a folder, an archive, a list or paths, as a list of files that may be pictures."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from avsl_core.data.archive import extract, is_archive
from avsl_core.data.folder import list_pictures
from avsl_core.errors import DataError
from avsl_core.gallery.files import absolute_path
from avsl_core.gallery.manifest import Root
from avsl_core.gallery.options import BuildOptions
from avsl_core.images.formats import PICTURE_SUFFIXES

__all__ = ["MISSING", "FileEntry", "Listing", "Source", "list_source"]

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MISSING = -1  # size and time of a file that is not there

_LONGEST_LIST = 1 << 30


class FileEntry(NamedTuple):
    """A file that may be a picture, as it was when the source was listed.

    Attributes:
        root: Absolute folder.
        name: Path below it, with ``/``.
        classes: Whether the folders in ``root`` are classes.
        size: Bytes; :data:`MISSING` if there is no such file.
        mtime: Time of its last change in ns.
    """

    root: str
    name: str
    classes: bool
    size: int
    mtime: int

    @property
    def path(self) -> str:
        """The file, absolute."""
        return f"{self.root.rstrip('/')}/{self.name}"

    @property
    def class_name(self) -> str | None:
        """The folder below the root that stands for the class, if any."""
        first, separator, _ = self.name.partition("/")
        return first if self.classes and separator else None


@dataclass(frozen=True)
class Listing:
    """The files of a source, each once, in order.

    Attributes:
        entries: The files.
        scope: Folder that the source speaks for: what is gone from there is gone. None: for these files only.
    """

    entries: list[FileEntry]
    scope: str | None


def list_source(source: Source, gallery: Path, known: Sequence[Root], options: BuildOptions) -> Listing:
    """List the files of a source.

    Args:
        source: A folder, an archive, a text file with one path a line, a picture, or a sequence of paths.
        gallery: The gallery's folder, which is no source of pictures.
        known: Roots of the gallery, absolute: a file below one of them is named after it.
        options: Limits for archives.

    Raises:
        DataError: If the source is missing, empty, cannot be read, or is an archive that is damaged or too
            large.
    """
    if not isinstance(source, str | os.PathLike):
        return Listing(_from_paths([absolute_path(path) for path in source], known), None)
    path = Path(absolute_path(source))
    try:
        return _list_one(path, gallery, known, options)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); check its permissions and the disk"
        ) from error


def _list_one(path: Path, gallery: Path, known: Sequence[Root], options: BuildOptions) -> Listing:
    if is_archive(path) and not path.is_dir():
        root = _descend(
            extract(path, max_bytes=options.max_archive_bytes, max_files=options.max_archive_files)
        )
        return _from_folder(root, gallery, known)
    if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
        return Listing(_from_paths([str(path)], known), None)
    if path.is_file():
        return Listing(_from_paths(_read_list(path), known), None)
    return _from_folder(path, gallery, known)


def _from_folder(folder: Path, gallery: Path, known: Sequence[Root]) -> Listing:
    found = list_pictures(folder, recursive=True, extensions=PICTURE_SUFFIXES)
    # By their real places: a link may lead to the gallery too, and its thumbnails are no pictures to index.
    own = f"{os.path.realpath(gallery)}{os.sep}"
    inside = {
        place: f"{os.path.realpath(place)}{os.sep}".startswith(own)
        for place in {path.parent for path in found}
    }
    files = [str(path) for path in found if not inside[path.parent]]
    if not files:
        raise DataError(f"{folder}: no pictures in it besides the gallery's own; give the pictures' folder")
    # A root without classes came from a list of paths, and would hide those of this folder.
    roots = [*(root for root in known if root.classes), Root(str(folder), classes=True)]
    return Listing(_entries(files, roots), str(folder))


def _from_paths(paths: Iterable[str], known: Sequence[Root]) -> list[FileEntry]:
    unique = list(dict.fromkeys(paths))
    if not unique:
        raise DataError("no pictures given; give at least one path")
    strange = [path for path in unique if _root_of(path, known) is None]
    roots = list(known)
    if strange:
        common = os.path.commonpath([os.path.dirname(path) for path in strange])  # noqa: PTH120
        roots.append(Root(common, classes=False))
    return _entries(unique, roots)


def _entries(files: Iterable[str], roots: Sequence[Root]) -> list[FileEntry]:
    entries = []
    for file in files:
        root = _root_of(file, roots)
        if root is None:
            raise DataError(f"{file}: lies outside the folder that was given")
        name = file[len(root.path.rstrip(os.sep)) + 1 :]
        try:
            status = os.stat(file)  # noqa: PTH116 - a million times
            size, mtime = status.st_size, status.st_mtime_ns
        except (OSError, ValueError):
            size, mtime = MISSING, MISSING
        entries.append(FileEntry(root.path, name, root.classes, size, mtime))
    return entries


def _root_of(file: str, roots: Iterable[Root]) -> Root | None:
    """The first root above a file: a gallery's own come first, so that its files keep their names."""
    return next((root for root in roots if file.startswith(root.path.rstrip(os.sep) + os.sep)), None)


def _read_list(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _LONGEST_LIST:
            raise DataError(f"{path}: too long for a list of paths; give a folder, an archive or a text file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if b"\0" in data:
        raise DataError(f"{path}: neither a folder, an archive nor a text file with one path a line")
    # Names of files need not be valid text; "surrogateescape" is how Python writes such names.
    # Lines end in "\n" alone: for text, Python would also split at separators that names may contain.
    lines = [os.fsdecode(line.strip(b" \t\r")) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    found = [absolute_path(path.parent / line) for line in lines if line]
    if not found:
        raise DataError(f"{path}: no paths in it; write one picture's path a line")
    return found


def _descend(folder: Path) -> Path:
    """Skip the single folder that archives often wrap everything in."""
    while True:
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]
