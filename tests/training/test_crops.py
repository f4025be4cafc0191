"""A set cropped to boxes trains and is judged as if its files held nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.data import read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.images import load_image
from avsl_core.models import build_model
from avsl_core.training import Trainer
from avsl_core.training.methods import OBJECTIVES
from avsl_core.training.sources import PictureSource
from avsl_core.training.trunk_maps import TrunkMaps

BOX = (7, 3, 47, 40)


@pytest.fixture(scope="module")
def pair(train_pictures, tmp_path_factory):
    """A set cropped to one box in every picture, and a set of files that hold only that."""
    root = tmp_path_factory.mktemp("cut")
    for path, label in zip(train_pictures.paths, train_pictures.labels, strict=True):
        target = root / train_pictures.class_names[label] / path.name
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(load_image(path)[BOX[1] : BOX[3], BOX[0] : BOX[2]]).save(target)
    boxes = (BOX,) * len(train_pictures)
    return replace(train_pictures, boxes=boxes, cropped=True), read_folder(root)


@pytest.fixture
def model(tiny):
    generator = torch.Generator().manual_seed(0)
    return build_model(tiny.method, OBJECTIVES[tiny.method].model_options(tiny), generator=generator).eval()


def test_encoding_looks_at_the_boxes(pair, model, tiny, embedding):
    cropped, cut = pair
    ours = encode_pictures(embedding, tiny.preprocess, cropped.paths, boxes=cropped.crops)
    theirs = encode_pictures(embedding, tiny.preprocess, cut.paths)
    assert torch.equal(ours.nodes[0], theirs.nodes[0])
    assert not torch.equal(encode_pictures(embedding, tiny.preprocess, cropped.paths).nodes[0], ours.nodes[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_training_views_are_of_the_boxes(pair, uncached, alone, workers):
    config = replace(uncached, workers=workers)
    batches = [next(iter(PictureSource(pictures, config, alone).batches(0))) for pictures in pair]
    assert torch.equal(batches[0].inputs, batches[1].inputs)


def test_cached_maps_are_of_the_boxes(pair, model, tiny, alone, tmp_path, train_pictures):
    def cached(pictures, validation=None):
        maps = TrunkMaps(model, pictures, validation, tiny, alone, tmp_path, progress=False)
        maps.prepare(None)
        return maps

    ours, theirs = (cached(pictures, pictures) for pictures in pair)
    for a, b in zip(ours.training_maps(), theirs.training_maps(), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[0], b[0], strict=True))
    for a, b in zip(ours.encode_validation(0).nodes, theirs.encode_validation(0).nodes, strict=True):
        assert torch.equal(a, b)
    # Beside them in the same folder: the maps of the whole pictures have a key of their own.
    whole = next(cached(train_pictures).training_maps())[0]
    assert not torch.equal(whole[0], next(ours.training_maps())[0][0])


def test_views_that_no_epoch_will_read_are_not_cached(tiny, train_pictures, alone, tmp_path):
    raml = replace(tiny.raml, student_size=32, teacher_epochs=1, distillation="ts_reg")
    plan = replace(tiny, method="raml", levels=(4,), raml=raml)
    model = build_model("raml", OBJECTIVES["raml"].model_options(plan))

    def folders(config, done):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        TrunkMaps(model, train_pictures, None, config, alone, root, progress=False).prepare(None, done=done)
        return len(list(root.iterdir()))

    assert folders(plan, done=0) == 2  # the teacher reads augmented views, the student plain ones
    assert folders(plan, done=1) == 1
    student = replace(plan, raml=replace(raml, teacher="another.safetensors", teacher_epochs=0))
    assert folders(student, done=0) == 1
    assert folders(replace(student, head_init="pca"), done=0) == 2


def test_maps_without_a_cache_and_validation_on_pictures_are_of_the_boxes(
    pair, model, uncached, alone, tmp_path
):
    ours, theirs = (
        TrunkMaps(model, pictures, pictures, uncached, alone, tmp_path, progress=False) for pictures in pair
    )
    a, b = (next(maps.training_maps())[0] for maps in (ours, theirs))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert np.array_equal(ours.encode_validation(0).nodes[0], theirs.encode_validation(0).nodes[0])


def test_a_whole_run_is_that_of_the_cut_files(pair, tiny, alone, tmp_path):
    config = replace(tiny, epochs=1)
    losses = [
        Trainer(config, pictures, None, tmp_path / f"{name}.safetensors", alone, progress=False).fit().losses
        for name, pictures in zip(("boxes", "files"), pair, strict=True)
    ]
    assert losses[0] == losses[1]
