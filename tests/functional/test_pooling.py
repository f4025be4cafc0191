"""Poolings, and their shares: what each cell adds to the pooled vector."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core import functional as AF

POOLINGS = {
    "gem": (AF.generalized_mean, AF.generalized_mean_shares),
    "gem-1": (lambda x: AF.generalized_mean(x, 1.0), lambda x: AF.generalized_mean_shares(x, 1.0)),
    "gem-7": (lambda x: AF.generalized_mean(x, 7.0), lambda x: AF.generalized_mean_shares(x, 7.0)),
    "S": (lambda x: AF.global_descriptor(x, "S"), lambda x: AF.descriptor_shares(x, "S")),
    "M": (lambda x: AF.global_descriptor(x, "M"), lambda x: AF.descriptor_shares(x, "M")),
    "G": (lambda x: AF.global_descriptor(x, "G"), lambda x: AF.descriptor_shares(x, "G")),
    "max": (lambda x: x.amax(dim=(2, 3)), AF.max_pool_shares),
    "rmac": (AF.regional_max, AF.regional_max_shares),
}


@pytest.fixture(scope="module", params=POOLINGS)
def pooling(request):
    """A pooling and the shares of it."""
    return POOLINGS[request.param]


def draw(seed, *shape, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)


class TestEveryPooling:
    def test_gives_one_number_a_channel(self, pooling, device, dtype):
        pooled = pooling[0](draw(0, 2, 5, 3, 4, dtype=dtype, device=device))
        assert pooled.shape == (2, 5)
        assert (pooled.dtype, pooled.device.type) == (dtype, device.type)

    def test_shares_have_the_shape_of_the_map(self, pooling, device, dtype):
        features = draw(0, 2, 5, 3, 4, dtype=dtype, device=device)
        shares = pooling[1](features)
        assert shares.shape == features.shape
        assert (shares.dtype, shares.device.type) == (dtype, device.type)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), height=st.integers(1, 9), width=st.integers(1, 9))
    def test_shares_sum_to_the_pooled_vector(self, pooling, seed, height, width):
        features = draw(seed, 2, 3, height, width)
        torch.testing.assert_close(
            pooling[1](features).sum(dim=(2, 3)), pooling[0](features), atol=1e-12, rtol=1e-9
        )

    def test_shares_of_a_blank_map_sum_to_the_pooled_vector(self, pooling):
        features = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
        shares = pooling[1](features)
        assert shares.isfinite().all()
        torch.testing.assert_close(shares.sum(dim=(2, 3)), pooling[0](features), atol=1e-12, rtol=1e-9)

    def test_pictures_do_not_mix(self, pooling):
        features = draw(3, 4, 3, 5, 6)
        torch.testing.assert_close(pooling[0](features)[2:3], pooling[0](features[2:3]))
        torch.testing.assert_close(pooling[1](features)[2:3], pooling[1](features[2:3]))

    def test_gradients(self, pooling):
        # Kept off 0, where the cut-off of GeM has a kink.
        features = (draw(4, 2, 3, 3, 4).abs() + 0.1).requires_grad_(True)
        assert torch.autograd.gradcheck(pooling[0], (features,))


class TestGeneralizedMean:
    def test_of_exponent_one_is_the_mean(self):
        features = draw(0, 2, 3, 4, 5).abs() + 0.01
        torch.testing.assert_close(AF.generalized_mean(features, 1.0), features.mean(dim=(2, 3)))

    def test_nears_the_maximum_as_the_exponent_grows(self):
        features = draw(0, 2, 3, 4, 5).abs() + 0.01
        torch.testing.assert_close(
            AF.generalized_mean(features, 300.0), features.amax(dim=(2, 3)), atol=0, rtol=0.02
        )

    def test_of_exponent_three_is_the_root_of_the_mean_cube(self):
        features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        torch.testing.assert_close(AF.generalized_mean(features), torch.tensor([[25.0]]).pow(1 / 3))

    def test_takes_an_exponent_for_each_channel(self):
        features = draw(0, 2, 3, 4, 5)
        exponents = torch.tensor([1.0, 3.0, 6.5], dtype=torch.float64)
        pooled = AF.generalized_mean(features, exponents)
        for channel, p in enumerate(exponents.tolist()):
            torch.testing.assert_close(
                pooled[:, channel], AF.generalized_mean(features[:, channel : channel + 1], p)[:, 0]
            )

    def test_shares_take_an_exponent_for_each_channel(self):
        features = draw(0, 2, 3, 4, 5)
        exponents = torch.tensor([1.0, 3.0, 6.5], dtype=torch.float64)
        shares = AF.generalized_mean_shares(features, exponents)
        torch.testing.assert_close(shares.sum(dim=(2, 3)), AF.generalized_mean(features, exponents))

    def test_the_exponents_learn(self):
        features = draw(1, 2, 3, 4, 5).abs() + 0.1
        exponents = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda p: AF.generalized_mean(features, p), (exponents,))

    @pytest.mark.parametrize("p", [8.0, 13.0, 30.0, 60.0])
    def test_of_a_dead_channel_stays_finite_whatever_the_exponent(self, p):
        """In float32, where 1e-6 to the power of 8 is no number any more."""
        dead = -torch.ones(2, 3, 4, 4)
        exponent = torch.full((3,), p, requires_grad=True)
        pooled = AF.generalized_mean(dead, exponent)
        torch.testing.assert_close(pooled, torch.full((2, 3), 1e-6), atol=0, rtol=1e-4)
        pooled.sum().backward()
        assert exponent.grad.isfinite().all()
        shares = AF.generalized_mean_shares(dead, p)
        torch.testing.assert_close(shares.sum(dim=(2, 3)), pooled.detach(), atol=0, rtol=1e-4)

    def test_of_large_values_stays_finite_whatever_the_exponent(self):
        torch.testing.assert_close(
            AF.generalized_mean(torch.full((1, 1, 3, 3), 50.0), 60.0), torch.tensor([[50.0]])
        )

    def test_cuts_negative_values_off(self):
        torch.testing.assert_close(
            AF.generalized_mean(torch.tensor([[[[-5.0, -1.0]]]])), torch.tensor([[1e-6]]), atol=1e-9, rtol=0
        )

    def test_a_stronger_cell_has_the_greater_share(self):
        shares = AF.generalized_mean_shares(torch.tensor([[[[1.0, 2.0, 4.0]]]]))[0, 0, 0]
        torch.testing.assert_close(shares / shares.sum(), torch.tensor([1.0, 8.0, 64.0]) / 73)


class TestGlobalDescriptor:
    def test_s_is_the_mean_and_m_the_maximum(self):
        features = draw(0, 2, 3, 4, 5)
        assert torch.equal(AF.global_descriptor(features, "S"), features.mean(dim=(2, 3)))
        assert torch.equal(AF.global_descriptor(features, "M"), features.amax(dim=(2, 3)))

    def test_g_keeps_the_sign_of_the_mean_cube(self):
        features = draw(0, 2, 3, 4, 5)
        pooled = AF.global_descriptor(features, "G")
        torch.testing.assert_close(pooled.pow(3), features.pow(3).mean(dim=(2, 3)))
        assert torch.equal(AF.global_descriptor(-features, "G"), -pooled)

    def test_g_of_a_dead_channel_has_a_finite_gradient(self):
        features = torch.zeros(1, 2, 3, 3, requires_grad=True)
        AF.global_descriptor(features, "G").sum().backward()
        assert features.grad.isfinite().all()

    def test_g_shares_cubes_that_cancel_evenly(self):
        features = torch.tensor([[[[2.0, -2.0]]]], dtype=torch.float64)
        torch.testing.assert_close(
            AF.descriptor_shares(features, "G"), torch.zeros_like(features), atol=1e-9, rtol=0
        )

    @pytest.mark.parametrize("rest", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
    def test_g_shares_cubes_that_nearly_cancel_within_bounds(self, rest):
        features = torch.tensor([[[[2.0, -2.0 + rest], [1.0, -1.0]]]], dtype=torch.float64)
        shares = AF.descriptor_shares(features, "G")
        assert shares.abs().max() <= 1e3 * features.abs().max()
        torch.testing.assert_close(
            shares.sum(dim=(2, 3)), AF.global_descriptor(features, "G"), atol=1e-6, rtol=0
        )

    def test_m_belongs_to_the_first_position_of_the_maximum(self):
        shares = AF.descriptor_shares(torch.tensor([[[[1.0, 5.0], [5.0, 2.0]]]]), "M")
        assert torch.equal(shares, torch.tensor([[[[0.0, 5.0], [0.0, 0.0]]]]))

    def test_s_belongs_to_every_cell_by_its_value(self):
        shares = AF.descriptor_shares(torch.tensor([[[[1.0, -5.0], [5.0, 3.0]]]]), "S")
        assert torch.equal(shares, torch.tensor([[[[0.25, -1.25], [1.25, 0.75]]]]))

    @pytest.mark.parametrize("function", [AF.global_descriptor, AF.descriptor_shares])
    @pytest.mark.parametrize("kind", ["s", "SM", ""])
    def test_refuses_an_unknown_kind(self, function, kind):
        with pytest.raises(ValueError, match='kind must be "S", "M" or "G"'):
            function(torch.ones(1, 1, 2, 2), kind)

    @pytest.mark.parametrize("kind", ["S", "M", "G"])
    def test_is_the_published_one(self, published, kind, device):
        pooled = AF.global_descriptor(published("cgd/map").to(device), kind)
        torch.testing.assert_close(pooled.cpu(), published(f"cgd/descriptor_{kind}"), atol=1e-5, rtol=1e-5)


class TestMaxPoolShares:
    def test_hold_each_maximum_once(self):
        features = draw(0, 2, 3, 4, 5)
        shares = AF.max_pool_shares(features)
        assert torch.equal((shares != 0).sum(dim=(2, 3)), torch.ones(2, 3, dtype=torch.long))
        assert torch.equal(shares.amax(dim=(2, 3)).clamp_min(0), features.amax(dim=(2, 3)).clamp_min(0))

    def test_gradient_goes_to_the_maxima_only(self):
        features = draw(0, 1, 2, 3, 3).requires_grad_(True)
        AF.max_pool_shares(features).sum().backward()
        assert torch.equal(features.grad.sum(dim=(2, 3)), torch.ones(1, 2, dtype=torch.float64))


class TestRegionalMax:
    @staticmethod
    def regions(height, width):
        """How often each cell is in a region, found by raising one cell above all others."""
        counts = torch.zeros(height, width)
        for row in range(height):
            for column in range(width):
                features = torch.zeros(1, 2, height, width, dtype=torch.float64)
                features[0, 1] = 1e-6  # what regions without the raised cell see
                features[0, 0, row, column] = 1.0
                counts[row, column] = AF.regional_max(features)[0, 0].round()
        return counts

    def test_of_a_square_map_looks_at_fourteen_regions(self):
        """1 + 4 + 9; a map that is alike everywhere gives every region's unit vector once."""
        features = torch.full((1, 4, 8, 8), 3.0)
        torch.testing.assert_close(AF.regional_max(features), torch.full((1, 4), 14 * 0.5))

    @pytest.mark.parametrize(
        ("height", "width", "count"), [(8, 12, 2 + 6 + 12), (12, 8, 2 + 6 + 12), (8, 20, 4 + 10 + 18)]
    )
    def test_of_a_long_map_has_more_regions_along_its_longer_side(self, height, width, count):
        torch.testing.assert_close(
            AF.regional_max(torch.ones(1, 4, height, width)), torch.full((1, 4), count * 0.5)
        )

    @pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9), (9, 5)])
    def test_every_cell_is_in_some_region(self, height, width):
        assert (self.regions(height, width) >= 1).all()

    def test_a_turned_map_has_the_turned_regions(self):
        features = draw(0, 2, 3, 5, 9)
        torch.testing.assert_close(AF.regional_max(features), AF.regional_max(features.transpose(2, 3)))

    def test_the_largest_region_of_a_square_map_is_all_of_it(self):
        features = draw(1, 1, 3, 1, 1)
        # One cell: all fourteen regions are it.
        torch.testing.assert_close(AF.regional_max(features), 14 * F.normalize(features[..., 0, 0], dim=1))

    def test_is_not_normalised_but_each_region_is(self):
        features = draw(0, 1, 3, 6, 6).abs()
        torch.testing.assert_close(AF.regional_max(5.0 * features), AF.regional_max(features))
        assert AF.regional_max(features).norm() > 1
