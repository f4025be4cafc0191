import json
import pickle

import pytest

from avsl_core.data import Split, read_folder, read_split_file, split_classes, write_split
from avsl_core.errors import DataError


@pytest.fixture
def write(tmp_path, put):
    """Write a split file; make every picture that it lists, unless told otherwise."""

    def build(content, root=".", make=True):
        for part, classes in content.items() if make else ():
            if part != "root":
                for pictures in classes.values() if isinstance(classes, dict) else classes:
                    for picture in pictures:
                        put(tmp_path / root / picture)
        return put(tmp_path / "made.json", json.dumps(content))

    return build


def test_named_classes_are_read_relative_to_the_file(write, tmp_path):
    split = read_split_file(write({"train": {"a": ["a/1.jpg", "2.jpg"]}, "test": {"b": ["b/1.jpg"]}}))
    assert split.train.paths == (tmp_path / "a/1.jpg", tmp_path / "2.jpg")
    assert split.train.class_names == ("a",)
    assert split.test.class_names == ("b",)
    assert split.train.name == "made"
    assert split.val is None


def test_the_file_may_say_where_the_pictures_lie(write, tmp_path):
    path = write({"root": "some/where", "train": {"a": ["1.jpg"]}}, root="some/where")
    assert read_split_file(path).train.paths == (tmp_path / "some/where/1.jpg",)


def test_the_caller_may_say_where_the_pictures_lie(write, tmp_path):
    path = write({"root": "gone", "train": {"a": ["1.jpg"]}}, root="here")
    assert read_split_file(path, root=tmp_path / "here").train.paths == (tmp_path / "here/1.jpg",)


def test_lists_of_lists_are_called_after_their_folders(write):
    content = {"train": [["x/robin/1.jpg", "x/robin/2.jpg"], ["x/wren/1.jpg"]], "test": [["x/owl/1.jpg"]]}
    split = read_split_file(write(content))
    assert split.train.class_names == ("robin", "wren")
    assert split.train.labels == (0, 0, 1)
    assert split.test.class_names == ("owl",)


@pytest.mark.parametrize(
    "lists",
    [
        [["bikes/1.jpg", "bikes/2.jpg"], ["bikes/3.jpg"]],
        [["a/1.jpg", "b/1.jpg"], ["c/1.jpg"]],
        [["1.jpg"], ["2.jpg"]],
    ],
)
def test_lists_of_lists_that_share_folders_are_numbered(write, lists):
    assert read_split_file(write({"val": lists})).val.class_names == ("val/0", "val/1")


def test_queries_and_gallery_number_their_classes_alike(write):
    content = {"query": {"b": ["b1.jpg"]}, "gallery": {"a": ["a2.jpg"], "b": ["b2.jpg"]}}
    split = read_split_file(write(content))
    assert split.query.class_names == split.gallery.class_names == ("b", "a")
    assert split.gallery.labels == (1, 0)


def test_a_written_split_reads_back_the_same(tmp_path, put):
    for name in ("ä b/1.jpg", "ä b/2.jpg", "耳/x/1.jpg", "c/1.jpg", "d/1.jpg"):
        put(tmp_path / "birds" / name)
    split = split_classes(read_folder(tmp_path / "birds"), (0.5, 0.25, 0.25), seed=4)
    write_split(split, tmp_path / "splits" / "birds.json")
    again = read_split_file(tmp_path / "splits" / "birds.json")
    assert again.parts().keys() == split.parts().keys()
    for part, pictures in split.parts().items():
        assert [path.resolve() for path in again.parts()[part].paths] == list(pictures.paths)
        assert again.parts()[part].labels == pictures.labels
        assert again.parts()[part].class_names == pictures.class_names


def test_a_written_split_moves_together_with_its_pictures(tmp_path, put):
    for name in ("a/1.jpg", "b/1.jpg"):
        put(tmp_path / "old" / "pictures" / name)
    split = Split(train=read_folder(tmp_path / "old" / "pictures"))
    write_split(split, tmp_path / "old" / "split.json")
    (tmp_path / "old").rename(tmp_path / "new")
    assert all(path.is_file() for path in read_split_file(tmp_path / "new" / "split.json").train.paths)


def test_writing_names_a_picture_outside_the_root(tmp_path, make_set):
    with pytest.raises(DataError, match=r"0\.jpg: does not lie in .*elsewhere"):
        write_split(Split(train=make_set({"a": 1})), tmp_path / "split.json", root=tmp_path / "elsewhere")
    assert not (tmp_path / "split.json").exists()


def test_missing_pictures_are_counted_and_the_first_few_named(write):
    path = write({"train": {"a": [f"{i}.jpg" for i in range(5)]}, "val": {"b": ["9.jpg"]}}, make=False)
    with pytest.raises(DataError, match=r"6 of 6 pictures are missing: .*0\.jpg, .*1\.jpg, .*2\.jpg \.\.\.;"):
        read_split_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": {"a": ["1.jpg"]}, "tset": {"b": ["2.jpg"]}}, "unknown key 'tset'; known are root, train"),
        ({}, "no part; needs at least one of train"),
        ({"train": {}}, "'train' must be an object or a list of classes"),
        ({"train": "a.jpg"}, "'train' must be an object or a list of classes"),
        ({"train": {"a": []}}, "class 'a' of 'train' must be a list of one or more"),
        ({"train": [["1.jpg"], "2.jpg"]}, "class 1 of 'train' must be a list of one or more"),
        ({"train": [["1.jpg", 2]]}, "class 0 of 'train' must be a list of one or more"),
        ({"root": 3, "train": {"a": ["1.jpg"]}}, "'root' must be the path of a folder"),
        ({"train": {"a": ["1.jpg"]}, "test": {"a": ["2.jpg"]}}, "'a' is in both train and test"),
        ({"train": {"a": ["1.jpg"]}, "test": {"b": ["1.jpg"]}}, "'1.jpg' is listed 2 times"),
        ([["1.jpg"]], "must hold one JSON object with train, val or test, not a list"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(write, content, message):
    with pytest.raises(DataError, match=rf"made\.json: .*{message}"):
        read_split_file(write(content, make=False))


def test_a_class_given_twice_is_refused(tmp_path, put):
    path = put(tmp_path / "made.json", '{"train": {"a": ["1.jpg"], "a": ["2.jpg"]}}')
    with pytest.raises(DataError, match="key 'a' is given twice"):
        read_split_file(path)


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_what_is_no_json_is_refused(tmp_path, put, content):
    with pytest.raises(DataError, match="is not a split file in JSON"):
        read_split_file(put(tmp_path / "made.json", content))


def test_a_pickled_dictionary_is_never_read(tmp_path, put):
    path = put(tmp_path / "split.pkl", pickle.dumps({"train": [["1.jpg"]]}))
    with pytest.raises(DataError, match="looks pickled"):
        read_split_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read \(No such file"):
        read_split_file(tmp_path / "none.json")
