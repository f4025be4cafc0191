"""Pictures in folders: one folder per class, or one flat folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from avsl_core.data.dataset import PictureSet
from avsl_core.errors import DataError

__all__ = ["PICTURE_EXTENSIONS", "list_pictures", "read_folder"]

_log = logging.getLogger(__name__)

PICTURE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif"}
)
_LAYOUT = "expected FOLDER/<class>/<picture>, with at least two class folders"


def read_folder(
    root: str | os.PathLike[str], *, extensions: Collection[str] = PICTURE_EXTENSIONS
) -> PictureSet:
    """Read a folder that holds one folder of pictures per class.

    Pictures may lie deeper inside their class folder. Hidden files and folders are left out, other files
    that are not pictures too. Linked folders are followed, each once per class.

    Args:
        root: the folder.
        extensions: what a picture's file name ends with, in lower case, with the dot.

    Returns:
        A set called after the folder; classes and pictures in natural order (2 before 10).

    Raises:
        DataError: there is no such folder, no class, only one, or a class folder without a picture.
    """
    root = _existing_folder(root)
    folders = sorted((entry for entry in _visible(root) if entry.is_dir()), key=_natural)
    loose = [entry for entry in _visible(root) if _is_picture(entry, extensions)]
    if not folders:
        found = f"{len(loose)} pictures but no class folders" if loose else "nothing to read"
        raise DataError(f"{root}: {found}; {_LAYOUT}")
    if len(folders) == 1:
        raise DataError(f"{root}: only one class folder, {folders[0].name!r}; {_LAYOUT}")
    if loose:
        _log.warning("%s: %d pictures outside the class folders are left out", root, len(loose))
    paths: list[Path] = []
    names: list[str] = []
    for folder in folders:
        pictures = _pictures_below(folder, extensions)
        if not pictures:
            endings = " ".join(sorted(extensions))
            raise DataError(f"{folder}: no pictures ({endings}) in this class folder; add some or remove it")
        paths.extend(pictures)
        names.extend([folder.name] * len(pictures))
    return PictureSet.from_names(root.resolve().name, paths, names)


def list_pictures(
    path: str | os.PathLike[str], *, recursive: bool = False, extensions: Collection[str] = PICTURE_EXTENSIONS
) -> list[Path]:
    """List the pictures of one folder, whatever they show.

    Args:
        path: the folder.
        recursive: also look into the folders inside.
        extensions: what a picture's file name ends with, in lower case, with the dot.

    Returns:
        At least one file, in natural order; hidden files are left out.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    folder = _existing_folder(path)
    if recursive:
        found = _pictures_below(folder, extensions)
    else:
        found = sorted((entry for entry in _visible(folder) if _is_picture(entry, extensions)), key=_natural)
    if not found:
        where = "in it or below" if recursive else "directly in it"
        raise DataError(f"{folder}: no pictures {where}; looked for {' '.join(sorted(extensions))}")
    return found


def _existing_folder(path: str | os.PathLike[str]) -> Path:
    folder = Path(path)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; give a folder of pictures")
    return folder


def _pictures_below(folder: Path, extensions: Collection[str]) -> list[Path]:
    # A link may lead back to a folder above it: every real folder is entered once only.
    seen: set[str] = set()
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        # Natural order also decides by which of two names a folder linked twice is reached.
        entries = sorted(_visible(current), key=_natural)
        found.extend(entry for entry in entries if _is_picture(entry, extensions))
        waiting.extend(entry for entry in reversed(entries) if entry.is_dir())
    return sorted(found, key=_natural)


def _visible(folder: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error


def _is_picture(entry: Path, extensions: Collection[str]) -> bool:
    return entry.suffix.lower() in extensions and entry.is_file()


def _natural(path: Path) -> tuple[list[str | int], str]:
    """Order names as people do: digits by value, letters regardless of case; the name itself breaks ties."""
    pieces = re.split(r"(\d+)", str(path), flags=re.ASCII)
    # Splitting alternates text and digits, so that text is only ever compared with text.
    return [int(piece) if i % 2 else piece.casefold() for i, piece in enumerate(pieces)], str(path)
