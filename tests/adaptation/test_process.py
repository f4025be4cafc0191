"""What becomes of features: as they are, on principal components of the training part, or adapted."""

import json
import shutil

import numpy as np
import pytest
import torch

from avsl_core.adaptation.features import Features
from avsl_core.adaptation.process import list_with_parts, process_features, write_features
from avsl_core.data import split_pairs
from avsl_core.errors import ConfigError, DataError
from avsl_core.extraction import Listed
from avsl_core.models.adaptation_head import principal_components

FEATURES = torch.rand(30, 9, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path, pair_set):
    """folder(*names) -> a folder with pictures of those names."""

    def make(*names):
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pair_set.left[0], path)
        return tmp_path / "set"

    return make


class TestTrainingPart:
    def test_of_pairs_holds_both_sides_of_the_pairs_that_adapt_learns_from(self, pair_folder, pair_set):
        listed, train = list_with_parts(pair_folder, 0.75, 2)
        chosen, _ = split_pairs(pair_set.names, 0.75, 2)
        expected = {f"{side}/{pair_set.names[i]}.png" for i in chosen for side in ("left", "right")}
        assert train == expected
        assert len(listed) == 48

    def test_of_pairs_leaves_out_pictures_without_a_partner(self, folder):
        names = ("1", "2", "3", "4")
        whole = folder(*(f"{side}/{name}.png" for side in ("left", "right") for name in names))
        _, before = list_with_parts(whole, 0.5, 1)
        listed, train = list_with_parts(folder("left/0.png", "right/5.png"), 0.5, 1)
        assert train == before
        assert len(listed) == 10

    def test_of_pairs_leaves_out_those_that_cannot_be_read(self, pair_folder, pair_set):
        unreadable = {pair_set.right[0], pair_set.left[7]}
        _, train = list_with_parts(pair_folder, 0.75, 2, unreadable=unreadable)
        names = [name for place, name in enumerate(pair_set.names) if place not in (0, 7)]
        chosen, _ = split_pairs(names, 0.75, 2)
        assert train == {f"{side}/{names[i]}.png" for i in chosen for side in ("left", "right")}

    def test_of_classes_holds_whole_classes(self, folder):
        listed, train = list_with_parts(folder(*(f"{c}/{n}.png" for c in "abcd" for n in range(3))), 0.5, 0)
        assert len({name[0] for name in train}) == 2
        assert len(train) == 6
        assert len(listed) == 12

    def test_of_loose_pictures_is_a_share_of_them(self, folder):
        _, train = list_with_parts(folder(*(f"{n}.png" for n in range(8))), 0.75, 0)
        assert len(train) == 6

    def test_of_a_split_file_is_its_part_train(self, folder, tmp_path):
        folder("a/1.png", "b/1.png", "c/1.png")
        split = tmp_path / "split.json"
        split.write_text(
            json.dumps(
                {"root": "set", "train": {"a": ["a/1.png"], "b": ["b/1.png"]}, "test": {"c": ["c/1.png"]}}
            )
        )
        listed, train = list_with_parts(split, 0.75, 0)
        assert sorted(one.class_name for one in listed) == ["a", "b", "c"]
        assert {one.class_name for one in listed if one.name in train} == {"a", "b"}

    def test_a_share_out_of_range_is_refused(self, pair_folder):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            list_with_parts(pair_folder, 1.0, 0)


class TestProcess:
    def test_save_leaves_them_as_they_are(self):
        assert torch.equal(process_features(FEATURES, "save"), FEATURES)

    def test_pca_is_fitted_on_the_training_part_alone(self):
        training = torch.arange(30) < 20
        given = process_features(FEATURES, "pca", training=training, pca=4)
        mean, components = principal_components(FEATURES[:20], 4)
        torch.testing.assert_close(given, (FEATURES - mean) @ components.T)
        changed = FEATURES.clone()
        changed[20:] += 5
        again = process_features(changed, "pca", training=training, pca=4)
        torch.testing.assert_close(again[:20], given[:20])

    @pytest.mark.parametrize(("processor", "options"), [("adapt", {}), ("adapt-pca", {"pca": 6})])
    def test_adapt_gives_the_models_own_vectors(self, new_adaptation, pictures, processor, options):
        model = new_adaptation(**options)
        features = model.features(model.trunk_maps(pictures))
        given = process_features(features, processor, adaptation=model)
        torch.testing.assert_close(given, model.encode(pictures).vectors)

    def test_what_is_missing_is_said(self, new_adaptation):
        with pytest.raises(ConfigError, match="--pca N"):
            process_features(FEATURES, "pca", training=torch.ones(30, dtype=torch.bool))
        with pytest.raises(DataError, match="no training picture"):
            process_features(FEATURES, "pca", training=torch.zeros(30, dtype=torch.bool), pca=2)
        with pytest.raises(ConfigError, match="--adaptation CHECKPOINT"):
            process_features(FEATURES, "adapt")
        with pytest.raises(ConfigError, match=r"has no PCA: use the processor adapt$"):
            process_features(FEATURES, "adapt-pca", adaptation=new_adaptation())
        with pytest.raises(ConfigError, match="has PCA: use the processor adapt-pca"):
            process_features(FEATURES, "adapt", adaptation=new_adaptation(pca=6))


def test_mirror_images_follow_all_pictures_in_the_file(adaptation, tmp_path):
    listed = tuple(Listed(tmp_path / name, name, name[0]) for name in ("a/1.png", "b/1.png"))
    rows = torch.arange(4.0)[:, None]
    features = Features(rows[:2], rows[2:], listed)
    write_features(tmp_path / "f.npz", adaptation, features, rows, "save", [True, False])
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert list(file["paths"]) == ["a/1.png", "b/1.png"] * 2
        assert list(file["mirrored"]) == [False, False, True, True]
        assert list(file["train"]) == [True, False, True, False]
        assert list(file["labels"]) == [0, 1, 0, 1]
        assert list(file["classes"]) == ["a", "b"]
        assert list(file["parts"]) == ["layer1", "layer2", "layer3"]
        assert tuple(file["widths"]) == adaptation.trunk.channels
    with pytest.raises(ConfigError, match=r"end its name in \.npz"):
        write_features(tmp_path / "f.npy", adaptation, features, rows, "save", [True, False])
