"""Every explainer answers the same question, and leaves the model alone."""

import numpy as np
import pytest
import torch

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.faithfulness import EXPLAINERS, PairMaps, choose, completeness_error, point
from avsl_core.faithfulness.gradients import distance_of

BLIND = {"random", "centre"}


@pytest.mark.parametrize("name", EXPLAINERS)
@pytest.mark.parametrize("kind", ["avsl", "embedding"])
def test_finite_maps_from_any_model_on_any_device_without_a_trace(
    name, kind, pair, device, new_avsl, new_embedding
):
    model = {"avsl": new_avsl, "embedding": new_embedding}[kind]().to(device).requires_grad_(True)
    a, b = (images.to(device) for images in pair)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    maps = EXPLAINERS[name](model, a, b)
    assert maps.a.dim() == maps.b.dim() == 2
    assert maps.a.isfinite().all()
    assert maps.b.isfinite().all()
    assert not maps.a.requires_grad
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not a.requires_grad


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_same_pair_gives_the_same_maps(name, avsl, pair):
    one, other = EXPLAINERS[name](avsl, *pair), EXPLAINERS[name](avsl, *pair)
    torch.testing.assert_close(one.a, other.a)
    torch.testing.assert_close(one.b, other.b)


def test_the_ledger_adds_up_to_the_distance_and_so_do_its_levels(avsl, pair):
    maps = EXPLAINERS["ledger"](avsl, *pair)
    distance = avsl.distance(*(avsl.encode(images) for images in pair)).item()
    assert maps.target == pytest.approx(distance, rel=1e-4)
    assert completeness_error(maps) < 1e-9
    assert list(maps.levels) == ["level1", "level2", "level3"]
    assert sum(maps.level(name).sum() for name in maps.levels) == pytest.approx(maps.target, rel=1e-9)


def test_integrated_gradients_explain_the_gain_over_both_baselines(new_embedding, pair):
    # One level of a shallow trunk is smooth enough for 32 steps.
    model = new_embedding(levels=(1,))
    maps = EXPLAINERS["integrated_gradients"](model, *pair)
    a, b = (model.encode(images) for images in pair)
    grey = model.encode(torch.zeros_like(pair[0]))
    gain = 2 * model.distance(a, b) - model.distance(grey, b) - model.distance(a, grey)
    assert maps.target == pytest.approx(gain.item(), rel=1e-3)
    assert completeness_error(maps) < 0.1


def test_occlusion_finds_the_planted_difference(new_embedding, pair, square):
    maps = EXPLAINERS["occlusion"](new_embedding(levels=(1, 2)), *pair)
    result = point(maps, square, square)
    assert result.hit
    assert result.mass > 2 * result.area


def test_gradient_x_input_is_the_slope_along_the_picture(new_embedding, pair):
    model = new_embedding().double()
    a, b = (images.double() for images in pair)
    maps = EXPLAINERS["gradient_x_input"](model, a, b)
    other, step = model.encode(b), 1e-6
    up, down = (distance_of(model, a * (1 + sign * step), other, "query") for sign in (1, -1))
    assert maps.a.sum().item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-3)


def test_the_slope_of_avsl_counts_its_reliability_gates(new_avsl, pair):
    model = new_avsl().double()
    a, b = (images.double() for images in pair)
    with torch.no_grad():
        other, step = model.encode(b), 1e-6
        up, down = (distance_of(model, a * (1 + sign * step), other, "query") for sign in (1, -1))
    slope = ((up - down) / (2 * step)).item()
    assert EXPLAINERS["gradient_x_input"](model, a, b).a.sum().item() == pytest.approx(slope, rel=1e-3)


def test_differentiable_distances_are_the_model_s_own(avsl, pair):
    a, b = pair
    ours = distance_of(avsl, torch.cat([a, b]), avsl.encode(b), "query")
    theirs = avsl.distance(avsl.encode(torch.cat([a, b])), avsl.encode(b))
    torch.testing.assert_close(ours, theirs)


def test_grad_cam_lives_on_the_highest_map(avsl, pair):
    maps = EXPLAINERS["grad_cam"](avsl, *pair)
    assert maps.a.shape == avsl.trunk_maps(pair[0])[-1].shape[2:]


def test_grad_cam_sums_to_the_slope_along_the_means_of_the_highest_map(new_avsl, pair):
    model = new_avsl().double()
    a, b = (images.double() for images in pair)
    other, below, step = model.encode(b), model.trunk_maps(a), 1e-6
    mean = below[-1].mean(dim=(2, 3), keepdim=True)
    up, down = (
        model.distance(model.encode_maps([*below[:-1], below[-1] + sign * step * mean]), other)
        for sign in (1, -1)
    )
    slope = ((up - down) / (2 * step)).item()
    assert EXPLAINERS["grad_cam"](model, a, b).a.sum().item() == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("name", [name for name in EXPLAINERS if name not in BLIND])
def test_several_pictures_a_side_are_refused(name, avsl, pair):
    a, b = pair
    with pytest.raises(EncodingError, match="one picture a side"):
        EXPLAINERS[name](avsl, torch.cat([a, b]), b)


def test_random_maps_differ_from_pair_to_pair_and_hit_as_often_as_chance(avsl, square):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(300, 1, 3, 64, 64, generator=generator)
    results = [
        point(EXPLAINERS["random"](avsl, a, b), square, square)
        for a, b in zip(pictures[::2], pictures[1::2], strict=True)
    ]
    assert np.mean([one.mass for one in results]) == pytest.approx(1 / 16, abs=0.02)
    assert 0 < np.mean([one.hit for one in results]) < 0.2


def test_the_centre_prior_points_at_the_middle(avsl, pair):
    middle = np.zeros((64, 64), bool)
    middle[24:40, 24:40] = True
    assert point(EXPLAINERS["centre"](avsl, *pair), middle, middle).hit


def test_methods_are_chosen_by_name_and_others_can_join():
    def mine(model, a, b):
        return PairMaps(a[0, 0], b[0, 0])

    assert list(choose(None)) == list(EXPLAINERS)
    assert list(choose(["random", "ledger", "random"])) == ["random", "ledger"]
    assert choose(["mine"], {"mine": mine}) == {"mine": mine}
    assert choose(None, {"ledger": mine})["ledger"] is mine


@pytest.mark.parametrize("names", [["leger"], []])
def test_an_unknown_method_is_refused_with_the_known_ones(names):
    with pytest.raises(ConfigError, match="choose from ledger, grad_cam"):
        choose(names)


def test_completeness_is_relative_and_only_for_those_who_promise_it():
    maps = PairMaps(torch.ones(2, 2), -torch.ones(1, 1), target=4.0)
    assert completeness_error(maps) == pytest.approx(0.25)
    assert completeness_error(PairMaps(torch.ones(2, 2), torch.ones(1, 1))) is None
