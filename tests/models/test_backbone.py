"""Backbone: networks of every family as pyramids of maps, frozen or learning as asked."""

import pytest
import timm
import torch

from avsl_core.errors import ConfigError
from avsl_core.models import Backbone, BackboneConfig

FAMILIES = [
    # name, levels, side of the picture, channels, reductions
    ("resnet50", (2, 3, 4), 64, (512, 1024, 2048), (8, 16, 32)),
    ("tf_efficientnetv2_b0", (2, 3, 4), 64, (48, 112, 192), (8, 16, 32)),
    ("tf_efficientnet_lite0", (2, 3, 4), 64, (40, 112, 320), (8, 16, 32)),
    ("tf_efficientnet_lite0", (2, 3, "head"), 64, (40, 112, 1280), (8, 16, 32)),
    ("tf_efficientnet_lite0", (3, 4, "head"), 64, (112, 320, 1280), (16, 32, 32)),
    ("convnext_atto", (1, 2, 3), 64, (80, 160, 320), (8, 16, 32)),
    ("vit_tiny_patch16_224", (3, 7, 11), 224, (192, 192, 192), (16, 16, 16)),
    ("vit_xsmall_patch16_clip_224", (3, 9), 224, (256, 256), (16, 16)),
]
IDS = [f"{name}-{'-'.join(map(str, levels))}" for name, levels, *_ in FAMILIES]


@pytest.fixture(scope="module")
def small():
    return Backbone(BackboneConfig("resnet18", (2, 3, 4)))


def norms(backbone):
    return [m for m in backbone.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]


def trainable(backbone):
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


