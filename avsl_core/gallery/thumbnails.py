"""The small pictures of a gallery: one per content, made when it is encoded, and again when it is lost."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.gallery.files import remove_quietly, sync_file
from avsl_core.gallery.loading import Load, load_here
from avsl_core.gallery.segment import DIGEST_BYTES
from avsl_core.gallery.store import Gallery, thumbnail_path
from avsl_core.images import Preprocess
from avsl_core.images.limits import DEFAULT_LIMITS
from avsl_core.images.source import label_of, read_bytes

__all__ = ["mend_thumbnails", "sweep_thumbnails", "write_thumbnail"]

_QUALITY = 80
_OWN = re.compile(r"[0-9a-f]{32}\.webp|\.[0-9a-f]{32}\.webp\.[0-9a-f]+\.tmp")


def write_thumbnail(path: Path, pixels: NDArray[np.uint8], side: int) -> None:
    """Write a small WebP picture, unless it is there; it appears whole or not at all."""
    if path.exists():
        return
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    encoded = BytesIO()
    picture.save(encoded, "WEBP", quality=_QUALITY, method=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(encoded.getbuffer())
            sync_file(file)
        temporary.replace(path)
    except OSError:
        remove_quietly(temporary)
        raise


def mend_thumbnails(
    gallery: Gallery,
    preprocess: Preprocess,
    side: int,
    *,
    load: Load = load_here,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Make again what is missing, from files that still have the content that was indexed.

    Args:
        gallery: Looked through.
        preprocess: Of its checkpoint.
        side: Longest side of a thumbnail.
        load: Decodes.
        cancelled: Asked before each whether to leave the rest for another time.
    """
    for folder, rows in _folders(gallery):
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        for name, row in rows.items():
            if name in there:
                continue
            if cancelled is not None and cancelled():
                return
            pixels = _pixels(gallery, row, preprocess, load)
            if pixels is not None:
                with suppress(OSError):  # the gallery is complete without it; the next build tries again
                    write_thumbnail(folder / name, pixels, side)


def sweep_thumbnails(gallery: Gallery) -> None:
    """Remove those of pictures that a gallery no longer has, and what killed builds left half written.

    Chunks that are pending have theirs here too: only for when there are none.
    """
    for folder, rows in _folders(gallery):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _OWN.fullmatch(file.name) and file.name not in rows:
                remove_quietly(file)


def _folders(gallery: Gallery) -> Iterator[tuple[Path, dict[str, int]]]:
    """Every folder of thumbnails, with the file names that belong there and their rows."""
    digests = gallery.digests
    alive = np.ones(len(gallery), bool) if gallery.live is None else gallery.live.numpy()
    for first in range(256):
        rows = np.flatnonzero(alive & (digests[:, 0] == first)).tolist()
        paths = {thumbnail_path(gallery.path, digests[row].tobytes().hex()): row for row in rows}
        folder = thumbnail_path(gallery.path, f"{first:02x}").parent
        yield folder, {path.name: row for path, row in paths.items()}


def _pixels(gallery: Gallery, row: int, preprocess: Preprocess, load: Load) -> NDArray[np.uint8] | None:
    """A picture from one of its files, or None if all are gone or have another content by now."""
    digest = gallery.digests[row].tobytes()
    for file in gallery.record(row).files:
        path = f"{gallery.roots[file.root].rstrip('/')}/{file.name}"
        label = label_of(path, None)
        try:
            data = read_bytes(path, DEFAULT_LIMITS, label)
            if blake2b(data, digest_size=DIGEST_BYTES).digest() == digest:
                return load(preprocess, data, label)[0]
        except ImageError:
            continue
    return None
