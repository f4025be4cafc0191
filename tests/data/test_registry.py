import json

import pytest

from avsl_core.data import DATASETS, LoadOptions, load_dataset
from avsl_core.errors import ConfigError


@pytest.fixture
def folder(tmp_path, put):
    for i in range(10):
        put(tmp_path / "birds" / f"class {i}" / "1.jpg")
    return tmp_path / "birds"


@pytest.fixture
def sop(tmp_path, put):
    for part, products in (("train", range(10)), ("test", range(10, 14))):
        lines = [f"{i} {i} 1 lamp_final/{put(tmp_path / 'lamp_final' / f'{i}.JPG').name}" for i in products]
        put(tmp_path / f"Ebay_{part}.txt", "\n".join(["heading", *lines]))
    return tmp_path


def test_a_folder_is_divided_by_fractions_and_seed(folder):
    split = load_dataset("folder", folder, LoadOptions(fractions=(0.5, 0.3, 0.2), seed=5))
    assert [part.num_classes for part in split.parts().values()] == [5, 3, 2]
    assert split == load_dataset("folder", folder, LoadOptions(fractions=(0.5, 0.3, 0.2), seed=5))
    assert split != load_dataset("folder", folder, LoadOptions(fractions=(0.5, 0.3, 0.2), seed=6))


def test_a_split_file_is_taken_as_it_is(folder, put):
    content = {"train": {"a": ["class 0/1.jpg"]}, "test": {"b": ["class 1/1.jpg"]}}
    split = load_dataset("split", put(folder / "split.json", json.dumps(content)))
    assert {name: part.class_names for name, part in split.parts().items()} == {
        "train": ("a",),
        "test": ("b",),
    }


def test_validation_classes_of_a_published_set_come_from_its_training_classes(sop):
    whole = load_dataset("sop", sop, LoadOptions(val_fraction=0, check_counts=False))
    split = load_dataset("sop", sop, LoadOptions(val_fraction=0.2, check_counts=False))
    assert whole.val is None
    assert (split.train.num_classes, split.val.num_classes) == (8, 2)
    assert set(split.train.class_names) | set(split.val.class_names) == set(whole.train.class_names)
    assert split.test == whole.test


def test_torchvision_sets_are_divided_like_folders(tmp_path, put):
    base = tmp_path / "food-101"
    content = {f"dish{i}": [f"dish{i}/1"] for i in range(5)}
    for name in content:
        put(base / "images" / name / "1.jpg")
    put(base / "meta" / "train.json", json.dumps(content))
    put(base / "meta" / "test.json", "{}")
    split = load_dataset("food101", tmp_path, LoadOptions(check_counts=False))
    assert [part.num_classes for part in split.parts().values()] == [3, 1, 1]


def test_every_data_set_has_a_name():
    assert set(DATASETS) == {
        *("folder", "split", "cub", "cars", "sop", "inshop"),
        *("flowers102", "oxford_pets", "aircraft", "food101"),
    }


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"no data set 'cubs'; known are folder, split, cub, .*food101"):
        load_dataset("cubs", tmp_path)


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        DATASETS["mine"] = None
