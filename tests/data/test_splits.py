from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.data import PictureSet, Split, hold_out_classes, split_classes
from avsl_core.errors import ConfigError, DataError

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=3, max_size=40, unique=True)
SHARES = st.tuples(*[st.integers(1, 20)] * 3).map(lambda parts: tuple(part / sum(parts) for part in parts))


def one_each(names):
    return PictureSet.from_names("made", [Path(f"{i}.jpg") for i in range(len(names))], names)


def classes_of(split):
    return {name: set(part.class_names) for name, part in split.parts().items()}


@settings(max_examples=100, deadline=None)
@given(NAMES, SHARES, st.integers(0, 2**32))
def test_parts_share_no_class_are_not_empty_and_hold_everything(names, fractions, seed):
    parts = classes_of(split_classes(one_each(names), fractions, seed))
    assert set(parts) == {"train", "val", "test"}
    assert all(parts.values())
    assert sum(len(part) for part in parts.values()) == len(names)
    assert set.union(*parts.values()) == set(names)


@settings(max_examples=100, deadline=None)
@given(NAMES, SHARES)
def test_parts_are_as_large_as_asked_to_within_one_class_where_none_would_be_empty(names, fractions):
    split = split_classes(one_each(names), fractions)
    for part, share in zip(split.parts().values(), fractions, strict=True):
        if all(one * len(names) >= 1 for one in fractions):
            assert abs(part.num_classes - share * len(names)) <= 1


@settings(max_examples=50, deadline=None)
@given(st.data(), NAMES, st.integers(0, 2**32))
def test_the_order_of_files_does_not_change_the_division(data, names, seed):
    shuffled = data.draw(st.permutations(names))
    fractions = (0.5, 0.25, 0.25)
    assert classes_of(split_classes(one_each(names), fractions, seed)) == classes_of(
        split_classes(one_each(shuffled), fractions, seed)
    )


def test_the_division_is_the_same_for_ever():
    split = split_classes(one_each(["a", "b", "c", "d", "e", "f", "g"]), (0.6, 0.2, 0.2), seed=7)
    assert classes_of(split) == {"train": {"a", "b", "d", "g"}, "val": {"e", "f"}, "test": {"c"}}


def test_another_seed_divides_otherwise():
    pictures = one_each([f"class {i}" for i in range(40)])
    assert classes_of(split_classes(pictures, seed=1)) != classes_of(split_classes(pictures, seed=2))


def test_all_pictures_of_a_class_stay_together(make_set):
    pictures = make_set({"a": 3, "b": 5, "c": 2, "d": 4})
    split = split_classes(pictures, (0.5, 0.25, 0.25))
    sizes = {
        name: part.class_sizes()[i]
        for part in split.parts().values()
        for i, name in enumerate(part.class_names)
    }
    assert sizes == {"a": 3, "b": 5, "c": 2, "d": 4}


def test_a_fraction_of_zero_leaves_its_part_out():
    split = split_classes(one_each(["a", "b", "c", "d"]), (0.5, 0.0, 0.5))
    assert split.val is None
    assert set(split.parts()) == {"train", "test"}


@pytest.mark.parametrize(
    "fractions",
    [
        (0.5, 0.5),
        (0.5, 0.6, -0.1),
        (0.0, 0.5, 0.5),
        (0.5, 0.2, 0.2),
        (float("nan"), 0.5, 0.5),
        (1.2, 0.0, 0.0),
    ],
)
def test_impossible_fractions_are_refused(fractions):
    with pytest.raises(ConfigError, match="fractions"):
        split_classes(one_each(["a", "b", "c"]), fractions)


def test_too_few_classes_are_refused():
    with pytest.raises(DataError, match="2 classes cannot be divided into 3 parts"):
        split_classes(one_each(["a", "b"]))


def test_held_out_classes_come_from_the_training_classes():
    train, val = hold_out_classes(one_each([str(i) for i in range(10)]), 0.2, seed=3)
    assert (train.num_classes, val.num_classes) == (8, 2)
    assert not set(train.class_names) & set(val.class_names)


def test_holding_out_nothing_keeps_the_training_set():
    pictures = one_each(["a", "b"])
    assert hold_out_classes(pictures, 0) == (pictures, None)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_an_impossible_validation_fraction_is_refused(fraction):
    with pytest.raises(ConfigError, match="validation fraction"):
        hold_out_classes(one_each(["a", "b"]), fraction)


def test_a_split_refuses_a_class_in_two_parts():
    with pytest.raises(DataError, match="'b' is in both train and test"):
        Split(train=one_each(["a", "b"]), test=one_each(["b", "c"]))


def test_query_and_gallery_share_their_classes():
    part = one_each(["a", "b"])
    assert set(Split(query=part, gallery=part).parts()) == {"query", "gallery"}
    with pytest.raises(DataError, match="same class names"):
        Split(query=part, gallery=one_each(["b", "a"]))


def test_queries_need_a_gallery():
    with pytest.raises(DataError, match="needs a gallery"):
        Split(query=one_each(["a"]))


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="at least one part"):
        Split()


def test_summary_has_a_line_per_part():
    summary = split_classes(one_each(["a", "b", "c", "d", "e"])).summary()
    assert [line.split(":")[0] for line in summary.splitlines()] == ["train", "val", "test"]