class TestFamilies:
    @pytest.mark.parametrize(("name", "levels", "side", "channels", "reductions"), FAMILIES, ids=IDS)
    def test_gives_one_map_a_level_of_the_promised_shape(self, name, levels, side, channels, reductions):
        backbone = Backbone(BackboneConfig(name, levels)).eval()
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, side, side))
        assert (backbone.channels, backbone.reductions) == (channels, reductions)
        expected = [(1, c, side // r, side // r) for c, r in zip(channels, reductions, strict=True)]
        assert [tuple(m.shape) for m in maps] == expected

    def test_the_head_is_the_networks_own_final_convolution(self, pictures):
        backbone = Backbone(BackboneConfig("tf_efficientnet_lite0", (2, "head"))).eval()
        whole = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
        whole.load_state_dict(
            dict(zip(whole.state_dict(), backbone.state_dict().values(), strict=True)), strict=True
        )
        with torch.no_grad():
            assert torch.equal(backbone(pictures)[-1], whole.forward_features(pictures))

    def test_the_head_alone_is_one_level(self, pictures):
        backbone = Backbone(BackboneConfig("tf_efficientnet_lite0", ("head",))).eval()
        with torch.no_grad():
            maps = backbone(pictures[:1])
        assert (backbone.channels, backbone.reductions) == ((1280,), (32,))
        assert [tuple(m.shape) for m in maps] == [(1, 1280, 2, 2)]

    def test_maps_of_half_precision_come_out_in_float32(self, small, pictures):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            maps = small.eval()(pictures[:1])
        assert {m.dtype for m in maps} == {torch.float32}

    def test_maps_of_double_precision_stay_so(self, pictures):
        backbone = Backbone(BackboneConfig("mobilenetv3_small_050", (2, 3))).double().eval()
        with torch.no_grad():
            assert {m.dtype for m in backbone(pictures.double())} == {torch.float64}


UNDOWNSAMPLED = [
    # name, levels, side of the picture, maps
    ("resnet50", (4,), 224, [(2048, 14, 14)]),
    ("resnet50d", (3, 4), 64, [(1024, 4, 4), (2048, 4, 4)]),
    ("resnext50_32x4d", (4,), 64, [(2048, 4, 4)]),
    ("resnet18", (2, 3), 64, [(128, 8, 8), (256, 8, 8)]),
    ("tf_efficientnet_lite0", (4,), 64, [(320, 4, 4)]),
    ("tf_efficientnet_lite0", ("head",), 96, [(1280, 6, 6)]),
    ("tf_efficientnet_lite0", (3, 4, "head"), 64, [(112, 4, 4), (320, 4, 4), (1280, 4, 4)]),
    ("mobilenetv3_small_050", (2, 3, 4), 64, [(16, 8, 8), (24, 4, 4), (288, 4, 4)]),
]


class TestUndownsampled:
    @pytest.mark.parametrize(("name", "levels", "side", "maps"), UNDOWNSAMPLED)
    def test_the_last_stage_keeps_the_resolution_before_it(self, name, levels, side, maps):
        backbone = Backbone(BackboneConfig(name, levels, undownsampled=True)).eval()
        with torch.no_grad():
            given = backbone(torch.zeros(1, 3, side, side))
        assert [tuple(m.shape[1:]) for m in given] == maps
        assert backbone.reductions == tuple(side // height for _, height, _ in maps)

    @pytest.mark.parametrize(
        ("name", "levels"),
        [("resnet18", (4,)), ("resnet50d", (4,)), ("tf_efficientnet_lite0", (4, "head"))],
    )
    def test_the_weights_are_those_of_the_plain_network(self, name, levels):
        plain = Backbone(BackboneConfig(name, levels)).state_dict()
        fine = Backbone(BackboneConfig(name, levels, undownsampled=True))
        assert {key: t.shape for key, t in fine.state_dict().items()} == {
            key: t.shape for key, t in plain.items()
        }
        fine.load_state_dict(plain)

    def test_resnets_last_stage_has_no_stride_and_no_dilation(self):
        backbone = Backbone(BackboneConfig("resnet50", (4,), undownsampled=True))
        last = backbone.features.layer4
        convolutions = [m for m in last.modules() if isinstance(m, torch.nn.Conv2d)]
        assert {(m.stride, m.dilation) for m in convolutions} == {((1, 1), (1, 1))}
        assert backbone.features.layer3[0].conv2.stride == (2, 2)

    def test_resnet_ds_shortcut_pools_no_more(self):
        backbone = Backbone(BackboneConfig("resnet50d", (4,), undownsampled=True))
        assert isinstance(backbone.features.layer4[0].downsample[0], torch.nn.Identity)
        assert isinstance(backbone.features.layer3[0].downsample[0], torch.nn.AvgPool2d)

    def test_what_lies_at_every_second_cell_of_a_first_convolution_stays(self, pictures):
        """Strides only leave cells out: where the plain network looked, the other one sees the same."""
        plain = Backbone(BackboneConfig("resnet18", (4,))).eval()
        fine = Backbone(BackboneConfig("resnet18", (4,), undownsampled=True)).eval()
        fine.load_state_dict(plain.state_dict())
        before = torch.randn(2, 256, 6, 6, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            coarse, dense = (b.features.layer4[0].conv1(before) for b in (plain, fine))
        torch.testing.assert_close(dense[:, :, ::2, ::2], coarse)

    @pytest.mark.parametrize(
        ("name", "levels"), [("convnext_atto", (3,)), ("vit_tiny_patch16_224", (11,)), ("inception_v3", (4,))]
    )
    def test_refuses_networks_that_cannot_do_without(self, name, levels):
        with pytest.raises(ConfigError, match=f"{name}: its last stage cannot keep the resolution"):
            Backbone(BackboneConfig(name, levels, undownsampled=True))


class TestConfig:
    @pytest.mark.parametrize(
        "name", ["resnet50", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_050"]
    )
    def test_refuses_head_where_there_is_no_final_convolution(self, name):
        with pytest.raises(ConfigError, match=f'{name} has no final convolution.*leave "head" out'):
            Backbone(BackboneConfig(name, (2, "head")))

    def test_refuses_levels_that_the_network_lacks(self):
        with pytest.raises(ConfigError, match=r"resnet18 has no feature levels \(2, 9\)"):
            Backbone(BackboneConfig("resnet18", (2, 9)))

    def test_refuses_an_unknown_network_and_names_some_alike(self):
        with pytest.raises(ConfigError, match=r"unknown backbone 'resnet_fifty'.*resnet"):
            Backbone(BackboneConfig("resnet_fifty", (2, 3)))

    @pytest.mark.parametrize(
        ("levels", "message"),
        [
            ((), "need feature indices"),
            (("head", 2), "only as the last one"),
            ((2, "tail"), 'the only named level is "head"'),
            ((3, 2), "must rise"),
            ((2, 2), "must rise"),
            ((-1, 2), "must rise"),
        ],
    )
    def test_refuses_levels_that_are_not_a_rising_list(self, levels, message):
        with pytest.raises(ConfigError, match=message):
            BackboneConfig("resnet18", levels)


class TestBatchNorm:
    def test_frozen_norm_stays_in_evaluation_while_the_rest_trains(self, small):
        small.freeze_norm = True
        small.train()
        assert small.training
        assert norms(small)
        assert not any(norm.training for norm in norms(small))

    def test_norm_that_is_not_frozen_trains(self, small):
        small.freeze_norm = False
        small.train()
        assert all(norm.training for norm in norms(small))
        small.eval()
        assert not any(norm.training for norm in norms(small))

    @pytest.mark.parametrize("freeze", [True, False])
    def test_statistics_move_only_when_not_frozen(self, freeze, pictures):
        backbone = Backbone(BackboneConfig("mobilenetv3_small_050", (2, 3)))
        backbone.freeze_norm = freeze
        before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
        backbone.train()(pictures)
        same = all(torch.equal(before[name], buffer) for name, buffer in backbone.named_buffers())
        assert same is freeze

    def test_a_model_in_training_keeps_its_trunks_norm_frozen(self, new_avsl):
        model = new_avsl().train()
        assert model.training
        assert not any(norm.training for norm in norms(model.trunk))


class TestTrainableStages:
    def test_none_and_all(self, small):
        small.set_trainable("none")
        assert trainable(small) == set()
        small.set_trainable("all")
        assert trainable(small) == {name for name, _ in small.named_parameters()}

    @pytest.mark.parametrize(
        ("name", "levels", "inside"),
        [
            ("resnet18", (2, 3, 4), ("features.layer4.",)),
            ("resnet18", (1, 2, 3), ("features.layer3.",)),  # the network's own last stage is cut off
            ("tf_efficientnet_lite0", (2, 3, "head"), ("features.blocks.5.", "features.blocks.6.", "head.")),
            ("convnext_atto", (1, 2, 3), ("features.stages_3.",)),
            ("vit_tiny_patch16_224", (3, 7, 11), ("features.model.blocks.11.",)),
            ("vit_tiny_patch16_224", (3, 7), ("features.model.blocks.7.",)),
        ],
    )
    def test_last_is_what_follows_the_second_highest_stage_in_use(self, name, levels, inside):
        backbone = Backbone(BackboneConfig(name, levels))
        backbone.set_trainable("last")
        chosen = trainable(backbone)
        assert chosen
        assert all(name.startswith(inside) for name in chosen)
        assert all(any(name.startswith(prefix) for name in chosen) for prefix in inside)

    @pytest.mark.parametrize("levels", [(2, 3, 4), (1, 2), (2,)])
    def test_last_reaches_the_highest_map(self, levels, pictures):
        backbone = Backbone(BackboneConfig("mobilenetv3_small_050", levels)).eval()
        backbone.set_trainable("last")
        backbone(pictures[:1])[-1].square().sum().backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())

    def test_choosing_again_forgets_the_first_choice(self, small):
        small.set_trainable("all")
        small.set_trainable("last")
        assert all(name.startswith("features.layer4.") for name in trainable(small))


class TestCut:
    def test_nothing_above_the_highest_level_is_kept(self):
        low, whole = (
            Backbone(BackboneConfig("tf_efficientnet_lite0", levels), "packaged").eval()
            for levels in ((2, 3), (2, 3, 4))
        )
        assert sum(p.numel() for p in low.parameters()) < sum(p.numel() for p in whole.parameters()) / 3
        images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        for own, same in zip(low(images), whole(images)[:2], strict=True):
            torch.testing.assert_close(own, same)
