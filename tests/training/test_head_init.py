from dataclasses import replace

import torch
import torch.nn.functional as F

from avsl_core.models import build_model
from avsl_core.training.head_init import begin_on_principal_directions, principal_projection
from avsl_core.training.methods import OBJECTIVES
from avsl_core.training.options import RamlOptions


def test_fewer_nodes_keep_the_directions_of_largest_spread():
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 9.0, 3.0, 0.1]
    )
    projection = principal_projection(features, 2, torch.Generator())
    torch.testing.assert_close(projection @ projection.T, torch.eye(2), atol=1e-5, rtol=0)
    assert projection[0].abs().argmax() == 1
    assert projection[1].abs().argmax() == 2


def test_more_nodes_than_channels_keep_all_distances():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 4, generator=generator)
    lifted = features @ principal_projection(features, 9, generator).T
    torch.testing.assert_close(
        torch.cdist(lifted, lifted), torch.cdist(features, features), atol=3e-3, rtol=1e-3
    )


def test_proxies_begin_at_the_mean_of_their_class(tiny):
    generator = torch.Generator().manual_seed(0)
    model = build_model(tiny.method, OBJECTIVES[tiny.method].model_options(tiny), generator=generator)
    objective = OBJECTIVES["avsl"](model, tiny, 3, generator)
    maps = [torch.rand(6, c, 4, 4, generator=generator) for c in model.trunk.channels]
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    begin_on_principal_directions(objective, iter([(maps, labels)]), generator)
    with torch.no_grad():
        n = F.normalize(model.nodes(maps).embeddings[2], dim=1)
    torch.testing.assert_close(
        objective.proxies[2][1], F.normalize(n[2:4].mean(dim=0), dim=0), atol=1e-5, rtol=0
    )


def test_whitening_gives_every_direction_the_same_spread_around_zero(tiny):
    raml = RamlOptions(student_size=32, teacher_epochs=1)
    plan = replace(tiny, method="raml", levels=(4,), epochs=1, nodes=6, raml=raml)
    generator = torch.Generator().manual_seed(0)
    model = build_model("raml", OBJECTIVES["raml"].model_options(plan), generator=generator)
    objective = OBJECTIVES["raml"](model, plan, 4, generator)
    channels = model.trunk.channels[0]
    scale = torch.linspace(0.2, 3.0, channels)[None, :, None, None]
    maps = [scale * torch.rand(400, channels, 2, 2, generator=generator) for _ in range(2)]
    labels = torch.arange(400) % 4
    begin_on_principal_directions(objective, iter([(maps, labels)]), generator, whiten=True)
    with torch.no_grad():
        for side, pooled in enumerate(model.pooled(maps)):
            projected = F.linear(pooled, model.projections[side], model.biases[side])
            covariance = projected.T @ projected / len(projected)
            spread = covariance.diagonal().mean()
            torch.testing.assert_close(projected.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
            torch.testing.assert_close(covariance / spread, torch.eye(6), atol=1e-3, rtol=0)
            mean = F.normalize(projected, dim=1)[labels == 2].mean(dim=0)
            torch.testing.assert_close(objective.proxies[side][2], F.normalize(mean, dim=0))


def test_directions_without_data_are_not_blown_up():
    features = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    features[:, 3:] = 0.0
    projection = principal_projection(features, 5, torch.Generator(), whiten=True)
    assert projection.isfinite().all()
    assert projection.norm(dim=1).max() <= 101
