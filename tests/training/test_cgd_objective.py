"""CgdObjective: a ranking loss on the joined descriptors, a classifier on the first, and whole runs."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.checkpoint import load_checkpoint
from avsl_core.errors import ConfigError
from avsl_core.models import build_model
from avsl_core.training import RECIPES, Trainer, find_recipe
from avsl_core.training.head_init import begin_on_principal_directions
from avsl_core.training.losses import LOSS_NAMES
from avsl_core.training.map_cache import build_map_cache
from avsl_core.training.methods import OBJECTIVES
from avsl_core.training.options import CgdOptions

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.fixture
def recipe(tiny):
    return replace(
        tiny,
        method="cgd",
        levels=(4,),
        nodes=12,
        loss="batch_hard_triplet",
        samples_per_class=2,
        lr_heads=3e-3,
    )


def objective_for(config, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    options = OBJECTIVES["cgd"].model_options(config)
    return OBJECTIVES["cgd"](build_model("cgd", options, generator=generator), config, classes, generator)


def maps_for(objective, seed=0):
    channels = objective.model.trunk.channels[0]
    return [torch.rand(6, channels, 3, 3, generator=torch.Generator().manual_seed(seed))]


class TestLosses:
    def test_are_the_published_ones(self, published, recipe):
        """From the published map, projections, labels and logits to the published losses."""
        objective = objective_for(replace(recipe, nodes=18)).train()
        for weight, kind in zip(objective.model.projections, "SMG", strict=True):
            weight.data = published(f"cgd/weight_{kind}")
        objective.auxiliary = torch.nn.Linear(9, 4)
        # A classifier that gives the published logits for the published descriptors: eight rows, ten unknown.
        rows = torch.cat([published("cgd/descriptor_S"), torch.ones(8, 1)], dim=1).double()
        solved = torch.linalg.lstsq(rows, published("cgd/logits").double(), driver="gelsd").solution.float()
        objective.auxiliary.weight.data, objective.auxiliary.bias.data = solved[:-1].T, solved[-1]
        losses = objective([published("cgd/map")], published("cgd/labels"))
        expected = {
            "rank": published("cgd/batch_hard_triplet_m0.1"),
            "auxiliary": published("cgd/cross_entropy_smoothing0.1_temperature0.5"),
        }
        for name, value in expected.items():
            torch.testing.assert_close(losses[name].detach(), value, atol=1e-5, rtol=1e-4)

    def test_the_total_weighs_the_auxiliary_one(self, recipe):
        objective = objective_for(replace(recipe, cgd=CgdOptions(auxiliary_weight=0.25))).train()
        losses = objective(maps_for(objective), LABELS)
        assert list(losses) == ["rank", "auxiliary", "total"]
        torch.testing.assert_close(losses["total"], losses["rank"] + 0.25 * losses["auxiliary"])

    def test_without_weight_there_is_no_classifier(self, recipe):
        objective = objective_for(replace(recipe, cgd=CgdOptions(auxiliary_weight=0.0))).train()
        losses = objective(maps_for(objective), LABELS)
        assert objective.auxiliary is None
        assert list(losses) == ["rank", "total"]

    @pytest.mark.parametrize("descriptors", ["SM", "MS", "GM"])
    def test_the_classifier_sees_the_first_descriptor_as_pooled(self, recipe, descriptors):
        objective = objective_for(replace(recipe, cgd=CgdOptions(descriptors))).train()
        maps = maps_for(objective)
        losses = objective(maps, LABELS)
        logits = objective.auxiliary(AF.global_descriptor(maps[0], descriptors[0]))
        expected = F.cross_entropy(logits / 0.5, LABELS, label_smoothing=0.1)
        torch.testing.assert_close(losses["auxiliary"], expected)

    def test_the_ranking_loss_sees_the_joined_vector(self, recipe):
        objective = objective_for(recipe).train()
        maps = maps_for(objective)
        model = objective.model
        vectors = model.node_vectors(model.encode_maps(maps))
        expected = AF.batch_hard_triplet(vectors, LABELS, margin=0.1)
        torch.testing.assert_close(objective(maps, LABELS)["rank"], expected)

    def test_circle_is_the_true_circle_loss(self, recipe):
        objective = objective_for(replace(recipe, loss="circle")).train()
        maps = maps_for(objective)
        vectors = objective.model.node_vectors(objective.model.encode_maps(maps)).detach()
        s = vectors @ vectors.T
        alike = LABELS[:, None] == LABELS[None]
        m, gamma = 0.4, 80.0
        rows = []
        for row in range(6):
            others = torch.arange(6) != row
            p, n = s[row, alike[row] & others], s[row, ~alike[row]]
            up = -gamma * (1 + m - p).clamp_min(0) * (p - (1 - m))
            down = gamma * (n + m).clamp_min(0) * (n - m)
            rows.append(F.softplus(up.logsumexp(0) + down.logsumexp(0)))
        torch.testing.assert_close(
            objective(maps, LABELS)["rank"], torch.stack(rows).mean(), atol=1e-3, rtol=1e-4
        )

    def test_proxy_anchor_is_on_the_distance_of_the_joined_vectors(self, recipe):
        objective = objective_for(replace(recipe, loss="proxy_anchor")).train()
        maps = maps_for(objective)
        vectors = objective.model.node_vectors(objective.model.encode_maps(maps))
        proxies = torch.cat([F.normalize(p, dim=1) for p in objective.proxies], dim=1) / 3**0.5
        expected = AF.proxy_anchor_loss(
            torch.cdist(vectors, proxies) ** 2, LABELS[:, None] == torch.arange(4)
        )
        torch.testing.assert_close(objective(maps, LABELS)["rank"], expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("loss", LOSS_NAMES)
    def test_every_loss_trains_the_projections(self, recipe, loss):
        objective = objective_for(replace(recipe, loss=loss, cgd=CgdOptions(auxiliary_weight=0.0))).train()
        losses = objective(maps_for(objective), LABELS)
        losses["total"].backward()
        assert losses["total"].isfinite()
        assert all(w.grad.isfinite().all() for w in objective.model.projections)

    def test_the_auxiliary_loss_reaches_the_trunk_but_no_projection(self, recipe):
        objective = objective_for(recipe).train()
        pictures = torch.randn(6, 3, 48, 48, generator=torch.Generator().manual_seed(0))
        objective.model.trunk.set_trainable("all")
        objective(pictures, LABELS)["auxiliary"].backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.model.trunk.parameters())
        assert all(w.grad is None for w in objective.model.projections)


class TestParameters:
    @pytest.mark.parametrize("loss", ["batch_hard_triplet", "proxy_anchor", "soft_triple"])
    def test_every_one_has_one_learning_rate(self, recipe, loss):
        objective = objective_for(replace(recipe, loss=loss))
        groups = objective.parameter_groups()
        listed = [id(p) for group in groups for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in objective.parameters())

    def test_the_classifier_learns_with_the_heads(self, recipe):
        objective = objective_for(recipe)
        heads = next(g for g in objective.parameter_groups() if g["name"] == "heads")
        assert {id(p) for p in objective.auxiliary.parameters()} < {id(p) for p in heads["params"]}

    def test_the_same_generator_gives_the_same_start(self, recipe):
        first, again = objective_for(recipe, seed=3), objective_for(recipe, seed=3)
        assert torch.equal(first.auxiliary[1].weight, again.auxiliary[1].weight)
        assert torch.equal(first.auxiliary[1].bias, again.auxiliary[1].bias)


class TestOptions:
    def test_reach_the_model(self, recipe):
        config = replace(recipe, cgd=CgdOptions("GS", undownsampled=False))
        model = objective_for(config).model
        assert (model.config.descriptors, model.config.backbone.undownsampled) == ("GS", False)
        assert objective_for(recipe).model.trunk.reductions == (16,)

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("auxiliary_weight=-1", "0 or more"),
            ("smoothing=1", r"in \[0, 1\)"),
            ("auxiliary_temperature=0", "above 0"),
        ],
    )
    def test_out_of_range_are_refused(self, option, message):
        with pytest.raises(ConfigError, match=f"cgd.{option.split('=')[0]}=.*{message}"):
            find_recipe("cgd", [f"cgd.{option}"])

    def test_parts_of_a_single_picture_are_refused(self, recipe):
        with pytest.raises(ConfigError, match=r"accumulation=8: .*needs 2 pictures or more"):
            objective_for(replace(recipe, samples_per_class=0, accumulation=8))

    def test_the_published_recipe_is_the_published_one(self):
        config = RECIPES["cgd"]
        assert (config.backbone, config.levels, config.nodes, config.batch_size) == (
            "resnet50",
            (4,),
            1536,
            128,
        )
        assert (config.loss, config.lr_trunk, config.weight_decay) == ("batch_hard_triplet", 1e-4, 0.0)
        assert config.cgd == CgdOptions("SMG", True, 1.0, 0.1, 0.5)


class TestHeadsOnPrincipalDirections:
    @pytest.mark.parametrize("loss", ["batch_hard_triplet", "proxy_anchor"])
    def test_every_descriptor_keeps_its_own(self, recipe, loss):
        objective = objective_for(replace(recipe, loss=loss))
        maps = maps_for(objective)
        begin_on_principal_directions(objective, iter([(maps, LABELS)]), torch.Generator().manual_seed(0))
        for weight, pooled in zip(objective.model.projections, objective.model.pooled(maps), strict=True):
            torch.testing.assert_close(weight @ weight.T, torch.eye(4), atol=1e-5, rtol=0)
            variances = ((pooled - pooled.mean(dim=0)) @ weight.T).var(dim=0)
            total = pooled.var(dim=0).sum()
            assert variances.sum() > 0.6 * total

    def test_proxies_begin_at_the_mean_of_their_class(self, recipe):
        objective = objective_for(replace(recipe, loss="proxy_anchor"))
        maps = maps_for(objective)
        begin_on_principal_directions(objective, iter([(maps, LABELS)]), torch.Generator().manual_seed(0))
        with torch.no_grad():
            nodes = objective.model.encode_maps(maps).nodes[1]
        torch.testing.assert_close(objective.proxies[1][2], F.normalize(nodes[4:].mean(dim=0), dim=0))


class TestRuns:
    def test_a_cached_run_learns_and_its_checkpoint_holds_no_classifier(
        self, tmp_path, recipe, train_pictures, validation_pictures, alone
    ):
        config = replace(recipe, epochs=6, head_init="pca")
        out = tmp_path / "cgd.safetensors"
        result = Trainer(config, train_pictures, validation_pictures, out, alone, progress=False).fit()
        assert result.losses[-1] < result.losses[0]
        model = load_checkpoint(out).model
        assert model.config.backbone.undownsampled
        assert not any("auxiliary" in name for name in model.state_dict())

    def test_on_pictures_an_interrupted_run_goes_on_as_if_it_had_not_been(
        self, tmp_path, recipe, train_pictures, alone
    ):
        config = replace(recipe, cached=False, stages="all", epochs=2)
        whole = Trainer(
            config, train_pictures, None, tmp_path / "whole.safetensors", alone, progress=False
        ).fit()
        part = Trainer(config, train_pictures, None, tmp_path / "part.safetensors", alone, progress=False)
        values = part._run_epoch(0)
        part._finish_epoch(0, values, None, part._begin(resume=False))
        again = Trainer(config, train_pictures, None, tmp_path / "part.safetensors", alone, progress=False)
        assert again.fit(resume=True).losses == pytest.approx(whole.losses, rel=1e-6)

    def test_the_cache_of_an_undownsampled_trunk_is_another(self, tmp_path, recipe, train_pictures):
        grids = {}
        for undownsampled in (False, True):
            config = replace(recipe, cgd=CgdOptions(undownsampled=undownsampled))
            model = objective_for(config).model.eval()
            trunk = build_model("cgd", OBJECTIVES["cgd"].model_options(recipe)).trunk.state_dict()
            model.trunk.load_state_dict({name: torch.ones_like(tensor) for name, tensor in trunk.items()})
            with torch.inference_mode():
                cache = build_map_cache(
                    tmp_path,
                    model,
                    train_pictures,
                    config,
                    augmented=False,
                    trunk_pass=torch.inference_mode()(model.trunk_maps),
                    progress=False,
                )
            grids[undownsampled] = tuple(cache.read([0], [0])[0].shape[2:])
        assert grids == {False: (2, 2), True: (3, 3)}
