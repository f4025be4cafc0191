"""Builds the index of the demo gallery, which the Explore page opens with.

    python assets/gallery/build_index.py [FOLDER]

Reads FOLDER/pictures, as draw.py beside this wrote them, and writes FOLDER/index anew with the shipped aviary
model: vectors in half precision, small thumbnails, and the map.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from avsl_core import load
from avsl_core.gallery import BuildOptions, build_gallery

OPTIONS = BuildOptions(dtype="fp16", thumbnail_side=144, map="umap")


def main(folder: Path) -> None:
    """Encode all pictures."""
    index = folder / "index"
    shutil.rmtree(index, ignore_errors=True)
    report = build_gallery(load("aviary"), folder / "pictures", index, options=OPTIONS)
    (index / "lock").unlink()
    print(f"{report.pictures} pictures in {report.seconds:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
