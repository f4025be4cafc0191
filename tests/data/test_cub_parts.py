"""Part locations and boxes of CUB, from a small archive of the published shape."""

import shutil

import pytest

from avsl_core.data.cub_parts import read_cub_parts
from avsl_core.errors import DataError

PICTURES = ["001.Black footed/a_1.jpg", "001.Black footed/a_2.jpg", "002.Ärmel/b_1.jpg"]
PARTS = ["back", "beak", "left eye"]


@pytest.fixture
def cub(tmp_path, put):
    base = tmp_path / "CUB_200_2011"
    for picture in PICTURES:
        put(base / "images" / picture)
    put(base / "images.txt", "".join(f"{i} {picture}\n" for i, picture in enumerate(PICTURES, 1)))
    put(base / "bounding_boxes.txt", "1 1.0 2.5 4.0 3.0\n2 0.0 0.0 8.0 6.0\n3 2.0 1.0 3.5 4.0\n")
    put(base / "parts" / "parts.txt", "".join(f"{i} {name}\n" for i, name in enumerate(PARTS, 1)))
    rows = ["1 1 3.0 4.0 1", "1 2 0.0 0.0 0", "1 3 5.5 1.0 1"]
    rows += [f"{picture} {part} {picture}.0 {part}.0 1" for picture in (2, 3) for part in (1, 2, 3)]
    put(base / "parts" / "part_locs.txt", "\n".join(rows) + "\n")
    return base


def test_every_picture_has_its_box_as_left_top_right_bottom(cub):
    parts = read_cub_parts(cub)
    assert [picture.box for picture in parts.pictures] == [
        (1.0, 2.5, 5.0, 5.5),
        (0.0, 0.0, 8.0, 6.0),
        (2.0, 1.0, 5.5, 5.0),
    ]
    assert parts.pictures[2].path == cub / "images" / PICTURES[2]
    assert parts.pictures[2].class_name == "002.Ärmel"


def test_only_visible_parts_have_a_point(cub):
    parts = read_cub_parts(cub)
    assert parts.names == tuple(PARTS)
    assert dict(parts.pictures[0].points) == {"back": (3.0, 4.0), "left eye": (5.5, 1.0)}
    assert set(parts.pictures[1].points) == set(PARTS)


def test_the_archive_reads_like_the_folder(cub, tmp_path):
    from_folder = read_cub_parts(cub)
    made = shutil.make_archive(str(tmp_path / "packing"), "gztar", tmp_path, cub.name)
    shutil.rmtree(cub)
    shutil.move(made, tmp_path / "CUB_200_2011.tgz")
    for root in (tmp_path / "CUB_200_2011.tgz", tmp_path):
        from_archive = read_cub_parts(root)
        assert [p.points for p in from_archive.pictures] == [p.points for p in from_folder.pictures]
        assert all(picture.path.is_file() for picture in from_archive.pictures)


def test_species_can_be_chosen_by_name(cub):
    parts = read_cub_parts(cub)
    assert len(parts.subset_of_classes(["001.Black footed"])) == 2
    with pytest.raises(DataError, match=r"no species 009\.Dodo among 2"):
        parts.subset_of_classes(["009.Dodo"])


@pytest.mark.parametrize(
    "file", ["images.txt", "bounding_boxes.txt", "parts/parts.txt", "parts/part_locs.txt"]
)
def test_a_missing_file_is_named(cub, file):
    (cub / file).unlink()
    with pytest.raises(DataError, match=file):
        read_cub_parts(cub)


@pytest.mark.parametrize(
    ("file", "line", "content", "message"),
    [
        ("images.txt", 2, "2", "does not have 2 columns"),
        ("images.txt", 3, "1 other.jpg", "number 1 a second time"),
        ("parts/parts.txt", 2, "1 beak", "number 1 a second time"),
        ("bounding_boxes.txt", 2, "2 a b c d", "'a b c d' should be numbers"),
        ("bounding_boxes.txt", 3, "3 2.0 1.0 nan 4.0", "should be finite numbers"),
        ("bounding_boxes.txt", 3, "3 2.0 1.0 0.0 4.0", "box of 0 x 4 pixels"),
        ("bounding_boxes.txt", 3, "9 2.0 1.0 3.0 4.0", "speaks of picture 9"),
        ("bounding_boxes.txt", 2, "1 1.0 1.0 3.0 4.0", "picture 1 a second box"),
        ("parts/part_locs.txt", 2, "1 2 0.0 0.0", "does not have 5 columns"),
        ("parts/part_locs.txt", 3, "1 16 5.0 1.0 1", "speaks of part 16"),
        ("parts/part_locs.txt", 3, "1 2 5.0 1.0 1", "part 2 of picture 1 a second time"),
        ("parts/part_locs.txt", 4, "2 1 2.0 1.0 yes", "should be numbers"),
        ("parts/part_locs.txt", 4, "2 1 2.0 1.0 7", "0 or 1, for hidden or visible"),
    ],
)
def test_a_garbled_line_is_named_with_its_file_and_number(cub, put, file, line, content, message):
    lines = (cub / file).read_text(encoding="utf-8").splitlines()
    lines[line - 1] = content
    put(cub / file, "\n".join(lines))
    with pytest.raises(DataError, match=rf"{file}: line {line} .*{message}"):
        read_cub_parts(cub)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("bounding_boxes.txt", "no line for picture 3"),
        ("parts/part_locs.txt", "no line for part 3 of picture 3"),
    ],
)
def test_a_missing_line_is_named(cub, put, file, message):
    lines = (cub / file).read_text(encoding="utf-8").splitlines()
    put(cub / file, "\n".join(lines[:-1]))
    with pytest.raises(DataError, match=message):
        read_cub_parts(cub)


def test_a_missing_picture_is_named(cub):
    (cub / "images" / PICTURES[1]).unlink()
    with pytest.raises(DataError, match=r"a_2\.jpg"):
        read_cub_parts(cub)
