"""Draws the demo gallery: the aviary's unseen species, six pictures each, with thumbnails.

    python assets/gallery/draw.py [FOLDER]

Writes FOLDER/pictures/<species>/<number>.webp with their parameters, and FOLDER/thumbnails beside it; the
same files on every run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from PIL import Image

from avsl_core.aviary import species_of, write_aviary

SEED, SIDE, THUMBNAIL, PER_SPECIES = 2026, 320, 112, 6


def main(folder: Path) -> None:
    """Draw all pictures and their thumbnails."""
    count = len(species_of("test"))
    write_aviary(
        folder / "pictures", PER_SPECIES * count, SEED, size=SIDE, split="test", species=count, progress=True
    )
    for path in sorted((folder / "pictures").glob("*/*.webp")):
        small = folder / "thumbnails" / path.parent.name / path.name
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as picture:
            reduced = picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        reduced.save(small, "WEBP", quality=80, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
