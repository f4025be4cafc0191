"""Painting over a part of a picture: what is covered, how far the edge reaches, and what lies there then."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avsl_core.errors import ConfigError
from avsl_core.images.paint import FILLS, cover, fill_in, paint_over

SIZE = 24
masks = arrays.arrays(bool, (SIZE, SIZE)).filter(lambda mask: mask.any() and not mask.all())


def disc(size, radius=0.25):
    y, x = np.mgrid[:size, :size] / size - 0.5
    return x**2 + y**2 < radius**2


def noisy(mask, inside, size=64):
    """A ramp, and something else where the mask is."""
    y, x = np.mgrid[:size, :size]
    picture = np.stack([x * 2, y * 2, 80 + 0 * x], axis=-1).astype(np.uint8)
    picture[mask] = inside
    return picture


@pytest.mark.parametrize("fill", ["surroundings", "grey"])
def test_nothing_of_what_was_under_the_paint_is_left(fill):
    mask = disc(64)
    black, white = (paint_over(noisy(mask, inside), mask, fill) for inside in (0, 255))
    assert np.array_equal(black, white)


@pytest.mark.parametrize("fill", FILLS)
def test_no_pixel_changes_beyond_the_edge_of_the_paint(fill):
    mask = disc(64)
    picture = noisy(mask, 255)
    far = cover(mask, 0.02).numpy() == 0
    painted = paint_over(picture, mask, fill)
    assert np.array_equal(painted[far], picture[far])
    assert not np.array_equal(painted[mask], picture[mask])
    assert far.mean() > 0.7


def test_the_surroundings_continue_over_the_part():
    mask = disc(64)
    ramp = noisy(np.zeros_like(mask), 0)
    painted = paint_over(noisy(mask, 255), mask, "surroundings")
    assert np.abs(painted.astype(int) - ramp.astype(int)).max() <= 12


def test_blur_keeps_something_of_what_was_there():
    mask = disc(64)
    painted = paint_over(noisy(mask, 255), mask, "blur")
    assert painted[32, 32].min() > 130


def test_grey_is_the_colour_that_is_given():
    mask = disc(64)
    painted = paint_over(noisy(mask, 255), mask, "grey", grey=(0.2, 0.4, 0.6))
    assert (painted[mask] == (51, 102, 153)).all()


def test_an_unknown_fill_is_refused():
    with pytest.raises(ConfigError, match="'glitter': give one of surroundings, blur, grey"):
        paint_over(noisy(disc(64), 0), disc(64), "glitter")


@settings(max_examples=40, deadline=None)
@given(masks, st.floats(0, 0.5))
def test_the_mask_is_covered_entirely_and_nothing_else_is(mask, reach):
    covered = cover(mask, reach).numpy()
    assert np.array_equal(covered == 1, mask)


@settings(max_examples=40, deadline=None)
@given(masks, st.integers(0, 2**32 - 1))
def test_what_is_filled_in_stays_within_what_is_known_and_what_is_known_stays(mask, seed):
    values = torch.rand(2, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    known = torch.from_numpy(~mask).float()
    filled = fill_in(values, known)
    assert torch.equal(filled[:, ~mask], values[:, ~mask])
    for before, after in zip(values, filled, strict=True):
        assert before[~mask].min() - 1e-5 <= after.min()
        assert after.max() <= before[~mask].max() + 1e-5
