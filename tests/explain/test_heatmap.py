import numpy as np
import pytest
import torch

from avsl_core.explain.heatmap import APART, TOGETHER, color_of, draw_signed, draw_spotlight, shared_scale

GREY = np.full((64, 64, 3), 128, np.uint8)


def test_positive_areas_turn_orange_and_negative_blue():
    values = torch.tensor([[1.0, -1.0]]).repeat(2, 1)
    drawn = draw_signed(GREY, [values], scale=float(values.numel())).astype(int)
    left, right = drawn[32, 2], drawn[32, 61]
    assert left[0] > left[2] + 80
    assert right[2] > right[0] + 80


def test_zero_leaves_the_greyed_picture_without_colour():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    drawn = draw_signed(red, [torch.zeros(4, 4)], scale=1.0)
    assert (drawn[..., 0] == drawn[..., 1]).all()
    assert (drawn[..., 1] == drawn[..., 2]).all()


def test_scale_is_symmetric_around_zero():
    values = torch.full((3, 3), 0.5)
    apart, together = draw_signed(GREY, [values], 9.0), draw_signed(GREY, [-values], 9.0)
    base = draw_signed(GREY, [values * 0], 9.0).astype(float)
    strength = [
        np.abs(drawn - base)[..., channel].mean() / abs(color[channel] - base[0, 0, channel])
        for drawn, color, channel in ((apart, APART, 2), (together, TOGETHER, 0))
    ]
    assert strength[0] == pytest.approx(strength[1], abs=0.02)


def test_colour_depends_on_value_per_area_not_on_resolution():
    coarse, fine = torch.full((2, 2), 0.25), torch.full((8, 8), 0.25 / 16)
    assert (draw_signed(GREY, [coarse], 2.0) == draw_signed(GREY, [fine], 2.0)).all()
    assert shared_scale([coarse]) == pytest.approx(shared_scale([fine]))


def test_several_maps_are_drawn_as_their_sum():
    values = torch.linspace(-1, 1, 16).reshape(4, 4)
    assert (draw_signed(GREY, [values, values], 30.0) == draw_signed(GREY, [2 * values], 30.0)).all()


def test_scale_is_shared_by_the_larger_map():
    assert shared_scale([torch.ones(2, 2), -3 * torch.ones(2, 2)]) == pytest.approx(12.0)
    assert shared_scale([]) == 0.0


def test_spotlight_keeps_colour_only_where_the_node_answers():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    values = torch.zeros(4, 4)
    values[:2] = 1.0
    drawn = draw_spotlight(red, values).astype(int)
    assert drawn[4, 32, 0] - drawn[4, 32, 1] > 150
    assert abs(drawn[60, 32, 0] - drawn[60, 32, 1]) < 10


@pytest.mark.parametrize("side", [16, 200])
def test_result_has_the_asked_size(side):
    assert draw_signed(GREY, [torch.ones(3, 5)], 1.0, side=side).shape == (side, side, 3)
    assert draw_spotlight(GREY, torch.ones(3, 5), side=side).shape == (side, side, 3)


def test_legend_colours_run_from_blue_over_white_to_orange():
    blue, middle, orange = (int(color_of(unit)[1:], 16) for unit in (-1, 0, 1))
    assert blue & 255 > blue >> 16
    assert middle == 0xF6F6F6
    assert orange >> 16 > orange & 255
