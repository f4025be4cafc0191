"""project, activation_map, peak_augmented and certainty."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF


def heads(seed=0, *, batch=2, channels=3, nodes=5, side=(4, 6), dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)

    return normal(batch, channels, *side), normal(nodes, channels), normal(nodes)


seeds = st.integers(0, 2**31)
sides = st.tuples(st.integers(1, 6), st.integers(1, 6))


class TestProject:
    @pytest.mark.parametrize(("batch", "side"), [(1, (1, 1)), (3, (7, 2)), (0, (2, 2))])
    def test_gives_one_row_a_picture_and_one_column_a_node(self, batch, side, device, dtype):
        embedding = AF.project(*heads(batch=batch, side=side, dtype=dtype, device=device))
        assert embedding.shape == (batch, 5)
        assert (embedding.dtype, embedding.device.type) == (dtype, device.type)

    def test_sums_average_and_maximum_by_hand(self):
        features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
        assert AF.project(features, torch.tensor([[2.0]]), torch.tensor([1.0])).item() == 2 * (3 + 6) + 1

    def test_equals_the_convolution_of_the_pooled_map(self):
        features, weight, bias = heads()
        pooled = F.adaptive_avg_pool2d(features, 1) + F.adaptive_max_pool2d(features, 1)
        assert_close(
            AF.project(features, weight, bias), F.conv2d(pooled, weight[:, :, None, None], bias).flatten(1)
        )

    def test_derivatives_are_right(self, device):
        inputs = [tensor.requires_grad_() for tensor in heads(side=(3, 2), device=device)]
        assert torch.autograd.gradcheck(AF.project, inputs)


@pytest.mark.parametrize("function", [AF.project, AF.activation_map])
class TestExceptions:
    def test_features_without_a_batch(self, function):
        features, weight, bias = heads()
        with pytest.raises(ValueError, match=r"features must be \[B, C, H, W\], not \(3, 4, 6\)"):
            function(features[0], weight, bias)

    @pytest.mark.parametrize("shape", [(5, 4), (5,), (5, 3, 1, 1)])
    def test_weight_of_other_channels_or_dimensions(self, function, shape):
        features, _, bias = heads()
        with pytest.raises(ValueError, match=r"weight must be \[R, 3\]"):
            function(features, torch.zeros(shape, dtype=features.dtype), bias)

    def test_bias_of_another_length(self, function):
        features, weight, bias = heads()
        with pytest.raises(ValueError, match=r"bias must be \[5\], not \(4,\)"):
            function(features, weight, bias[:4])


class TestActivationMap:
    def test_keeps_the_grid(self, device, dtype):
        maps = AF.activation_map(*heads(dtype=dtype, device=device))
        assert maps.shape == (2, 5, 4, 6)
        assert (maps.dtype, maps.device.type) == (dtype, device.type)

    @settings(max_examples=60, deadline=None)
    @given(seeds, sides)
    def test_mean_over_positions_is_the_embedding(self, seed, side):
        inputs = heads(seed, side=side)
        assert_close(AF.activation_map(*inputs).mean(dim=(2, 3)), AF.project(*inputs), rtol=1e-11, atol=1e-11)

    def test_mean_is_the_embedding_where_maxima_tie(self, device):
        _, weight, bias = heads(device=device)
        flat = torch.zeros(1, 3, 4, 4, dtype=torch.float64, device=device)
        flat[0, 1] = 2.5
        assert_close(AF.activation_map(flat, weight, bias).mean(dim=(2, 3)), AF.project(flat, weight, bias))


class TestPeakAugmented:
    def test_adds_the_peak_times_the_positions_where_it_stands(self):
        features = torch.tensor([[[[1.0, 5.0], [2.0, 0.0]], [[-1.0, -2.0], [-3.0, -4.0]]]])
        expected = torch.tensor([[[[1.0, 25.0], [2.0, 0.0]], [[-5.0, -2.0], [-3.0, -4.0]]]])
        assert torch.equal(AF.peak_augmented(features), expected)

    def test_picks_the_first_of_equal_maxima(self, device):
        augmented = AF.peak_augmented(torch.ones(1, 1, 2, 2, device=device))
        assert augmented.flatten().tolist() == [5, 1, 1, 1]

    def test_leaves_its_input_alone(self):
        features, *_ = heads()
        before = features.clone()
        AF.peak_augmented(features)
        assert torch.equal(features, before)

    def test_takes_channels_last_memory(self):
        features, *_ = heads()
        shuffled = features.contiguous(memory_format=torch.channels_last)
        assert torch.equal(AF.peak_augmented(shuffled), AF.peak_augmented(features))


class TestCertainty:
    @pytest.mark.parametrize("mode", ["row", "global"])
    def test_gives_one_number_a_node(self, mode, device, dtype):
        maps, *_ = heads(dtype=dtype, device=device)
        spread = AF.certainty(maps, mode)
        assert spread.shape == (2, 3)
        assert (spread.dtype, spread.device.type) == (dtype, device.type)

    @pytest.mark.parametrize("mode", ["row", "global"])
    def test_equals_its_definition(self, mode):
        maps, *_ = heads(side=(3, 4))
        for picture, spreads in zip(maps, AF.certainty(maps, mode), strict=True):
            for A, spread in zip(picture, spreads, strict=True):
                lowest = A.min(dim=1, keepdim=True).values if mode == "row" else A.min()
                share = (A - lowest) / (A - lowest).abs().sum()
                deviation = ((share - share.mean()) ** 2).sum() / (share.numel() - 1)
                assert_close(spread, deviation.sqrt())

    def test_row_and_global_minimum_differ(self):
        maps = torch.tensor([[[[1.0, 1.0], [5.0, 5.0]]]])
        assert AF.certainty(maps, "row").item() == 0  # every row is flat
        assert AF.certainty(maps, "global").item() == pytest.approx(12**-0.5)  # shares 0, 0, 1/2, 1/2

    def test_row_minimum_is_the_default(self):
        maps, *_ = heads()
        assert torch.equal(AF.certainty(maps), AF.certainty(maps, "row"))

    @settings(max_examples=60, deadline=None)
    @given(seeds, sides, st.sampled_from(["row", "global"]), st.floats(1e-3, 1e3))
    def test_scaling_the_map_changes_nothing(self, seed, side, mode, scale):
        maps, *_ = heads(seed, side=side)
        assert_close(AF.certainty(maps * scale, mode), AF.certainty(maps, mode), rtol=1e-9, atol=1e-12)

    @settings(max_examples=60, deadline=None)
    @given(seeds, sides, st.sampled_from(["row", "global"]), st.floats(0.0, 30.0))
    def test_lies_between_zero_and_one(self, seed, side, mode, sharpness):
        maps, *_ = heads(seed, side=side)
        spread = AF.certainty((maps * sharpness).exp(), mode)
        assert (spread >= 0).all() and (spread <= 1).all()

    @pytest.mark.parametrize("mode", ["row", "global"])
    @pytest.mark.parametrize("side", [(1, 1), (3, 3)])
    def test_a_flat_map_or_a_single_cell_is_not_certain_at_all(self, mode, side, device):
        assert AF.certainty(torch.full((1, 2, *side), 3.0, device=device), mode).tolist() == [[0.0, 0.0]]

    def test_a_sharper_peak_is_more_certain(self):
        blurred = torch.tensor([[[[4.0, 2.0], [1.0, 0.0]]]])
        assert AF.certainty(blurred**3, "global") > AF.certainty(blurred, "global")

    def test_refuses_maps_without_a_batch(self):
        with pytest.raises(ValueError, match=r"\[B, R, H, W\], not \(2, 3, 4\)"):
            AF.certainty(torch.zeros(2, 3, 4))

    def test_refuses_an_unknown_mode(self):
        with pytest.raises(ValueError, match="'column'"):
            AF.certainty(torch.zeros(1, 1, 2, 2), "column")
