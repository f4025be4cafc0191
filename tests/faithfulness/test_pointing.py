"""The pointing game: one maximum over both pictures, and the share of the map on the part."""

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.errors import DataError
from avsl_core.explain.heatmap import density
from avsl_core.faithfulness import PairMaps, point

NOTHING = torch.zeros(8, 8)


def one_cell(row, column, value=1.0):
    values = torch.zeros(8, 8)
    values[row, column] = value
    return values


def test_a_map_of_the_part_hits_and_has_all_its_mass_there(square):
    part = torch.from_numpy(square).float()
    result = point(PairMaps(part, part), square, square)
    assert (result.hit, result.near, result.mass) == (True, True, 1.0)
    assert result.area == pytest.approx(1 / 16)


def test_a_uniform_map_has_the_part_s_area_as_mass(square):
    result = point(PairMaps(torch.ones(4, 4), torch.ones(8, 8)), square, square)
    assert result.mass == pytest.approx(result.area)


def test_the_maximum_is_looked_for_in_both_pictures_together(square):
    elsewhere = np.zeros_like(square)
    maps = PairMaps(one_cell(2, 4), one_cell(2, 4, 2.0))
    assert point(maps, elsewhere, square).hit
    assert not point(maps, square, elsewhere).hit


def test_grids_of_different_size_compare_by_value_per_area(square):
    # The same amount in a cell four times as large is a quarter as dense.
    coarse = torch.zeros(4, 4)
    coarse[3, 0] = 2.0
    assert point(PairMaps(one_cell(2, 4), coarse), square, square).hit


def test_cells_that_pull_together_neither_hit_nor_count(square):
    values = torch.zeros(64, 64)
    values[20, 40], values[60, 2] = -5.0, 1.0
    result = point(PairMaps(values, torch.zeros(64, 64)), square, square)
    assert not result.hit
    assert result.mass == 0.0


@pytest.mark.parametrize(("away", "near"), [(4, True), (5, False)])
def test_fifteen_pixels_of_224_are_forgiven_in_proportion(square, away, near):
    values = torch.zeros(64, 64)
    values[20, 47 + away] = 1.0
    result = point(PairMaps(values, torch.zeros(64, 64)), square, square)
    assert not result.hit
    assert result.near is near


def test_a_map_without_anything_positive_has_no_mass(square):
    assert point(PairMaps(NOTHING - 1, NOTHING - 1), square, square).mass == 0.0


def test_maps_are_enlarged_as_they_are_drawn():
    values = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    drawn = Image.fromarray(values.numpy() * 35).resize((64, 64), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(density(values, 64), np.asarray(drawn), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shapes", [((8, 8), (9, 9)), ((8, 6), (8, 6)), ((8,), (8,))])
def test_masks_must_be_squares_of_one_size(shapes):
    with pytest.raises(DataError, match="squares"):
        point(PairMaps(NOTHING, NOTHING), *(np.ones(shape, bool) for shape in shapes))


def test_a_part_that_nobody_sees_cannot_be_pointed_at(square):
    nowhere = np.zeros_like(square)
    with pytest.raises(DataError, match="neither"):
        point(PairMaps(NOTHING, NOTHING), nowhere, nowhere)
