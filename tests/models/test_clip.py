"""CLIP's ResNets as trunks: a tiny one of open_clip's own making, from its maps to a learned adaptation."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from avsl_core.adaptation import frozen_model, preprocess_of
from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.errors import CheckpointError, ConfigError
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationConfig, AdaptationModel, BackboneConfig
from avsl_core.models.clip import ClipTrunk, build_trunk

open_clip = pytest.importorskip("open_clip")

NAME = "clip:RN-tiny"
SIZE = 64
SHAPE = {
    "embed_dim": 12,
    "vision_cfg": {
        "image_size": SIZE,
        "layers": [1, 1, 1, 1],
        "width": 8,
        "head_width": 32,
        "patch_size": None,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
CHANNELS = (8, 32, 64, 128, 256, 12)


@pytest.fixture(scope="module", autouse=True)
def tiny_network(tmp_path_factory):
    """open_clip learns of networks from files named after them."""
    file = tmp_path_factory.mktemp("networks") / "RN-tiny.json"
    file.write_text(json.dumps(SHAPE))
    open_clip.add_model_config(file)


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs of pictures: left/N.png and right/N.png."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for side in ("left", "right"):
        (root / side).mkdir()
        for number in range(8):
            pixels = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / side / f"{number}.png")
    return root


def trunk(*levels, weights="none", **options):
    return build_trunk(BackboneConfig(NAME, levels, **options), weights).eval().requires_grad_(False)


class TestMaps:
    def test_there_is_one_a_level_with_channels_and_reduction_as_told(self, images):
        network = trunk(0, 1, 2, 3, 4, "head")
        maps = network(images)
        assert isinstance(network, ClipTrunk)
        assert network.channels == CHANNELS == tuple(m.shape[1] for m in maps)
        assert network.reductions == tuple(SIZE // m.shape[2] for m in maps) == (4, 4, 8, 16, 32, 64)
        assert all(m.shape[2] == m.shape[3] and bool(m.isfinite().all()) for m in maps)

    def test_the_head_is_what_open_clip_makes_of_the_picture(self, images):
        network = trunk(4, "head")
        assert_close(network(images)[-1].flatten(1), network.visual(images))

    def test_levels_are_those_asked_for(self, images):
        torch.manual_seed(0)
        every = trunk(1, 2, 3, 4)
        some = trunk(2, 4)
        some.load_state_dict(every.state_dict())
        for ours, theirs in zip(some(images), [every(images)[1], every(images)[3]], strict=True):
            assert torch.equal(ours, theirs)

    def test_stages_take_pictures_of_any_size_and_the_head_only_its_own(self):
        larger = torch.zeros(1, 3, 96, 96)
        assert trunk(3, 4)(larger)[-1].shape == (1, CHANNELS[4], 3, 3)
        with pytest.raises(ConfigError, match="pools pictures of 64 x 64 pixels only, not 96 x 96"):
            trunk(4, "head")(larger)

    def test_without_a_head_there_is_nothing_of_it(self):
        assert not any("attnpool" in name for name in trunk(4).state_dict())

    def test_the_last_stage_may_learn_alone(self):
        network = trunk(3, 4, "head")
        network.set_trainable("last")
        learning = {name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad}
        assert learning == {"layer4", "attnpool"}


class TestWeights:
    def test_a_file_of_open_clips_is_read(self, images, tmp_path):
        torch.manual_seed(3)
        whole = open_clip.create_model("RN-tiny").eval()
        torch.save(whole.state_dict(), tmp_path / "tiny.pt")
        network = trunk(4, "head", weights=str(tmp_path / "tiny.pt"))
        with torch.no_grad():
            assert_close(network(images)[-1].flatten(1), whole.encode_image(images))

    def test_what_is_no_weights_file_is_refused(self, tmp_path):
        (tmp_path / "torn.pt").write_bytes(b"PK torn")
        with pytest.raises(CheckpointError, match="could not be had from"):
            trunk(4, weights=str(tmp_path / "torn.pt"))
        with pytest.raises(CheckpointError, match="no such weights file"):
            trunk(4, weights=str(tmp_path / "none.pt"))
        with pytest.raises(ConfigError, match="no packaged weights"):
            trunk(4, weights="packaged")

    def test_a_checkpoint_brings_back_the_same_vectors(self, images, tmp_path):
        config = AdaptationConfig(BackboneConfig(NAME, (1, 2, 3, 4, "head")), width=6)
        model = AdaptationModel(config).eval().requires_grad_(False)
        path = save_checkpoint(
            Checkpoint(model, Preprocess(size=SIZE, resize=SIZE)), tmp_path / "clip.safetensors"
        )
        again = load_checkpoint(path).model
        assert torch.equal(again.encode(images).vectors, model.encode(images).vectors)


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (BackboneConfig(NAME, (4, 5)), "has no level 5"),
            (BackboneConfig(NAME, (4,), undownsampled=True), "cannot be had undownsampled"),
            (BackboneConfig("clip:RN7", (4,)), "open_clip has no ResNet of that name.*RN-tiny"),
            (BackboneConfig("clip:ViT-B-32", (4,)), "vit_base_patch32_clip"),
        ],
    )
    def test_what_cannot_be_had_is_refused(self, config, message):
        with pytest.raises(ConfigError, match=message):
            build_trunk(config)


class TestAsFrozenFeatures:
    def test_all_stages_and_the_embedding_are_the_features(self):
        model = frozen_model(NAME, weights="none")
        assert model.trunk.channels == CHANNELS[1:]
        seen = preprocess_of(model)
        assert (seen.size, seen.mean[0]) == (SIZE, pytest.approx(0.48145466))

    def test_features_are_extracted(self, folder, tmp_path):
        four = tmp_path / "four"
        four.mkdir()
        for name in ("0.png", "1.png", "2.png", "3.png"):
            (four / name).write_bytes((folder / "left" / name).read_bytes())
        arguments = ["--backbone", NAME, "--weights", "none", "--device", "cpu"]
        assert main(["extract", *arguments, str(four), str(tmp_path / "clip.npz")]) == 0
        with np.load(tmp_path / "clip.npz") as file:
            vectors, widths = file["vectors"], file["widths"]
        assert vectors.shape == (4, sum(CHANNELS[1:])) and widths.tolist() == list(CHANNELS[1:])
        for level in np.split(vectors, np.cumsum(widths)[:-1], axis=1):
            assert np.linalg.norm(level, axis=1) == pytest.approx(1.0, abs=1e-5)

    def test_an_adaptation_is_learned_and_explains_by_layer(self, folder, images, tmp_path):
        out = tmp_path / "adapted.safetensors"
        learn = ["--pca", "0", "--width", "6", "--runs", "1", "--steps", "3", "--top-k", "1"]
        network = ["--backbone", NAME, "--weights", "none", "--device", "cpu"]
        assert main(["adapt", str(folder), "--out", str(out), *learn, *network]) == 0
        model = load_checkpoint(out).model
        encoding = model.encode(images)
        account = model.explain(encoding[0], encoding[1])
        assert len(account.components) == len(CHANNELS) - 1
        assert account.total == pytest.approx(float(model.distance(encoding[0], encoding[1])), abs=1e-5)
