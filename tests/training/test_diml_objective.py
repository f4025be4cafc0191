"""Structural training: the published distances, and every loss that can learn from them."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core import functional as AF
from avsl_core.checkpoint import load_checkpoint
from avsl_core.errors import ConfigError
from avsl_core.models import DimlModel, build_model
from avsl_core.training import Trainer
from avsl_core.training.losses import PAIR_LOSSES
from avsl_core.training.methods import OBJECTIVES

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.fixture
def recipe(tiny):
    options = {"method": "diml", "levels": (4,), "loss": "margin", "samples_per_class": 2}
    return replace(tiny, **options, diml=replace(tiny.diml, grid=2))


def objective_for(config):
    generator = torch.Generator().manual_seed(0)
    model = build_model("diml", OBJECTIVES["diml"].model_options(config), generator=generator)
    return OBJECTIVES["diml"](model, config, 4, generator).train()


def maps_of(objective):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(6, objective.model.trunk.channels[0], 4, 4, generator=generator)]


def test_pairs_are_measured_by_the_published_distance(recipe):
    objective = objective_for(recipe)
    cells, whole = objective.model.cells(maps_of(objective))
    found = objective._pairs(cells, whole)
    for i, j in ((0, 1), (2, 5)):
        products = AF.structural_products(cells[i], whole[i], cells[j : j + 1], whole[j : j + 1])
        T = AF.structural_plan(products)[0]
        apart = torch.cdist(cells[i], cells[j])
        expected = ((T * apart).sum() + (whole[i] - whole[j]).norm()) / 2
        assert_close(found[i, j], expected, atol=1e-4, rtol=1e-3)


def test_similarities_are_measured_by_the_published_mean(recipe):
    objective = objective_for(replace(recipe, loss="multi_similarity"))
    cells, whole = objective.model.cells(maps_of(objective))
    found = objective._pairs(cells, whole)
    products = AF.structural_products(cells[0], whole[0], cells[3:4], whole[3:4])
    T, cosine = AF.structural_plan(products)[0], (whole[0] * whole[3]).sum()
    expected = (T * (cells[0] @ cells[3].T + cosine)).sum() / 2
    assert_close(found[0, 3], expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("loss", [*PAIR_LOSSES])
def test_every_loss_on_pairs_teaches_the_head(recipe, loss):
    objective = objective_for(replace(recipe, loss=loss))
    objective(maps_of(objective), LABELS)["total"].backward()
    gradient = objective.model.base.projections[0].grad
    assert gradient.isfinite().all() and float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("loss", ["proxy_anchor", "soft_triple", "triplet"])
def test_the_vectors_alone_may_be_trained(recipe, loss):
    config = replace(recipe, loss=loss, diml=replace(recipe.diml, structural=False))
    objective = objective_for(config)
    objective(maps_of(objective), LABELS)["total"].backward()
    assert float(objective.model.base.projections[0].grad.abs().sum()) > 0


def test_proxies_cannot_be_matched_cell_by_cell(recipe):
    with pytest.raises(ConfigError, match=r"loss=proxy_anchor: .*structural distances"):
        replace(recipe, loss="proxy_anchor")


def test_a_run_ends_in_a_checkpoint_that_matches(
    recipe, train_pictures, validation_pictures, tmp_path, alone
):
    out = tmp_path / "diml.safetensors"
    config = replace(recipe, epochs=2, head_init="pca", nodes=6)
    result = Trainer(config, train_pictures, validation_pictures, out, alone, progress=False).fit()
    checkpoint = load_checkpoint(result.checkpoint)
    assert isinstance(checkpoint.model, DimlModel)
    assert checkpoint.model.config.grid == 2
    encoding = checkpoint.model.encode(torch.randn(2, 3, 48, 48))
    assert checkpoint.model.explain(encoding[0], encoding[1]).flow is not None


def test_two_views_of_one_picture_give_no_infinite_slope(recipe):
    objective = objective_for(recipe)
    maps = [m[:1].expand(6, -1, -1, -1).clone().requires_grad_() for m in maps_of(objective)]
    objective(maps, LABELS)["total"].backward()
    assert maps[0].grad.isfinite().all()
    assert F.normalize(maps[0], dim=1).isfinite().all()
