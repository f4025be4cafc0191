from dataclasses import replace
from pathlib import Path

import pytest

from avsl_core.data import PictureSet, merge
from avsl_core.errors import ConfigError, DataError


def paths(count):
    return tuple(Path(f"{i}.jpg") for i in range(count))


def test_classes_are_numbered_as_they_first_appear():
    pictures = PictureSet.from_names("birds", paths(3), ["wren", "robin", "wren"])
    assert pictures.labels == (0, 1, 0)
    assert pictures.class_names == ("wren", "robin")


def test_classes_are_numbered_in_a_given_order():
    pictures = PictureSet.from_names(
        "birds", paths(2), ["wren", "robin"], class_names=["robin", "owl", "wren"]
    )
    assert pictures.labels == (2, 0)
    assert pictures.num_classes == 3


def test_a_class_outside_the_given_order_is_refused():
    with pytest.raises(DataError, match="'wren' is not among the 1 class names"):
        PictureSet.from_names("birds", paths(1), ["wren"], class_names=["robin"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), (), ("a",), "s"), "s: no pictures"),
        ((paths(2), (0,), ("a",), "s"), "2 pictures but 1 labels"),
        ((paths(2), (0, 2), ("a", "b"), "s"), "label 2 is not in 0 to 1"),
        ((paths(2), (0, -1), ("a", "b"), "s"), "label -1 is not in 0 to 1"),
        ((paths(2), (0, 1), ("a", "a"), "s"), "class name 'a' is given twice"),
        ((paths(2), (0, 1), ("a", "b"), "s", ((0, 0, 1, 1),)), "2 pictures but 1 boxes"),
        ((paths(1), (0,), ("a",), "s", ((3, 0, 3, 1),)), r"box \(3, 0, 3, 1\) of 0.jpg is empty"),
    ],
)
def test_inconsistent_sets_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        PictureSet(*arguments)


def test_a_set_cannot_be_changed(make_set):
    with pytest.raises(AttributeError):
        make_set({"a": 1}).name = "other"


def test_subset_of_classes_numbers_anew_and_keeps_the_order(make_set):
    pictures = make_set({"a": 1, "b": 2, "c": 1, "d": 1}, boxes=True)
    subset = pictures.subset_of_classes(["d", "b"])
    assert subset.class_names == ("b", "d")
    assert subset.labels == (0, 0, 1)
    assert subset.paths == (Path("b/0.jpg"), Path("b/1.jpg"), Path("d/0.jpg"))
    assert subset.boxes is not None and len(subset.boxes) == 3
    assert subset.name == "made"


def test_subset_of_classes_takes_numbers_as_well_as_names(make_set):
    pictures = make_set({"a": 1, "b": 2, "c": 1})
    assert pictures.subset_of_classes([0, 2]) == pictures.subset_of_classes(["c", "a"])


@pytest.mark.parametrize(
    ("wanted", "message"), [(["x"], "no class is called 'x'"), ([3], "class 3 is not in 0 to 1")]
)
def test_subset_of_unknown_classes_is_refused(make_set, wanted, message):
    with pytest.raises(DataError, match=message):
        make_set({"a": 1, "b": 1}).subset_of_classes(wanted)


def test_subset_keeps_labels_comparable_with_the_whole(make_set):
    subset = make_set({"a": 2, "b": 2}).subset([3, 0])
    assert subset.labels == (1, 0)
    assert subset.paths == (Path("b/1.jpg"), Path("a/0.jpg"))
    assert make_set({"a": 2, "b": 2}).subset([2]).class_names == ("a", "b")


@pytest.mark.parametrize("index", [-1, 2])
def test_subset_refuses_pictures_that_are_not_there(make_set, index):
    with pytest.raises(DataError, match=f"picture {index} is not in 0 to 1"):
        make_set({"a": 2}).subset([index])


def test_summary_counts_pictures_and_classes(make_set):
    assert (
        make_set({"a": 1200, "b": 3}).summary() == "made: 1,203 pictures of 2 classes, 3 to 1,200 per class"
    )


def test_merge_keeps_equal_names_of_two_sets_apart(make_set):
    merged = merge([make_set({"red": 1, "blue": 1}, "birds"), make_set({"red": 2}, "shirts")])
    assert merged.class_names == ("birds/red", "birds/blue", "shirts/red")
    assert merged.labels == (0, 1, 2, 2)
    assert merged.name == "birds+shirts"


def test_merge_without_prefix_refuses_equal_names(make_set):
    with pytest.raises(DataError, match="'red' is given twice"):
        merge([make_set({"red": 1}, "birds"), make_set({"red": 1}, "shirts")], prefix=False)


def test_merge_without_prefix_leaves_names_as_they_are(make_set):
    merged = merge([make_set({"red": 1}, "birds"), make_set({"blue": 1}, "shirts")], prefix=False)
    assert merged.class_names == ("red", "blue")


def test_merge_keeps_boxes_only_where_all_have_them(make_set):
    with_boxes = make_set({"a": 2}, "one", boxes=True)
    assert merge([with_boxes, make_set({"b": 1}, "two", boxes=True)]).boxes == ((0, 0, 4, 3),) * 3
    assert merge([with_boxes, make_set({"b": 1}, "two")]).boxes is None


def test_merge_refuses_two_sets_of_one_name(make_set):
    with pytest.raises(ConfigError, match="two sets have one name"):
        merge([make_set({"a": 1}), make_set({"b": 1})])


def test_merge_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="no picture sets given"):
        merge([])


def test_boxes_are_looked_at_only_where_the_set_is_cropped(make_set):
    pictures = make_set({"a": 2}, boxes=True)
    assert (pictures.crops, pictures.crop_of(1)) == (None, None)
    cropped = replace(pictures, cropped=True)
    assert (cropped.crops, cropped.crop_of(1)) == (((0, 0, 4, 3),) * 2, (0, 0, 4, 3))


def test_a_set_without_boxes_cannot_be_cropped(make_set):
    with pytest.raises(DataError, match="made: has no boxes to crop to"):
        replace(make_set({"a": 2}), cropped=True)


def test_parts_of_a_cropped_set_are_cropped(make_set):
    cropped = replace(make_set({"a": 2, "b": 1}, boxes=True), cropped=True)
    assert cropped.subset([1]).cropped
    assert cropped.subset_of_classes(["b"]).cropped


def test_merge_refuses_cropped_beside_uncropped(make_set):
    whole = make_set({"a": 2}, "one", boxes=True)
    cropped = replace(make_set({"b": 2}, "two", boxes=True), cropped=True)
    with pytest.raises(ConfigError, match="some are cropped to boxes and others are not"):
        merge([whole, cropped])
    assert merge([replace(whole, cropped=True), cropped]).cropped
