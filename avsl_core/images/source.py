"""From whatever holds a picture to its encoded bytes, and to a name for error messages."""

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.images.limits import ImageLimits

__all__ = ["ImageSource", "label_of", "one_line", "read_bytes"]

ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
)  # everything that load_image takes


def label_of(source: object, name: str | None) -> str:
    """What error messages call this picture: its path, else `name`, else what the object says.

    Args:
        source: Anything that holds a picture.
        name: The caller's name for it; a path speaks for itself and ignores it.

    Returns:
        One printable line of at most 200 characters.
    """
    if isinstance(source, str | os.PathLike):
        return one_line(os.fsdecode(source), 200) or "(empty path)"
    own = getattr(source, "filename", None) or getattr(source, "name", None)
    label = name or (own if isinstance(own, str) else "")
    return one_line(label, 200) or "this picture"


def one_line(text: str, longest: int) -> str:
    r"""`text` without line breaks and control characters, shortened in the middle.

    Examples:
        >>> one_line("first\nsecond", 40)
        'first second'
        >>> one_line("0123456789", 7)
        '012…789'
    """
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(clean) <= longest:
        return clean
    half = (longest - 1) // 2
    return f"{clean[:half]}…{clean[len(clean) - half :]}"


def read_bytes(source: object, limits: ImageLimits, label: str) -> bytes:
    """Read an encoded picture, never more than the byte limit.

    Args:
        source: A path, bytes, or a binary stream (read from where it stands).
        limits: `max_bytes` holds.
        label: What error messages call the picture.

    Returns:
        The encoded picture, from 1 to `max_bytes` bytes.

    Raises:
        ImageError: Missing, a folder, unreadable, empty, too heavy, or of a type that holds no picture.
    """
    if isinstance(source, str | os.PathLike):
        return _read_file(source, limits, label)
    if isinstance(source, bytes | bytearray | memoryview):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        limits.check_bytes(size, label)
        return bytes(source)
    if hasattr(source, "read"):
        return _read_stream(source, limits, label)
    raise ImageError(
        f"{label}: a {type(source).__name__} holds no picture; "
        "give a path, bytes, a binary file, a PIL image or a uint8 array"
    )


def _read_file(source: str | os.PathLike[str], limits: ImageLimits, label: str) -> bytes:
    try:
        path = Path(os.fsdecode(source))
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{label}: a folder, not a picture; name one file in it")
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for a writer that may never come.
            raise ImageError(f"{label}: not a regular file; save the picture to a file first")
        limits.check_bytes(status.st_size, label)
        with path.open("rb") as stream:
            return _read_stream(stream, limits, label)
    except FileNotFoundError as error:
        raise ImageError(f"{label}: no such file; check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"{label}: cannot be read ({one_line(reason, 100)}); check the path and its permissions"
        ) from error


def _read_stream(stream: Any, limits: ImageLimits, label: str) -> bytes:
    # Sockets and pipes hand over less than was asked for, so read until the end or one byte too many.
    blocks: list[bytes] = []
    missing = limits.max_bytes + 1
    while missing > 0:
        try:
            block = stream.read(missing)
        except Exception as error:
            raise ImageError(
                f"{label}: reading it failed ({one_line(str(error), 100)}); try again"
            ) from error
        if not isinstance(block, bytes | bytearray | memoryview):
            raise ImageError(
                f"{label}: reading it gave {type(block).__name__}; open it in binary mode ('rb')"
            )
        if not block:
            break
        blocks.append(bytes(block))
        missing -= len(blocks[-1])
    data = b"".join(blocks)
    limits.check_bytes(len(data), label)
    return data
