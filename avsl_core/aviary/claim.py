"""Folders that hold nothing but what one run writes: claimed once, recognised when the run is taken up."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from avsl_core.errors import DataError

__all__ = ["claim_folder", "replace_file"]

SETTINGS = "aviary.json"
"""The file that says which run a folder belongs to."""


def claim_folder(folder: Path, settings: Mapping[str, Any], expected: Collection[str]) -> None:
    """Make a folder ready for a run, or find that it already is this run's.

    Args:
        folder: A folder that is missing, empty, or was claimed with the same settings.
        settings: What determines the content, in values of JSON.
        expected: The files the run will write, relative to the folder, with "/".

    Raises:
        DataError: The folder is a file, belongs to a run with other settings, holds anything else, or
            cannot be written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: is a file; give a folder")
        if not folder.is_dir() or not any(_visible(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode())
            return
        _check_settings(folder, settings)
        _check_content(folder, {SETTINGS, *expected})
    except OSError as error:
        raise DataError(f"{folder}: cannot be used ({error.strerror}); give another folder") from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole: under its own name it is complete, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same run writes the same bytes, so one temporary name for each file is enough.
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    path = folder / SETTINGS
    if not path.is_file():
        raise DataError(f"{folder}: holds other files; give an empty or a new folder")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error}); give an empty or a new folder") from error
    if found == dict(settings):
        return
    known = found if isinstance(found, dict) else {}
    key = next((name for name in settings if known.get(name) != settings[name]), "settings")
    raise DataError(
        f"{folder}: holds an aviary of other arguments ({key} {known.get(key)}, not {settings.get(key)}); "
        "give the same arguments to continue it, or another folder"
    )


def _check_content(folder: Path, expected: Collection[str]) -> None:
    folders = {str(Path(name).parent) for name in expected}
    waiting = list(_visible(folder))
    while waiting:
        entry = waiting.pop()
        name = entry.relative_to(folder).as_posix()
        if entry.is_dir() and name in folders:
            waiting.extend(_visible(entry))
        elif name not in expected:
            raise DataError(f"{entry}: is no file of this aviary; move it away, or give another folder")


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
