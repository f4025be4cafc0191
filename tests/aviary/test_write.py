"""Writing a folder of pictures: reproducible, resumable, careful with the files of others."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from avsl_core.aviary import processes
from avsl_core.aviary.parameters import PARTS
from avsl_core.aviary.pictures import draw
from avsl_core.aviary.plan import plan_pictures
from avsl_core.aviary.species import all_species
from avsl_core.aviary.write import write_aviary
from avsl_core.data import read_folder, read_split_file
from avsl_core.errors import ConfigError, DataError

SIZE = 48


def write(out, count=12, seed=3, **options):
    return write_aviary(out, count, seed, **{"size": SIZE, "workers": 0, "species": 4} | options)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder, its masks and the report; only read by the tests."""
    root = tmp_path_factory.mktemp("aviary")
    return root / "birds", root / "parts", write(root / "birds", masks=root / "parts")


def test_the_folder_is_read_as_a_data_set(written):
    out, _, report = written
    pictures = read_folder(out)
    assert len(pictures) == report.pictures == report.drawn == 12
    assert pictures.num_classes == report.species == 4
    assert set(Counter(pictures.labels).values()) == {3}
    with Image.open(pictures.paths[0]) as picture:
        assert picture.format == "WEBP"
        assert picture.size == (SIZE, SIZE)


def test_the_split_file_divides_the_species_as_they_are(written):
    split = read_split_file(written[0] / "split.json")
    splits = {species.slug: species.split for species in all_species()}
    found = {name: part for part, chosen in split.parts().items() for name in chosen.class_names}
    assert len(found) == 4
    assert all(splits[name] == part for name, part in found.items())


def test_every_picture_has_a_line_that_says_what_it_shows(written):
    out = written[0]
    lines = [json.loads(line) for line in (out / "aviary.jsonl").read_text().splitlines()]
    assert sorted(line["file"] for line in lines) == sorted(
        path.relative_to(out).as_posix() for path in read_folder(out).paths
    )
    by_name = {species.name: species for species in all_species()}
    for line in lines:
        species = by_name[line["species"]]
        assert line["bird"] == species.bird.to_dict()
        assert (line["family"], line["split"]) == (species.family, species.split)
        assert {"size", "background", "occluder", "seed"} <= set(line["scene"])


def test_a_picture_is_the_one_that_its_species_and_number_draw(tmp_path):
    write(tmp_path / "birds", count=2, format="png", species=1)
    plan = plan_pictures(2, species=1)
    for planned in plan:
        expected = draw(all_species()[planned.species], (3, planned.species, planned.number), SIZE)
        with Image.open(tmp_path / "birds" / f"{planned.stem}.png") as picture:
            assert np.array_equal(np.asarray(picture), expected.pixels)


def test_masks_say_which_part_a_pixel_shows(written):
    out, masks, _ = written
    for path in read_folder(out).paths:
        with Image.open(masks / path.parent.name / f"{path.stem}.png") as picture:
            assert picture.mode == "P"
            labels = np.asarray(picture)
        assert labels.shape == (SIZE, SIZE)
        assert labels.max() <= len(PARTS)
        assert 0 < (labels > 0).mean() < 0.8
        assert 1 + PARTS.index("coat") in labels


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(written, tmp_path):
    out = written[0]
    write(tmp_path / "again")
    assert content(tmp_path / "again") == content(out)
    write(tmp_path / "other", seed=4)
    first, second = content(out), content(tmp_path / "other")
    assert all(first[name] != second[name] for name in first if name.endswith(".webp"))


def test_several_processes_write_the_same_bytes_as_one(written, tmp_path, monkeypatch):
    # A second process for so few: it begins at the front while this one begins at the end.
    monkeypatch.setattr(processes, "_WORTH_A_PROCESS", 4)
    monkeypatch.setattr(processes, "_CHUNK", 3)
    report = write(tmp_path / "birds", workers=2)
    assert report.drawn == 12
    assert content(tmp_path / "birds") == content(written[0])


