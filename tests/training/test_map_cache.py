import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from avsl_core.errors import ImageError, TrainingError
from avsl_core.models import build_model
from avsl_core.training import map_cache
from avsl_core.training.map_cache import MapCache, build_map_cache
from avsl_core.training.methods import OBJECTIVES


@pytest.fixture
def model(tiny):
    generator = torch.Generator().manual_seed(0)
    return build_model(tiny.method, OBJECTIVES[tiny.method].model_options(tiny), generator=generator).eval()


def build(root, model, pictures, config, *, augmented=False):
    with torch.inference_mode():
        return build_map_cache(
            root,
            model,
            pictures,
            config,
            augmented=augmented,
            trunk_pass=torch.inference_mode()(model.trunk_maps),
            progress=False,
        )


def test_plain_maps_are_those_of_the_trunk_in_half_precision(tmp_path, model, tiny, train_pictures):
    from avsl_core.images import load_image

    cache = build(tmp_path, model, train_pictures, tiny)
    images = torch.stack([tiny.preprocess(load_image(p)) for p in train_pictures.paths[:3]])
    with torch.inference_mode():
        expected = model.trunk_maps(images)
    for ours, theirs in zip(cache.read([0, 1, 2], [0, 0, 0]), expected, strict=True):
        torch.testing.assert_close(ours, theirs.half().float(), rtol=2e-3, atol=2e-3)


def test_views_differ_and_are_repeatable(tmp_path, model, tiny, train_pictures):
    cache = build(tmp_path / "one", model, train_pictures, tiny, augmented=True)
    again = build(tmp_path / "two", model, train_pictures, tiny, augmented=True)
    assert cache.views == tiny.views
    assert not torch.equal(cache.read([0], [0])[0], cache.read([0], [1])[0])
    assert torch.equal(cache.read([5], [1])[2], again.read([5], [1])[2])


def test_a_finished_cache_is_not_built_again(tmp_path, model, tiny, train_pictures):
    build(tmp_path, model, train_pictures, tiny)

    def refuse(images):
        raise AssertionError("the trunk ran")

    build_map_cache(tmp_path, model, train_pictures, tiny, augmented=False, trunk_pass=refuse, progress=False)


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path, model, tiny, train_pictures, monkeypatch):
    monkeypatch.setattr(map_cache, "_CHUNK", 4)
    whole = build(tmp_path / "whole", model, train_pictures, tiny)
    passes = []

    def stop_after_three(images):
        if len(passes) == 3:
            raise KeyboardInterrupt
        passes.append(len(images))
        with torch.inference_mode():
            return model.trunk_maps(images)

    arguments = (tmp_path / "cut", model, train_pictures, tiny)
    monkeypatch.setattr(map_cache, "_SAVE_EVERY", 4)
    with pytest.raises(KeyboardInterrupt):
        build_map_cache(*arguments, augmented=False, trunk_pass=stop_after_three, progress=False)
    folder = next((tmp_path / "cut").iterdir())
    assert json.loads((folder / "manifest.json").read_text())["done"] == 12
    with pytest.raises(TrainingError, match="no finished cache"):
        MapCache(folder)

    def count(images):
        passes.append(len(images))
        with torch.inference_mode():
            return model.trunk_maps(images)

    passes.clear()
    resumed = build_map_cache(*arguments, augmented=False, trunk_pass=count, progress=False)
    assert sum(passes) == len(train_pictures) - 12
    everything = list(range(len(train_pictures)))
    for ours, theirs in zip(
        resumed.read(everything, [0] * len(everything)),
        whole.read(everything, [0] * len(everything)),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_another_augmentation_or_trunk_has_another_cache(tmp_path, model, tiny, train_pictures):
    build(tmp_path, model, train_pictures, tiny, augmented=True)
    other = replace(tiny, augmentation=replace(tiny.augmentation, flip=0.0))
    build(tmp_path, model, train_pictures, other, augmented=True)
    with torch.no_grad():
        next(model.trunk.parameters()).add_(0.1)
    build(tmp_path, model, train_pictures, tiny, augmented=True)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_manifest_means_building_again(tmp_path, model, tiny, train_pictures):
    build(tmp_path, model, train_pictures, tiny)
    folder = next(tmp_path.iterdir())
    (folder / "manifest.json").write_text("{half")
    assert len(build(tmp_path, model, train_pictures, tiny)) == len(train_pictures)


def test_a_full_disk_is_refused_before_it_ends_the_process(
    tmp_path, model, tiny, train_pictures, monkeypatch
):
    monkeypatch.setattr(map_cache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(TrainingError, match=r"needs .* GB and 0\.0 GB are free"):
        build(tmp_path, model, train_pictures, tiny)


def test_an_array_cut_short_is_made_again(tmp_path, model, tiny, train_pictures):
    build(tmp_path, model, train_pictures, tiny)
    folder = next(tmp_path.iterdir())
    (folder / "manifest.json").unlink()
    (folder / "level1.npy").write_bytes(b"")
    assert len(build(tmp_path, model, train_pictures, tiny)) == len(train_pictures)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_picture_is_named(tmp_path, model, tiny, train_pictures, workers):
    tiny = replace(tiny, workers=workers)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    pictures = replace(train_pictures, paths=(broken, *train_pictures.paths[1:]))
    with pytest.raises(ImageError, match=r"^[^\n]*broken\.png[^\n]*$"):
        build(tmp_path / "cache", model, pictures, tiny)
