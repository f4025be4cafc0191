"""Draws the pictures of the demo gallery: the aviary's unseen species, six pictures each.

    python assets/gallery/draw.py [FOLDER]

Writes FOLDER/pictures/<species>/<number>.webp with their parameters; the same files on every run. Afterwards
build_index.py beside this makes the index anew.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from avsl_core.aviary import species_of, write_aviary

SEED, SIDE, PER_SPECIES = 2026, 320, 6


def main(folder: Path) -> None:
    """Draw all pictures."""
    count = len(species_of("test"))
    write_aviary(
        folder / "pictures", PER_SPECIES * count, SEED, size=SIDE, split="test", species=count, progress=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
