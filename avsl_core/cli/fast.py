"""The index for fast search, built when it is wanted and not there."""

from contextlib import suppress

from tqdm import tqdm

from avsl_core.errors import GalleryError
from avsl_core.gallery import Gallery
from avsl_core.models import Measure
from avsl_core.search.fast import FastIndex, build_fast, open_fast

__all__ = ["ensure_fast"]


def ensure_fast(gallery: Gallery, measure: Measure) -> FastIndex:
    """Open a gallery's fast index, or build it with a bar on standard error and keep it there.

    Args:
        gallery: As it stands.
        measure: Of the model that made it.

    Raises:
        GalleryError: If the gallery is empty, or the index cannot be written.
    """
    with suppress(GalleryError):  # a damaged one is built again
        index = open_fast(gallery, measure)
        if index is not None:
            return index
    with tqdm(total=len(gallery), unit=" pictures", desc="fast index") as bar:

        def show(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return build_fast(gallery, measure, progress=show)
