from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.models import build_model
from avsl_core.training.methods import OBJECTIVES


def objective_for(config, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = build_model(config.method, OBJECTIVES[config.method].model_options(config), generator=generator)
    return OBJECTIVES[config.method](model, config, classes, generator)


LABELS = torch.tensor([0, 0, 1, 2, 2, 3])


@pytest.fixture
def learner(tiny):
    learner = objective_for(replace(tiny, levels=(1, 2, 4)), 5).train()
    channels = learner.model.trunk.channels
    return learner, [torch.rand(6, c, s, s) for c, s in zip(channels, (12, 6, 2), strict=True)]


def test_the_final_loss_is_that_of_the_recursion(learner):
    objective, maps = learner
    losses = objective(maps, LABELS)
    model = objective.model
    heads = model.nodes(maps)
    proxy_certainty = [s.mean().expand(5, model.config.nodes) for s in heads.certainties]
    unused = model.alphas[0]
    distances = AF.avsl_distance(
        heads.embeddings,
        heads.certainties,
        list(objective.proxies),
        proxy_certainty,
        model.linkages,
        [unused, *model.alphas],
        [unused, *model.betas],
        top_k=model.config.top_k,
    )
    expected = AF.proxy_anchor_loss(distances, LABELS[:, None] == torch.arange(5))
    torch.testing.assert_close(losses["final"], expected, rtol=1e-5, atol=1e-5)


def test_level_losses_are_proxy_anchor_on_squared_distances(learner):
    objective, maps = learner
    losses = objective(maps, LABELS)
    for level, embedding in enumerate(objective.model.nodes(maps).embeddings):
        n, p = F.normalize(embedding, dim=1), F.normalize(objective.proxies[level], dim=1)
        expected = AF.proxy_anchor_loss(torch.cdist(n, p) ** 2, LABELS[:, None] == torch.arange(5))
        torch.testing.assert_close(losses[f"level{level + 1}"], expected, rtol=1e-4, atol=1e-4)


def test_the_final_loss_trains_the_gates_and_nothing_else(learner):
    objective, maps = learner
    objective(maps, LABELS)["final"].backward()
    model = objective.model
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [*model.alphas, *model.betas])
    assert all(p.grad is None for p in [*model.projections, *model.biases, *objective.proxies])


def test_the_level_losses_train_everything_but_the_gates(learner):
    objective, maps = learner
    losses = objective(maps, LABELS)
    sum(losses[f"level{level}"] for level in (1, 2, 3)).backward()
    model = objective.model
    assert all(p.grad is not None for p in [*model.projections, *objective.proxies])
    assert all(p.grad is None for p in [*model.alphas, *model.betas])


def test_evaluation_leaves_the_linkage_alone(learner):
    objective, maps = learner
    objective(maps, LABELS)
    before = [link.clone() for link in objective.model.linkages]
    objective.eval()
    objective([m + torch.rand_like(m) for m in maps], LABELS)
    assert all(torch.equal(a, b) for a, b in zip(before, objective.model.linkages, strict=True))


def test_above_the_limit_only_proxies_of_classes_in_the_batch_are_used(tiny):
    config = replace(tiny, all_proxies_up_to=4)
    objective = objective_for(config, 5).train()
    maps = [torch.rand(6, c, s, s) for c, s in zip(objective.model.trunk.channels, (12, 6, 2), strict=True)]
    objective(maps, LABELS)["total"].backward()
    for proxies in objective.proxies:
        assert proxies.grad[4].abs().sum() == 0
        assert (proxies.grad[:4].abs().sum(dim=1) > 0).all()


def test_up_to_the_limit_all_proxies_push(learner):
    objective, maps = learner
    objective(maps, LABELS)["total"].backward()
    assert all(proxies.grad[4].abs().sum() > 0 for proxies in objective.proxies)


def test_the_margin_variant_is_on_the_pairs_of_the_batch(tiny):
    objective = objective_for(replace(tiny, loss="margin"), 5).train()
    maps = [torch.rand(6, c, s, s) for c, s in zip(objective.model.trunk.channels, (12, 6, 2), strict=True)]
    losses = objective(maps, LABELS)
    model = objective.model
    encoding = model.encode_maps(maps)
    others = ~torch.eye(6, dtype=torch.bool)
    same = (LABELS[:, None] == LABELS[None])[others].view(6, 5)
    for name, matrix in (
        ("level1", torch.cdist(encoding.nodes[0], encoding.nodes[0]) ** 2),
        ("final", model.distance_matrix(encoding, encoding)),
    ):
        expected = AF.margin_loss(matrix[others].view(6, 5), same, beta=2.0, margin=0.2)
        torch.testing.assert_close(losses[name], expected, rtol=1e-4, atol=1e-4)
    losses["final"].backward()
    assert all(p.grad is not None for p in model.betas)
    assert all(p.grad is None for p in model.projections)


def test_every_parameter_has_one_learning_rate(learner):
    objective, _ = learner
    groups = objective.parameter_groups()
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in objective.parameters())
    assert [group["name"] for group in groups] == ["trunk", "heads", "gates", "proxies"]


def test_the_baseline_has_one_loss_on_the_concatenated_levels(tiny):
    config = replace(tiny, method="embedding")
    objective = objective_for(config, 5).train()
    maps = [torch.rand(6, c, s, s) for c, s in zip(objective.model.trunk.channels, (12, 6, 2), strict=True)]
    losses = objective(maps, LABELS)
    joined = torch.cat([F.normalize(e, dim=1) for e in objective.model.embeddings(maps)], dim=1) / 3**0.5
    proxies = torch.cat([F.normalize(p, dim=1) for p in objective.proxies], dim=1) / 3**0.5
    expected = AF.proxy_anchor_loss(torch.cdist(joined, proxies) ** 2, LABELS[:, None] == torch.arange(5))
    torch.testing.assert_close(losses["total"], expected, rtol=1e-4, atol=1e-4)
