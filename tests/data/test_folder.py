import logging
from pathlib import Path

import pytest

from avsl_core.data import list_pictures, read_folder
from avsl_core.errors import DataError


def names_below(pictures, root):
    return [path.relative_to(root).as_posix() for path in pictures]


def test_each_folder_is_a_class(tmp_path, put):
    for name in ("robin/1.jpg", "robin/2.PNG", "wren/1.webp"):
        put(tmp_path / "birds" / name)
    pictures = read_folder(tmp_path / "birds")
    assert names_below(pictures.paths, tmp_path / "birds") == ["robin/1.jpg", "robin/2.PNG", "wren/1.webp"]
    assert pictures.class_names == ("robin", "wren")
    assert pictures.labels == (0, 0, 1)
    assert pictures.name == "birds"


def test_numbers_in_names_order_by_value(tmp_path, put):
    for name in ("class 10/2.jpg", "class 2/10.jpg", "class 2/9.jpg", "Class 1/1.jpg"):
        put(tmp_path / name)
    pictures = read_folder(tmp_path)
    assert pictures.class_names == ("Class 1", "class 2", "class 10")
    assert names_below(pictures.paths, tmp_path)[1:3] == ["class 2/9.jpg", "class 2/10.jpg"]


def test_pictures_may_lie_deeper_inside_a_class(tmp_path, put):
    put(tmp_path / "a" / "x" / "y" / "1.jpg")
    put(tmp_path / "b" / "1.jpg")
    assert names_below(read_folder(tmp_path).paths, tmp_path) == ["a/x/y/1.jpg", "b/1.jpg"]


def test_hidden_and_other_files_are_left_out(tmp_path, put):
    for name in ("a/1.jpg", "b/1.jpg", ".hidden/1.jpg", "a/._1.jpg", "a/.cache/2.jpg"):
        put(tmp_path / name)
    put(tmp_path / "a" / "notes.txt", "no picture")
    (tmp_path / "a" / "folder.jpg").mkdir()
    assert names_below(read_folder(tmp_path).paths, tmp_path) == ["a/1.jpg", "b/1.jpg"]


def test_odd_names_are_read_as_they_are(tmp_path, put):
    for name in ("Öhrchen 耳/画像 (1).jpg", "it's 100%/a b.jpeg", "🐦/#1.jpg"):
        put(tmp_path / name)
    pictures = read_folder(tmp_path)
    assert set(pictures.class_names) == {"Öhrchen 耳", "it's 100%", "🐦"}
    assert all(path.is_file() for path in pictures.paths)


def test_linked_class_folders_are_followed(tmp_path, put):
    put(tmp_path / "elsewhere" / "1.jpg")
    put(tmp_path / "root" / "a" / "1.jpg")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    assert names_below(read_folder(tmp_path / "root").paths, tmp_path / "root") == ["a/1.jpg", "b/1.jpg"]


def test_a_loop_of_links_ends(tmp_path, put):
    put(tmp_path / "a" / "1.jpg")
    put(tmp_path / "b" / "1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "self").symlink_to("self")
    assert names_below(read_folder(tmp_path).paths, tmp_path) == ["a/1.jpg", "b/1.jpg"]


def test_only_the_wanted_kinds_of_file_count(tmp_path, put):
    put(tmp_path / "a" / "1.jpg")
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    assert len(read_folder(tmp_path, extensions={".png"})) == 2


def test_pictures_outside_the_class_folders_are_mentioned(tmp_path, put, caplog):
    for name in ("a/1.jpg", "b/1.jpg", "loose.jpg"):
        put(tmp_path / name)
    with caplog.at_level(logging.WARNING, "avsl_core.data"):
        assert len(read_folder(tmp_path)) == 2
    assert "1 pictures outside the class folders" in caplog.text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"nothing to read; expected FOLDER/<class>/<picture>"),
        (["1.jpg", "2.jpg"], r"2 pictures but no class folders; expected FOLDER/<class>/<picture>"),
        (["a/1.jpg"], r"only one class folder, 'a'; expected FOLDER/<class>/<picture>"),
        (["a/1.jpg", "b/notes.txt"], r"b: no pictures \(.*\.jpg.*\) in this class folder"),
    ],
)
def test_a_folder_laid_out_otherwise_says_what_is_expected(tmp_path, put, files, message):
    for name in files:
        put(tmp_path / name)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


@pytest.mark.parametrize("read", [read_folder, list_pictures])
def test_a_missing_folder_is_named(tmp_path, read):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("read", [read_folder, list_pictures])
def test_a_file_is_not_a_folder(tmp_path, put, read):
    with pytest.raises(DataError, match=r"1\.jpg: is a file"):
        read(put(tmp_path / "1.jpg"))


def test_a_flat_folder_is_listed_in_natural_order(tmp_path, put):
    for name in ("10.jpg", "9.jpg", ".hidden.jpg", "deep/1.jpg"):
        put(tmp_path / name)
    assert list_pictures(tmp_path) == [tmp_path / "9.jpg", tmp_path / "10.jpg"]


def test_folders_inside_are_listed_when_asked_for(tmp_path, put):
    for name in ("10.jpg", "deep/er/1.jpg"):
        put(tmp_path / name)
    assert list_pictures(tmp_path, recursive=True) == [tmp_path / "10.jpg", tmp_path / "deep/er/1.jpg"]


@pytest.mark.parametrize(("recursive", "where"), [(False, "directly in it"), (True, "in it or below")])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, put, recursive, where):
    put(tmp_path / "notes.txt", "none")
    with pytest.raises(DataError, match=f"no pictures {where}"):
        list_pictures(tmp_path, recursive=recursive)
