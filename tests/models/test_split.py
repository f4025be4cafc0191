"""split_levels: the sums stay, whatever a cell is held against and however the grids relate."""

import pytest
import torch
from torch.testing import assert_close

from avsl_core.errors import ConfigError
from avsl_core.models.split import split_levels

GENERATOR = torch.Generator().manual_seed(0)


def level(shape_a, shape_b, channels=5):
    maps = tuple(torch.randn(shape, generator=GENERATOR).double() for shape in (shape_a, shape_b))
    features = tuple(
        torch.randn(channels, *shape, generator=GENERATOR).relu() for shape in (shape_a, shape_b)
    )
    return maps, features


GRIDS = {
    "grids that divide": [((8, 8), (8, 8)), ((4, 4), (4, 4)), ((2, 2), (2, 2))],
    "grids that do not": [((9, 9), (9, 9)), ((5, 5), (5, 5)), ((3, 3), (3, 3))],
    "grids that divide crosswise": [((4, 8), (4, 8)), ((8, 4), (8, 4))],
    "pictures of two sizes": [((8, 8), (12, 8)), ((4, 4), (6, 4)), ((2, 2), (3, 2))],
    "a fine level first": [((40, 40), (40, 40)), ((20, 20), (20, 20)), ((10, 10), (10, 10))],
    "only fine levels": [((22, 22), (22, 22)), ((44, 44), (44, 44))],
}


@pytest.mark.parametrize("shapes", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("split", ["matched", "zero", "centred"])
def test_keeps_every_levels_sum(shapes, split):
    levels = [level(*shape) for shape in shapes]
    maps, features = [one[0] for one in levels], [one[1] for one in levels]
    for (before_a, before_b), (after_a, after_b) in zip(
        maps, split_levels(maps, features, split), strict=True
    ):
        assert (after_a.shape, after_b.shape) == (before_a.shape, before_b.shape)
        assert_close(after_a.sum() + after_b.sum(), before_a.sum() + before_b.sum())


def test_a_shifted_picture_is_matched_cell_by_cell_on_every_level():
    """The second picture is the first, moved by one coarse cell; only one cell's value differs."""
    fine = torch.nn.functional.one_hot(torch.arange(64), 64).float().T.view(64, 8, 8)
    coarse = torch.nn.functional.avg_pool2d(fine[None], 2)[0]
    features = [(fine, fine.roll(2, dims=2)), (coarse, coarse.roll(1, dims=2))]
    a = torch.randn(8, 8, generator=GENERATOR).double()
    other = a.clone()
    other[4, 4] += 1.0
    b = -other.roll(2, dims=1)
    low = torch.randn(4, 4, generator=GENERATOR).double()
    (map_a, map_b), (low_a, low_b) = split_levels([(a, b), (low, -low.roll(1, dims=1))], features, "matched")
    assert map_a.abs().argmax() == 4 * 8 + 4
    assert map_b.abs().argmax() == 4 * 8 + 6
    assert map_a.abs().sum() == pytest.approx(0.5, rel=0.05)
    assert max(low_a.abs().max(), low_b.abs().max()) < 0.01


@pytest.mark.parametrize("split", ["matched", "zero", "centred", "similarity"])
def test_models_account_for_the_whole_distance_with_every_split(new_avsl, new_embedding, pictures, split):
    for model in (new_avsl(), new_embedding()):
        encoded = model.encode(pictures)
        account = model.explain(encoded[0], encoded[1], split=split)
        for component in account.components:
            total = float(component.map_a.sum() + component.map_b.sum())
            assert total == pytest.approx(component.value, rel=1e-9)
        assert account.total == pytest.approx(model.distance(encoded[0], encoded[1]).item(), rel=1e-5)


def test_refuses_an_unknown_split():
    maps, features = level((2, 2), (2, 2))
    with pytest.raises(ConfigError, match='"zero", "centred" or "similarity"'):
        split_levels([maps], [features], "zeros")
