"""AvslModel and AvslConfig: heads, gradients and refusals."""

import pytest
import torch
from torch.testing import assert_close

from avsl_core import functional as AF
from avsl_core.errors import ConfigError
from avsl_core.models import AvslConfig, AvslModel, BackboneConfig


class TestHeads:
    def test_are_those_of_the_functions(self, avsl, pictures):
        maps = avsl.trunk_maps(pictures)
        heads = avsl.nodes(maps)
        for level, m in enumerate(maps):
            head = (avsl.projections[level], avsl.biases[level])
            assert torch.equal(heads.embeddings[level], AF.project(m, *head))
            assert torch.equal(heads.activation_maps[level], AF.activation_map(m, *head))
            assert torch.equal(heads.certainties[level], AF.certainty(heads.activation_maps[level]))

    def test_gradient_flows_through_embeddings_only(self, new_avsl, pictures):
        model = new_avsl().requires_grad_(True)
        heads = model.nodes(model.trunk_maps(pictures))
        assert all(e.requires_grad for e in heads.embeddings)
        assert not any(t.requires_grad for t in (*heads.activation_maps, *heads.certainties))

    def test_start_with_bias_zero_gates_one_half_and_fan_out_weights(self, new_avsl):
        model = new_avsl(trained=False, nodes=200)
        assert all((bias == 0).all() for bias in (*model.biases, *model.betas))
        assert all((alpha == 1).all() for alpha in model.alphas)
        assert len(model.alphas) == len(model.betas) == 2
        for weight in model.projections:
            assert_close(weight.std().item(), (2 / 200) ** 0.5, rtol=0.1, atol=0)

    def test_a_generator_decides_the_first_weights(self):
        config = AvslConfig(BackboneConfig("mobilenetv3_small_050", (2, 3)), nodes=5)
        first, again, other = (
            AvslModel(config, generator=torch.Generator().manual_seed(seed)).projections[0]
            for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_certainty_mode_is_that_of_the_configuration(self, new_avsl, pictures):
        model = new_avsl(certainty="global")
        heads = model.nodes(model.trunk_maps(pictures))
        assert torch.equal(heads.certainties[0], AF.certainty(heads.activation_maps[0], "global"))


class TestConfig:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"nodes": 0}, "nodes"),
            ({"top_k": 0}, "top_k"),
            ({"certainty": "column"}, "certainty"),
            ({"momentum": 0.0}, "momentum"),
            ({"momentum": 1.5}, "momentum"),
            ({"momentum": float("nan")}, "momentum"),
            ({"gamma": 0.0}, "gamma"),
            ({"gamma": float("nan")}, "gamma"),
            ({"gamma": float("inf")}, "gamma"),
        ],
    )
    def test_refuses_values_out_of_range(self, options, message):
        with pytest.raises(ConfigError, match=message):
            AvslConfig(**options)

    def test_refuses_a_single_level(self):
        with pytest.raises(ConfigError, match="at least two levels"):
            AvslModel(AvslConfig(BackboneConfig("mobilenetv3_small_050", (4,))))

    @pytest.mark.parametrize("levels", [(3, 4), (1, 2, 3, 4)])
    def test_takes_any_number_of_levels_from_two(self, new_avsl, pictures, levels):
        model = new_avsl(levels=levels)
        encoded = model.encode(pictures)
        account = model.explain(encoded[0], encoded[1])
        assert model.levels == len(account.components) == len(levels)
        assert account.total == pytest.approx(model.distance(encoded[0], encoded[1]).item(), rel=1e-5)

    def test_defaults_are_the_published_recipe(self):
        config = AvslConfig()
        assert (config.backbone.name, config.backbone.levels) == ("resnet50", (2, 3, 4))
        assert (config.nodes, config.top_k, config.gamma, config.momentum) == (512, 128, 10.0, 0.5)
        assert config.certainty == "row"
