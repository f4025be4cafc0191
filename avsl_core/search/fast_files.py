"""A fast index on disk: the faiss file, and a description in JSON that names it.

The description is replaced as a whole, and only after the file that it names is complete; an interruption
leaves the former index or none. faiss takes long to import and is imported where it is used.
"""

import contextlib
import json
import os
import re
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avsl_core.config import from_dict, to_dict
from avsl_core.errors import ConfigError, GalleryError

__all__ = ["FastInfo", "Recall", "generation_of", "read_index", "write_index"]

_FORMAT, _VERSION = "avsl-fast-index", 1
_DESCRIPTION = "index.json"
_KINDS = ("hnsw", "ivfpq")


@dataclass(frozen=True)
class Recall:
    """How much of the exact answer a fast index finds.

    Attributes:
        k: Neighbours asked for.
        value: Share of the k exact neighbours that were found, on average.
        queries: Rows that were looked up, each without itself.
        shortlist: Rows measured in full per query.
    """

    k: int
    value: float
    queries: int
    shortlist: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= 1.0:
            raise ConfigError(f"a recall of {self.value}: it is a share, from 0 to 1")


@dataclass(frozen=True)
class FastInfo:
    """What a fast index is.

    Attributes:
        kind: ``"hnsw"`` or ``"ivfpq"``.
        rows: Rows it covers.
        dimensions: D of the rows.
        generation: State of the gallery that it was built from, as the gallery names it.
        effort: Links followed (HNSW's efSearch) or lists read (IVF's nprobe) per query.
        shortlist: Rows measured in full per query for up to ``recall.k`` neighbours.
        recall: Measured when it was built; None for a single row.
        seconds: Time to build, the measurement of recall included.
        bytes: Size of the faiss file.
    """

    kind: str
    rows: int
    dimensions: int
    generation: str
    effort: int
    shortlist: int
    recall: Recall | None
    seconds: float
    bytes: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS or self.effort < 1 or self.shortlist < 1:
            raise ConfigError(
                f"an index of kind {self.kind!r}, effort {self.effort} and shortlist {self.shortlist}: "
                f"kinds are {', '.join(_KINDS)}, and the others at least 1"
            )


def write_index(folder: Path, index: Any, info: FastInfo) -> FastInfo:
    """Put an index into a folder, in place of the one that may be there.

    Returns:
        The description with the size of the file.

    Raises:
        GalleryError: If the folder is not writable or the disk is full.
    """
    import faiss

    name = f"{uuid.uuid4().hex}.faiss"
    temporary = folder / f".{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(temporary))
        _sync(temporary)
        info = replace(info, bytes=temporary.stat().st_size)
        temporary.replace(folder / name)
        described = {"format": _FORMAT, "version": _VERSION, "file": name} | to_dict(info)
        draft = folder / f".{_DESCRIPTION}.tmp"
        draft.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        _sync(draft)
        _sync(folder)  # the file has its name before the description does
        draft.replace(folder / _DESCRIPTION)
        _sync(folder)
        for old in folder.glob("*.faiss"):
            if old.name != name:
                old.unlink(missing_ok=True)
        return info
    except (OSError, RuntimeError) as error:  # faiss has only RuntimeError
        raise GalleryError(
            f"{folder}: the index could not be written ({error}); is the disk full?"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # gone when all went well
            temporary.unlink(missing_ok=True)


def read_index(folder: Path) -> tuple[Any, FastInfo]:
    """Read an index.

    Raises:
        GalleryError: If there is none, or it is damaged, foreign, or of a newer version.
    """
    import faiss

    described = _read_description(folder)
    name = str(described.pop("file", ""))
    if not re.fullmatch(r"[0-9a-f]{32}\.faiss", name):  # nothing outside the folder
        raise GalleryError(f"{folder / _DESCRIPTION}: names no index of ours; build the fast index again")
    path = folder / name
    try:
        info = from_dict(FastInfo, described, where=str(folder / _DESCRIPTION))
        index = faiss.read_index(str(path), faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
    except (OSError, RuntimeError, ConfigError) as error:
        raise GalleryError(f"{path}: not a readable index; build it again ({_brief(error)})") from error
    if (index.ntotal, index.d) != (info.rows, info.dimensions):
        raise GalleryError(f"{path}: not the index that its description describes; build it again")
    return index, info


def generation_of(folder: Path) -> str | None:
    """The state of the gallery that a folder's index covers; None if there is no index.

    Raises:
        GalleryError: If the description is damaged.
    """
    if not (folder / _DESCRIPTION).is_file():
        return None
    return str(_read_description(folder).get("generation"))


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / _DESCRIPTION
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GalleryError(f"{folder}: holds no fast index; build one") from error
    except (OSError, ValueError, RecursionError) as error:
        raise GalleryError(f"{path}: damaged ({error}); build the fast index again") from error
    if not isinstance(described, dict) or described.pop("format", None) != _FORMAT:
        raise GalleryError(f"{path}: does not describe a fast index of this library")
    if (version := described.pop("version", None)) != _VERSION:
        raise GalleryError(
            f"{path}: version {version}, this library reads version {_VERSION}; build it again or update"
        )
    return described


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _brief(error: Exception) -> str:
    """The last part of faiss's messages, which begin with file and line of its source."""
    return " ".join(str(error).split())[-120:]
