"""Galleries on disk: built in pieces, read through memory maps, never half written.

A gallery is a folder. ``manifest.json`` is its only point of commit: whatever it does not name does not
exist for readers. It names segments (``segments/<id>/``: rows, digests and items of consecutive pictures),
which rows were removed, and the map. ``thumbnails/`` holds one small picture per content, ``pending/`` the
finished pieces of an unfinished build. Anything else in the folder belongs to others and is left alone.
"""

from avsl_core.gallery.build import add_pictures, build_gallery, remove_pictures
from avsl_core.gallery.options import BuildCancelled, BuildOptions, BuildReport, Progress
from avsl_core.gallery.stamp import CheckpointStamp, load_checkpoint_of
from avsl_core.gallery.store import Gallery, Item

__all__ = [
    "BuildCancelled",
    "BuildOptions",
    "BuildReport",
    "CheckpointStamp",
    "Gallery",
    "Item",
    "Progress",
    "add_pictures",
    "build_gallery",
    "load_checkpoint_of",
    "remove_pictures",
]
