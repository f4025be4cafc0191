import json

import pytest

from avsl_core.data import DATASETS, LoadOptions, load_dataset
from avsl_core.errors import ConfigError, DataError


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


class TestCropToBox:
    @pytest.fixture
    def cub(self, tmp_path, put):
        base = tmp_path / "CUB_200_2011"
        for number in range(1, 9):
            put(base / "images" / f"{number}.jpg")
        put(base / "classes.txt", "".join(f"{i} bird{i}\n" for i in range(1, 5)))
        put(base / "images.txt", "".join(f"{i} {i}.jpg\n" for i in range(1, 9)))
        put(base / "image_class_labels.txt", "".join(f"{i} {(i + 1) // 2}\n" for i in range(1, 9)))
        put(base / "bounding_boxes.txt", "".join(f"{i} 1.0 2.0 {i}.0 3.0\n" for i in range(1, 9)))
        return base

    def test_every_part_looks_at_its_boxes_only(self, cub):
        options = LoadOptions(val_fraction=0.5, check_counts=False, crop_to_box=True)
        split = load_dataset("cub", cub, options)
        assert list(split.parts()) == ["train", "val", "test"]
        assert all(part.cropped for part in split.parts().values())
        assert split.test.crops == ((1, 2, 6, 5), (1, 2, 7, 5), (1, 2, 8, 5), (1, 2, 9, 5))
        assert split.test.subset([2]).crop_of(0) == (1, 2, 8, 5)

    def test_otherwise_boxes_are_only_known(self, cub):
        test = load_dataset("cub", cub, LoadOptions(val_fraction=0, check_counts=False)).test
        assert test.boxes is not None
        assert (test.crops, test.crop_of(0)) == (None, None)

    def test_a_set_without_boxes_is_refused(self, cub, folder, sop):
        (cub / "bounding_boxes.txt").unlink()
        for spec, root in (("folder", folder), ("sop", sop), ("cub", cub)):
            with pytest.raises(DataError, match=r"no boxes to crop to; leave .*--crop-to-box"):
                load_dataset(spec, root, LoadOptions(check_counts=False, crop_to_box=True))


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
