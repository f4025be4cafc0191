"""The shipped pictures: what the scripts beside them draw, and no more of it than a clone should carry."""

from pathlib import Path

from PIL import Image

from avsl_core import load
from avsl_core.aviary import species_of, write_aviary
from avsl_core.data import read_folder
from avsl_core.gallery import Gallery

ASSETS = Path(__file__).resolve().parent.parent / "assets"
GALLERY = ASSETS / "gallery"


def test_the_gallery_shows_every_unseen_species_several_times():
    pictures = read_folder(GALLERY / "pictures")
    assert set(pictures.class_names) == {species.slug for species in species_of("test")}
    assert set(pictures.class_sizes()) == {6}


def test_the_index_holds_every_picture_as_the_shipped_model_sees_it():
    index = Gallery.open(GALLERY / "index", checkpoint=load("aviary"))
    pictures = read_folder(GALLERY / "pictures").paths
    assert [index.item(row).path for row in range(len(index))] == list(pictures)
    assert index.coordinates is not None
    for row in range(len(index)):
        with Image.open(index.thumbnail(row)) as small:
            assert small.size == (144, 144)


def test_the_gallery_is_what_the_aviary_draws(tmp_path):
    """The first picture of each species, drawn again."""
    count = len(species_of("test"))
    write_aviary(tmp_path, count, 2026, size=320, split="test", species=count, workers=0)
    for path in read_folder(tmp_path).paths:
        with Image.open(path) as drawn, Image.open(GALLERY / "pictures" / path.relative_to(tmp_path)) as kept:
            assert drawn.tobytes() == kept.tobytes(), path.name


def test_the_assets_stay_small():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < 12 * 2**20
