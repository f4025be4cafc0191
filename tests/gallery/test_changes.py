"""Adding and removing: few segments, stable rows, and removed pictures that go in the end."""

import shutil

import pytest
import torch

from avsl_core.errors import GalleryError
from avsl_core.gallery import BuildCancelled, Gallery, remove_pictures
from avsl_core.gallery.layout import choose_rewritten


def test_a_removed_picture_is_marked_and_its_row_stays(build, pictures, contents):
    _, gallery = build(pictures)
    old = contents(gallery)
    kept = gallery.find("class2/2.png")
    assert remove_pictures(gallery.path, ["class0/3.png"]) == 1
    after = Gallery.open(gallery.path)
    assert (len(after), after.count) == (12, 11)
    assert after.generation != gallery.generation
    assert after.live.tolist() == [row != 1 for row in range(12)]
    assert after.find("class0/3.png") is None
    assert after.find("class2/2.png") == kept
    assert contents(after) == {name: value for name, value in old.items() if name != "class0/3.png"}


def test_pictures_are_removed_by_name_path_or_digest(build, pictures):
    _, gallery = build(pictures)
    named = ["class0/3.png", gallery.item(0).path, gallery.item(5).digest]
    assert remove_pictures(gallery.path, named) == 3
    assert Gallery.open(gallery.path).count == 9
    assert all((pictures / name).is_file() for name in ("class0/0.png", "class0/3.png"))


def test_the_thumbnail_of_a_removed_picture_goes_too(build, pictures):
    _, gallery = build(pictures)
    thumbnail = gallery.thumbnail(1)
    remove_pictures(gallery.path, ["class0/3.png"])
    assert not thumbnail.exists()
    assert len(list(gallery.path.glob("thumbnails/*/*.webp"))) == 11


def test_removing_one_of_equal_files_keeps_the_picture(build, pictures):
    shutil.copy(pictures / "class0" / "0.png", pictures / "class2" / "again.png")
    _, gallery = build(pictures)
    assert remove_pictures(gallery.path, ["class0/0.png", "class0/0.png"]) == 0
    after = Gallery.open(gallery.path)
    item = after.item(after.find("class2/again.png"))
    assert (item.row, item.copies, item.class_name) == (0, (), "class2")
    assert after.thumbnail(0).is_file()


def test_a_name_that_is_not_there_removes_nothing(build, pictures):
    _, gallery = build(pictures)
    with pytest.raises(GalleryError, match=r"has no picture 'nobody.png'; nothing was removed"):
        remove_pictures(gallery.path, ["class0/3.png", "nobody.png"])
    assert Gallery.open(gallery.path).generation == gallery.generation


def test_everything_can_be_removed_and_added_again(build, pictures):
    _, gallery = build(pictures)
    names = [gallery.item(row).name for row in range(12)]
    assert remove_pictures(gallery.path, names) == 12
    empty = Gallery.open(gallery.path)
    assert (empty.count, list(empty.blocks()), len(empty.read(0, 5))) == (0, [], 0)
    report, gallery = build(pictures)
    assert (report.added, gallery.count) == (12, 12)


def test_a_removed_picture_comes_back_with_the_next_build(build, pictures):
    _, gallery = build(pictures)
    remove_pictures(gallery.path, ["class0/3.png"])
    report, gallery = build(pictures)
    assert (report.added, gallery.count) == (1, 12)
    assert gallery.thumbnail(gallery.find("class0/3.png")).is_file()


def test_rows_are_dropped_when_more_than_a_quarter_is_removed(build, pictures, contents):
    _, gallery = build(pictures, map="pca")
    old, coordinates = contents(gallery), gallery.coordinates
    three = ["class0/0.png", "class0/3.png", "class0/6.png"]
    remove_pictures(gallery.path, three)
    marked = Gallery.open(gallery.path)
    assert (len(marked), marked.count) == (12, 9)
    remove_pictures(gallery.path, ["class1/1.png"])
    after = Gallery.open(gallery.path)
    assert (len(after), after.count, after.live) == (8, 8, None)
    gone = {*three, "class1/1.png"}
    assert contents(after) == {name: value for name, value in old.items() if name not in gone}
    kept = [row for row, name in enumerate(old) if name not in gone]
    assert (after.coordinates == coordinates[kept]).all()
    named = [after.classes[code] for code in after.class_codes]
    assert named == ["class0"] + ["class1"] * 3 + ["class2"] * 4


