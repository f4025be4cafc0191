"""Deletion and insertion: the truth must score best, and the ends of the curves are fixed."""

import pytest
import torch

from avsl_core.errors import ConfigError
from avsl_core.faithfulness import EXPLAINERS, PairMaps, perturb
from avsl_core.faithfulness.perturbation import FRACTIONS, area_under, blurred
from avsl_core.faithfulness.tally import summarize_curves


@pytest.fixture(scope="module")
def oracle(square):
    part = torch.from_numpy(square).float()
    return PairMaps(part, part)


def reverse(maps):
    return PairMaps(-maps.a, -maps.b)


def test_curves_begin_and_end_at_the_pair_and_at_the_blur(avsl, pair):
    curves = perturb(avsl, *pair, EXPLAINERS["centre"](avsl, *pair))
    a, b = (avsl.encode(images) for images in pair)
    blur_a, blur_b = (avsl.encode(blurred(images)) for images in pair)
    whole, nothing = avsl.distance(a, b).item(), avsl.distance(blur_a, blur_b).item()
    assert curves.deletion[0] == pytest.approx(whole, rel=1e-4)
    assert curves.insertion[-1] == pytest.approx(whole, rel=1e-4)
    assert curves.insertion[0] == pytest.approx(nothing, rel=1e-4)
    assert curves.deletion[-1] == pytest.approx(nothing, rel=1e-4)
    assert (curves.original, curves.blurred) == (curves.deletion[0], curves.deletion[-1])
    assert curves.fractions == FRACTIONS


def test_the_truth_beats_its_reverse(avsl, pair, oracle):
    truth, lie = (perturb(avsl, *pair, maps, aligned=True) for maps in (oracle, reverse(oracle)))
    assert truth.deletion_area < 0.5 * lie.deletion_area
    assert truth.insertion_area > lie.insertion_area


def test_deleting_the_difference_of_an_aligned_pair_leaves_almost_none(avsl, pair, oracle):
    curves = perturb(avsl, *pair, oracle, aligned=True)
    gone = curves.fractions.index(0.1)  # the square is 1/16 of the picture
    assert curves.deletion[gone] < 0.2 * curves.original


def test_an_aligned_pair_is_perturbed_at_the_same_places(avsl, pair):
    a, _ = pair
    maps = PairMaps(torch.rand(8, 8), torch.rand(8, 8))
    together = perturb(avsl, a, a, maps, aligned=True)
    apart = perturb(avsl, a, a, maps)
    assert max(together.deletion + together.insertion) < 1e-6
    assert max(apart.deletion) > 1e-3


def test_only_the_order_of_a_map_matters(avsl, pair):
    maps = EXPLAINERS["occlusion"](avsl, *pair)
    stretched = PairMaps(3 * maps.a + 1, maps.b / 7 - 2)
    assert perturb(avsl, *pair, maps).deletion == pytest.approx(
        perturb(avsl, *pair, stretched).deletion, rel=1e-4
    )


def test_the_blur_keeps_a_constant_and_removes_detail(pair):
    torch.testing.assert_close(blurred(torch.full((1, 3, 64, 64), 0.7)), torch.full((1, 3, 64, 64), 0.7))
    assert blurred(pair[0]).std() < 0.1 * pair[0].std()


def test_the_area_of_a_straight_fall_is_one_half():
    assert area_under(FRACTIONS, [1 - fraction for fraction in FRACTIONS]) == pytest.approx(0.5)


def test_summaries_weigh_pairs_by_their_distance(avsl, pair, oracle):
    one = perturb(avsl, *pair, oracle, aligned=True)
    values = summarize_curves([one, one])
    assert values["deletion"] == pytest.approx(one.deletion_area / one.original)
    assert values["insertion"] == pytest.approx(one.insertion_area / one.original)
    assert values["curves"]["deletion"][0] == pytest.approx(1.0)
    assert values["perturbation_pairs"] == 2


@pytest.mark.parametrize(
    "fractions", [(0.0,), (0.0, 0.5), (0.5, 1.0), (0.0, 0.6, 0.4, 1.0), (0.0, 0.5, 0.5, 1.0)]
)
def test_fractions_must_rise_from_nothing_to_all(avsl, pair, oracle, fractions):
    with pytest.raises(ConfigError, match="rise from 0 to 1"):
        perturb(avsl, *pair, oracle, fractions=fractions)
