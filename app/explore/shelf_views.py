"""Galleries as another method sees them: the same pictures, encoded once more in a folder of their own."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from app.work.workbench import Workbench, content_key
from avsl_core.errors import DataError, GalleryError
from avsl_core.gallery import BuildCancelled, BuildOptions, Gallery, Progress, build_gallery, remove_pictures
from avsl_core.gallery.manifest import MANIFEST

__all__ = ["build_view", "remove_old_views", "view_folder"]

log = logging.getLogger(__name__)

_VIEW = ".seen-"
_BATCH = 16  # small, so that progress moves and a stop is heard soon


def view_folder(folder: Path, key: str, gallery: Gallery, mark: str) -> Path:
    """Where a gallery as another model sees it lies, of the gallery's present state.

    Args:
        folder: Of the visitors' galleries.
        key: The gallery's.
        gallery: The gallery itself.
        mark: The other model's fingerprint.
    """
    return folder / f"{_prefix(key)}{mark[:12]}-{gallery.generation}"


def build_view(
    gallery: Gallery,
    title: str,
    bench: Workbench,
    work: Path,
    target: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Encode the pictures of a gallery with another model.

    Args:
        gallery: Whose pictures.
        title: What messages call it.
        bench: The other model.
        work: A folder to build in; it becomes the target, or goes away.
        target: Where it goes when all is done.
        progress: Told how far it has come.
        cancelled: Asked whether to stop.

    Raises:
        GalleryError: If the pictures are gone, the disk is full, or this was cancelled.
    """
    if not any(path.is_file() for path in _paths(gallery)):
        raise GalleryError(
            f"{title}: its pictures are no longer where the gallery found them, so no other method can look "
            "at them; put them back, or build the gallery again"
        )
    try:
        work.mkdir(parents=True)
        index = work / target.name
        options = BuildOptions(dtype=gallery.dtype, batch_size=_BATCH, map="pca", load=bench.decoder.load)
        build_gallery(
            bench.checkpoint, _source(gallery), index, options=options, progress=progress, cancelled=cancelled
        )
        _keep_only(index, gallery, title)
        if cancelled is not None and cancelled():
            raise BuildCancelled(title)
        if not (target / MANIFEST).is_file():
            shutil.rmtree(target.parent, ignore_errors=True)
            work.replace(target.parent)
    except BuildCancelled:
        raise
    except (DataError, GalleryError) as error:  # visitors have no business with our folders
        raise GalleryError(_plain(str(error), gallery, work, title)) from error
    except OSError as error:
        raise GalleryError(
            f"{title}: could not be written ({error.strerror or error}); try again, or ask those who run "
            "this page to free some space"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_old_views(folder: Path, key: str, mark: str, keep: Path) -> None:
    """Clear away what one model saw of earlier states of a gallery."""
    for left in folder.glob(f"{_prefix(key)}{mark[:12]}-*"):
        if left != keep:
            shutil.rmtree(left, ignore_errors=True)


def _prefix(key: str) -> str:
    return f"{_VIEW}{content_key(key.encode('utf-8', 'surrogateescape'))[:12]}-"


def _source(gallery: Gallery) -> Path | list[Path]:
    """Where the pictures are: their folder, so that its folders are classes here too, or their paths."""
    roots = gallery.manifest.roots
    if len(roots) == 1 and roots[0].classes:
        return Path(gallery.roots[0])
    return list(_paths(gallery))


def _paths(gallery: Gallery) -> Iterator[Path]:
    live = gallery.live
    for row in range(len(gallery)):
        if live is None or live[row]:
            yield gallery.item(row).path


def _keep_only(index: Path, gallery: Gallery, title: str) -> None:
    """Take away what lies in the folder and is not in the gallery, or has changed since."""
    seen = Gallery.open(index)
    live = gallery.digests if gallery.live is None else gallery.digests[gallery.live.numpy()]
    known = {row.tobytes() for row in np.ascontiguousarray(live)}
    strangers = [row.tobytes().hex() for row in seen.digests if row.tobytes() not in known]
    if len(strangers) == seen.count:
        raise GalleryError(f"{title}: all its pictures have changed since it was made; build it again")
    if strangers:
        remove_pictures(index, strangers)


def _plain(text: str, gallery: Gallery, work: Path, title: str) -> str:
    for place in (*gallery.roots, str(work)):
        text = text.replace(place, title)
    return text