def test_a_broken_off_run_is_taken_up(written, tmp_path):
    out = tmp_path / "birds"
    write(out)
    pictures = sorted(out.rglob("*.webp"))
    for lost in pictures[5:]:
        lost.unlink()
    (out / "aviary.jsonl").unlink()
    (pictures[5].parent / f".{pictures[5].name}.part").write_bytes(b"half a pict")
    kept = pictures[0].stat().st_mtime_ns
    report = write(out)
    assert report.drawn == 7
    assert pictures[0].stat().st_mtime_ns == kept
    assert content(out) == content(written[0])


def test_a_finished_run_is_left_as_it_is(tmp_path):
    write(tmp_path / "birds", count=4)
    assert write(tmp_path / "birds", count=4).drawn == 0


def test_masks_can_be_added_later(written, tmp_path):
    write(tmp_path / "birds")
    write(tmp_path / "birds", masks=tmp_path / "parts")
    assert content(tmp_path / "parts") == content(written[1])


def test_an_aviary_of_other_arguments_is_refused(tmp_path):
    write(tmp_path / "birds", count=4)
    before = content(tmp_path / "birds")
    with pytest.raises(DataError, match=r"other arguments \(seed 3, not 9\)"):
        write(tmp_path / "birds", count=4, seed=9)
    assert content(tmp_path / "birds") == before


def test_a_folder_with_files_of_others_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(DataError, match="holds other files"):
        write(tmp_path / "mine")
    assert content(tmp_path / "mine") == {"notes.txt": b"keep"}


def test_a_file_that_came_into_an_aviary_later_is_named(tmp_path):
    write(tmp_path / "birds", count=4)
    folder = next(path for path in (tmp_path / "birds").iterdir() if path.is_dir())
    (folder / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"holiday\.jpg: is no file of this aviary"):
        write(tmp_path / "birds", count=4)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "birds").write_text("")
    with pytest.raises(DataError, match="is a file"):
        write(tmp_path / "birds")


def test_masks_among_the_pictures_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="lie one in the other"):
        write(tmp_path / "birds", masks=tmp_path / "birds" / "parts")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count of pictures must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"size": 5}, "size must lie in 32 to 2048"),
        ({"species": 0}, "species: 0 is not in 1 to"),
        ({"species": 13}, "13 is not in 1 to 12"),
        ({"split": "dev"}, "split of the aviary"),
        ({"format": "bmp"}, "'bmp' is not one of webp, png, jpg"),
        ({"workers": -1}, "workers must be 0 or more"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write(tmp_path / "birds", **options)
    assert not (tmp_path / "birds").exists()


def test_only_species_of_the_split_are_shown(tmp_path):
    write(tmp_path / "birds", count=4, split="val", format="jpg")
    slugs = {species.slug for species in all_species() if species.split == "val"}
    assert {path.parent.name for path in (tmp_path / "birds").rglob("*.jpg")} <= slugs
    assert not (tmp_path / "birds" / "split.json").exists()


def test_species_are_about_as_many_as_give_eight_pictures_each():
    for count, expected in ((2, 2), (16, 2), (80, 10), (1920, 240), (10_000, 240)):
        plan = plan_pictures(count)
        shares = Counter(picture.species for picture in plan)
        assert len(plan) == count
        assert len(shares) == expected
        assert max(shares.values()) - min(shares.values()) <= 1


def test_species_are_spread_over_splits_and_families():
    species = all_species()
    chosen = [species[number] for number in {picture.species for picture in plan_pictures(160)}]
    assert Counter(one.split for one in chosen) == {"train": 12, "val": 3, "test": 5}
    assert len({(one.split, one.family) for one in chosen}) == 20


def test_a_plan_for_more_species_includes_that_for_fewer():
    few, more = ({picture.species for picture in plan_pictures(240, species=k)} for k in (15, 40))
    assert few < more
