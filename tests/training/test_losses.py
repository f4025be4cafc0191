"""Losses by name: each can be computed, differentiated, and told from the others."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core.errors import ConfigError
from avsl_core.training.loss_options import LOSS_OPTIONS
from avsl_core.training.losses import LOSS_NAMES, PAIR_LOSSES, build_loss

CLASSES, WIDTH = 6, 12
LABELS = torch.arange(CLASSES).repeat_interleave(3)
BUILT = [name for name in LOSS_NAMES if name != "proxy_anchor"]


def vectors(spread, seed=0):
    """Unit vectors around one direction per class."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    noise = torch.randn(len(LABELS), WIDTH, generator=generator)
    return F.normalize(centres[LABELS] + spread * noise, dim=1).requires_grad_()


@pytest.mark.parametrize("name", BUILT)
def test_a_step_down_its_slope_lowers_it(name):
    torch.manual_seed(0)
    loss = build_loss(name, CLASSES, WIDTH)
    x = vectors(2.0)
    before = loss(x, LABELS)
    before.backward()
    assert x.grad.isfinite().all() and float(x.grad.abs().sum()) > 0
    for parameter in loss.parameters():
        parameter.requires_grad_(False)
    moved = F.normalize(x.detach() - 1e-3 * x.grad / x.grad.norm(), dim=1)
    assert float(loss(moved, LABELS)) < float(before.detach())


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_a_loss_on_given_pairs_is_the_loss_on_the_vectors_they_are_of(name):
    x = vectors(1.5).detach()
    cosines = x @ x.T
    given = cosines if name == "multi_similarity" else torch.cdist(x, x)
    kept = given.clone()
    expected = build_loss(name, CLASSES, WIDTH)(x, LABELS)
    assert_close(build_loss(name, CLASSES, WIDTH, given=True)(given, LABELS), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(given, kept)


@pytest.mark.parametrize("name", ["soft_triple", "proxy_nca", "arcface", "margin"])
def test_losses_that_learn_have_parameters(name):
    assert list(build_loss(name, CLASSES, WIDTH).parameters())


@pytest.mark.parametrize("name", sorted(set(BUILT) - set(PAIR_LOSSES)))
def test_a_loss_on_vectors_takes_no_pairs(name):
    with pytest.raises(ConfigError, match="loss on pairs"):
        build_loss(name, CLASSES, WIDTH, given=True)


@pytest.mark.parametrize("name", ["tripplet", "proxy_anchor"])
def test_an_unknown_loss_is_refused_with_the_known_ones(name):
    with pytest.raises(ConfigError, match="multi_similarity"):
        build_loss(name, CLASSES, WIDTH)


# Of every option one value other than the default that shows in the loss of the vectors below.
OTHER = {
    "learn_beta": False,
    "type_of_triplets": "all",
    "centers_per_class": 2,
    "n_bins": 20,
    "pos_margin": 0.3,
    "neg_margin": 1.9,
    "nu": 0.5,
}
OPTIONS = [(name, key) for name in BUILT for key in LOSS_OPTIONS[name]]


@pytest.mark.parametrize(("name", "key"), [pair for pair in OPTIONS if pair[1] != "learn_beta"])
def test_every_option_has_an_effect(name, key):
    def loss(**options):
        torch.manual_seed(0)
        return float(build_loss(name, CLASSES, WIDTH, options=options)(vectors(2.0), LABELS).detach())

    default = LOSS_OPTIONS[name][key].default
    other = OTHER.get(key, default * 0.5 if not isinstance(default, str) else default)
    assert other != default
    assert loss(**{key: other}) != loss()
    assert loss(**{key: default}) == loss()


def test_the_middle_of_the_margin_loss_learns_unless_told_not_to():
    assert not list(build_loss("margin", CLASSES, WIDTH, options={"learn_beta": False}).parameters())


def test_an_option_of_another_loss_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="no option of loss=circle; known: m, gamma"):
        build_loss("circle", CLASSES, WIDTH, options={"beta": 1.0})


def test_an_option_of_one_name_has_one_type():
    types = {}
    for options in LOSS_OPTIONS.values():
        for key, option in options.items():
            assert types.setdefault(key, type(option.default)) is type(option.default)
