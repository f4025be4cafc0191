"""A division of pictures written down in a JSON file: ours, and the list-of-lists of RAML.

Ours names the classes, and says where the pictures lie:

    {"root": "pictures", "train": {"robin": ["robin/1.jpg", ...], ...}, "val": {...}, "test": {...}}

RAML's (Suma and Tolias, "Large-to-small image resolution asymmetry in deep metric learning", WACV 2023)
holds one list of pictures per class and no names:

    {"train": [["a/1.jpg", "a/2.jpg"], ["b/1.jpg", ...], ...], "val": [...], "test": [...]}
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

from avsl_core.data.dataset import PictureSet
from avsl_core.data.layout import check_files
from avsl_core.data.splits import Split
from avsl_core.errors import DataError

__all__ = ["read_split_file", "write_split"]

_PARTS = ("train", "val", "test", "query", "gallery")
_Classes: TypeAlias = dict[str, list[str]]


def read_split_file(path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Split:
    """Read a split file in either layout.

    Classes without names are called after the folder that each lies in, where that tells all classes of
    the file apart, and otherwise after their part and place ("train/0").

    Args:
        path: the JSON file.
        root: the folder that the pictures' paths start from; by default the file's own "root", which
            itself starts from the folder of the file, or else that folder.

    Returns:
        The parts named in the file, each called after the file.

    Raises:
        DataError: the file is missing, not JSON or not in one of the two layouts, has an unknown key, an
            empty class, a class or picture twice, or lists pictures that are not there.
    """
    path = Path(path)
    content = _read_json(path)
    own_root = content.pop("root", ".")
    if not isinstance(own_root, str):
        raise DataError(f"{path}: 'root' must be the path of a folder, not {own_root!r}")
    unknown = sorted(set(content) - set(_PARTS))
    if unknown:
        raise DataError(f"{path}: unknown key {unknown[0]!r}; known are root, {', '.join(_PARTS)}")
    if not content:
        raise DataError(f"{path}: no part; needs at least one of {', '.join(_PARTS)}")
    base = path.parent / own_root if root is None else Path(root)
    ordered = {part: content[part] for part in _PARTS if part in content}
    _check_shape(path, ordered)
    parts = _named(ordered)
    _check_once(path, parts)
    split = _to_split(path, base, parts)
    check_files([picture for part in split.parts().values() for picture in part.paths], path)
    return split


def write_split(
    split: Split, path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None
) -> None:
    """Write a split in our layout, to be read again by `read_split_file`.

    Pictures are written class by class; boxes have no place in the file and are left out.

    Args:
        split: what to write.
        path: the JSON file; an existing one is replaced as a whole.
        root: the folder that paths are written relative to; by default the closest one that holds all
            pictures.

    Raises:
        DataError: a picture does not lie below `root`, or the file cannot be written.
    """
    path = Path(path)
    pictures = [_absolute(picture) for part in split.parts().values() for picture in part.paths]
    base = (
        Path(os.path.commonpath([picture.parent for picture in pictures]))
        if root is None
        else _absolute(root)
    )
    outside = next((picture for picture in pictures if not picture.is_relative_to(base)), None)
    if outside is not None:
        raise DataError(f"{outside}: does not lie in {base}; give a root that holds all pictures")
    content: dict[str, Any] = {"root": Path(os.path.relpath(base, _absolute(path.parent))).as_posix()}
    for part, chosen in split.parts().items():
        classes: _Classes = {class_name: [] for class_name in chosen.class_names}
        for picture, label in zip(chosen.paths, chosen.labels, strict=True):
            classes[chosen.class_names[label]].append(_absolute(picture).relative_to(base).as_posix())
        content[part] = {class_name: listed for class_name, listed in classes.items() if listed}
    _write_whole(path, json.dumps(content, indent=1) + "\n")


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.normpath(Path(path).absolute()))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a split file in JSON") from error
    if raw.startswith((b"\x80", b"PK")):
        raise DataError(
            f"{path}: looks pickled, and unpickling can run any program; write the dictionary as JSON"
        )
    try:
        content = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not a split file in JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: must hold one JSON object with train, val or test, not a {type(content).__name__}"
        )
    return content


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with one key twice, of which JSON would silently keep the last."""
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise ValueError(f"key {repeated[0]!r} is given twice")
    return dict(pairs)


def _check_shape(path: Path, parts: dict[str, Any]) -> None:
    for part, classes in parts.items():
        if not isinstance(classes, dict | list) or not classes:
            raise DataError(
                f"{path}: {part!r} must be an object or a list of classes, with at least one class"
            )
        for key, pictures in classes.items() if isinstance(classes, dict) else enumerate(classes):
            is_list = isinstance(pictures, list) and all(isinstance(item, str) and item for item in pictures)
            if not is_list or not pictures:
                raise DataError(
                    f"{path}: class {key!r} of {part!r} must be a list of one or more picture paths"
                )


def _named(parts: dict[str, Any]) -> dict[str, _Classes]:
    """Bring both layouts to the same shape: part, then class name, then paths."""
    unnamed = [
        (part, number, pictures)
        for part in parts
        if isinstance(parts[part], list)
        for number, pictures in enumerate(parts[part])
    ]
    folders = [_common_folder(pictures) for _, _, pictures in unnamed]
    taken = {name for classes in parts.values() if isinstance(classes, dict) for name in classes}
    by_folder = all(folders) and len(set(folders)) == len(folders) and not taken & set(folders)
    named: dict[str, _Classes] = {
        part: classes if isinstance(classes, dict) else {} for part, classes in parts.items()
    }
    for (part, number, pictures), folder in zip(unnamed, folders, strict=True):
        named[part][folder if by_folder else f"{part}/{number}"] = pictures
    return named


def _common_folder(pictures: list[str]) -> str:
    """Name the folder that directly holds all these pictures, or nothing."""
    parents = {Path(picture).parent for picture in pictures}
    return parents.pop().name if len(parents) == 1 else ""


def _check_once(path: Path, parts: dict[str, _Classes]) -> None:
    listed = Counter(
        picture for classes in parts.values() for pictures in classes.values() for picture in pictures
    )
    picture, count = listed.most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: picture {picture!r} is listed {count} times; list each once")


def _to_split(path: Path, base: Path, parts: dict[str, _Classes]) -> Split:
    # Query and gallery number their classes alike, whichever of the two shows a class.
    shared = list(dict.fromkeys(name for part in ("query", "gallery") for name in parts.get(part, {})))
    sets = {
        part: PictureSet.from_names(
            path.stem,
            [base / picture for pictures in classes.values() for picture in pictures],
            [name for name, pictures in classes.items() for _ in pictures],
            class_names=shared if part in ("query", "gallery") else None,
        )
        for part, classes in parts.items()
    }
    try:
        return Split(**sets)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _write_whole(path: Path, text: str) -> None:
    """Write beside the file first, so that a broken-off write leaves the old one as it was."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