def test_segments_stay_few_when_pictures_are_added_one_by_one(build, pictures, draw, contents):
    _, gallery = build(pictures)
    for number in range(20):
        draw(pictures / "late" / f"late{number:02d}.png")
        _, gallery = build(pictures)
    assert gallery.count == len(gallery) == 32
    assert len(gallery.manifest.segments) <= 5
    assert list(contents(gallery))[12:] == [f"late/late{number:02d}.png" for number in range(20)]


def test_a_row_is_copied_a_logarithmic_number_of_times():
    rows, copied = [], 0
    for _ in range(2000):
        rewritten = choose_rewritten(rows, [0] * len(rows), 1, 65_536)
        kept = [count for count, again in zip(rows, rewritten, strict=True) if not again]
        moved = sum(rows) - sum(kept)
        copied += moved
        rows = [*kept, moved + 1]
        assert len(rows) <= 12
    assert copied <= 12 * 2000


def test_full_segments_are_never_copied_for_new_rows():
    assert choose_rewritten([100, 100, 100], [0, 10, 0], 1000, 100) == [False, False, False]


def test_small_segments_that_have_piled_up_are_merged():
    many = [100, *[10] * 65]
    assert choose_rewritten(many, [0] * 66, 1, 100) == [False, *[True] * 65]
    few = [100, *[10] * 30]
    assert choose_rewritten(few, [0] * 31, 1, 100) == [False] * 31


def test_only_segments_with_removed_rows_are_compacted():
    assert choose_rewritten([10, 10, 10], [6, 0, 2], 0, 10) == [True, False, True]
    assert choose_rewritten([10, 10, 10], [5, 0, 2], 0, 10) == [False, False, False]


def test_an_open_gallery_says_when_it_was_changed(build, pictures):
    _, gallery = build(pictures)
    shutil.copy(pictures / "class0" / "0.png", pictures / "class0" / "again.png")
    build(pictures)
    with pytest.raises(GalleryError, match="was changed since it was opened; open it again"):
        gallery.item(0)


def test_rows_that_were_mapped_can_be_read_after_a_change(build, pictures, draw):
    _, gallery = build(pictures)
    before = gallery.read(0, 12)
    draw(pictures / "class0" / "new.png")
    build(pictures)
    assert torch.equal(gallery.read(0, 12).vectors, before.vectors)


@pytest.fixture
def interrupted(build, pictures, draw):
    """A gallery of 12 pictures, and an update of it by 10 that was stopped after the first 5."""
    _, gallery = build(pictures)
    for number in range(20, 30):
        draw(pictures / "class2" / f"{number}.png")
    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 5)
    return gallery


def test_removing_leaves_an_interrupted_build_what_it_has_done(interrupted, build, pictures, encodings):
    assert remove_pictures(interrupted.path, ["class0/0.png"]) == 1
    (pictures / "class0" / "0.png").unlink()
    before = encodings()
    assert build(pictures)[1].count == 21
    assert encodings() - before == 5


def test_removing_after_a_crash_leaves_chunks_that_were_moved(interrupted, build, pictures, encodings):
    (chunk,) = (interrupted.path / "pending").iterdir()
    chunk.rename(interrupted.path / "segments" / chunk.name)  # as a commit under torchrun does first
    remove_pictures(interrupted.path, ["class0/0.png"])
    (pictures / "class0" / "0.png").unlink()
    before = encodings()
    assert build(pictures)[1].count == 21
    assert encodings() - before == 5


def test_adding_a_picture_leaves_an_interrupted_build_what_it_has_done(
    interrupted, build, pictures, draw, tmp_path, encodings
):
    _, gallery = build([draw(tmp_path / "elsewhere" / "one.png")])
    assert gallery.count == 13
    before = encodings()
    _, gallery = build(pictures)
    assert gallery.count == 23
    assert encodings() - before == 5
    assert not (gallery.path / "pending").exists()
