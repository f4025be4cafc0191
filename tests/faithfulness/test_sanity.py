"""Destroying the model from the top down: maps of an honest method change with it."""

import pytest
import torch

from avsl_core.errors import DataError
from avsl_core.faithfulness import EXPLAINERS, PairMaps, cascade, map_correlation, sanity_curve
from avsl_core.faithfulness.sanity import stages


def test_every_weight_belongs_to_exactly_one_stage_from_heads_to_stem(avsl):
    found = stages(avsl)
    assert [name for name, _ in found] == ["heads", "stage 4", "stage 3", "stage 2", "stage 1"]
    keys = [key for _, members in found for key in members]
    assert sorted(keys) == sorted(avsl.state_dict())
    assert any("conv_stem" in key for key in found[-1][1])


def test_each_step_destroys_one_more_stage_and_never_the_original(avsl):
    before = {key: value.clone() for key, value in avsl.state_dict().items()}
    untouched = dict(before)
    for (name, model), (stage, keys) in zip(cascade(avsl), [("none", []), *stages(avsl)], strict=True):
        assert name == stage
        state = model.state_dict()
        if keys:
            large = [key for key in keys if before[key].dim() > 1 and before[key].numel() > 20]
            assert all(not torch.equal(state[key], before[key]) for key in large)
            torch.testing.assert_close(*(both[large[0]].flatten().sort().values for both in (state, before)))
        untouched = {key: value for key, value in untouched.items() if key not in keys}
        assert all(torch.equal(state[key], value) for key, value in untouched.items())
    assert not untouched
    assert all(torch.equal(before[key], value) for key, value in avsl.state_dict().items())


def test_destroyed_heads_reach_the_linkage_in_use(avsl):
    *_, (_, model) = cascade(avsl)
    assert not torch.equal(model.normalized_linkages[0], avsl.normalized_linkages[0])


def test_maps_correlate_fully_with_an_intact_model_and_less_with_a_destroyed_one(avsl, pair):
    curve = sanity_curve(avsl, EXPLAINERS["ledger"], [pair, pair[::-1]])
    assert list(curve) == ["none", "heads", "stage 4", "stage 3", "stage 2", "stage 1"]
    assert curve["none"] == pytest.approx(1.0)
    assert abs(curve["stage 1"]) < 0.6


def test_a_method_that_looks_at_no_model_is_found_out(avsl, pair):
    assert min(sanity_curve(avsl, EXPLAINERS["centre"], [pair]).values()) == pytest.approx(1.0)


def test_without_a_pair_there_is_nothing_to_check(avsl):
    with pytest.raises(DataError, match="at least one pair"):
        sanity_curve(avsl, EXPLAINERS["ledger"], [])


def test_correlation_is_by_rank_and_keeps_the_sign():
    rising = torch.arange(16.0).view(4, 4)
    maps, bent = PairMaps(rising, rising), PairMaps(rising**3, rising**3)
    assert map_correlation(maps, bent) == pytest.approx(1.0)
    assert map_correlation(maps, PairMaps(-rising, rising)) == pytest.approx(0.0)
    assert map_correlation(maps, PairMaps(torch.ones(4, 4), torch.ones(4, 4))) == 0.0
