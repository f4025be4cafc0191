"""linkage and normalize_linkage."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF


def raw(seed, low=9, high=6, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(low, high, generator=generator, dtype=torch.float64).to(device, dtype)


seeds, sizes = st.integers(0, 2**31), st.integers(1, 12)


class TestLinkage:
    @pytest.mark.parametrize("sides", [(8, 4), (4, 4), (7, 3), (2, 1)])
    def test_gives_low_by_high_nodes(self, sides, device, dtype):
        low, high = (
            torch.rand(2, nodes, side, side, dtype=dtype, device=device)
            for nodes, side in zip((3, 5), sides, strict=True)
        )
        link = AF.linkage(low, high)
        assert link.shape == (3, 5)
        assert (link.dtype, link.device.type) == (dtype, device.type)

    def test_equals_the_mean_cosine_pair_by_pair(self):
        low, high = torch.randn(3, 2, 8, 8).double(), torch.randn(3, 4, 4, 4).double()
        link, pooled = AF.linkage(low, high), F.avg_pool2d(low, 2)
        for m in range(2):
            for n in range(4):
                cosines = F.cosine_similarity(pooled[:, m].flatten(1), high[:, n].flatten(1))
                assert_close(link[m, n], cosines.mean())

    def test_maps_of_the_same_grid_are_taken_as_they_are(self):
        maps = torch.randn(2, 3, 5, 5, dtype=torch.float64)
        assert_close(AF.linkage(maps, maps).diagonal(), torch.ones(3, dtype=torch.float64))

    @settings(max_examples=40, deadline=None)
    @given(seeds)
    def test_stays_within_minus_one_and_one(self, seed):
        generator = torch.Generator().manual_seed(seed)
        low, high = (torch.randn(2, 3, side, side, generator=generator).double() for side in (6, 3))
        assert AF.linkage(low, high).abs().max() <= 1 + 1e-12

    def test_refuses_batches_of_different_sizes(self):
        with pytest.raises(ValueError, match="2 lower and 3 higher"):
            AF.linkage(torch.zeros(2, 1, 2, 2), torch.zeros(3, 1, 2, 2))


class TestNormalize:
    def test_drops_negatives_keeps_the_strongest_and_divides_by_their_sum(self):
        W = AF.normalize_linkage(torch.tensor([[3.0, -1.0], [1.0, 0.5], [2.0, -2.0]]), top_k=2)
        assert_close(W, torch.tensor([[0.6, 0.0], [0.0, 1.0], [0.4, 0.0]]))

    @settings(max_examples=80, deadline=None)
    @given(seeds, sizes, sizes, st.integers(1, 15))
    def test_columns_sum_to_one_or_to_zero_and_are_never_negative(self, seed, low, high, top_k):
        link = raw(seed, low, high)
        W = AF.normalize_linkage(link, top_k)
        sums = W.sum(dim=0)
        correlates = (link > 0).any(dim=0)
        assert (W >= 0).all()
        assert (sums[~correlates] == 0).all()
        kept = link.clamp_min(0).topk(min(top_k, low), dim=0).values.sum(dim=0)[correlates]
        assert_close(sums[correlates], kept / (kept + 1e-8))  # 1, but for columns that hardly correlate

    @settings(max_examples=40, deadline=None)
    @given(seeds, sizes, sizes, st.integers(1, 15))
    def test_keeps_at_most_top_k_of_each_column_and_none_weaker_than_one_left_out(
        self, seed, low, high, top_k
    ):
        link = raw(seed, low, high)
        W = AF.normalize_linkage(link, top_k)
        for column, kept in zip(link.T, (W > 0).T, strict=True):
            assert kept.sum() == min(top_k, int((column > 0).sum()))
            assert kept.all() or not kept.any() or column[kept].min() >= column[~kept].max()

    @settings(max_examples=40, deadline=None)
    @given(seeds, st.integers(1, 15))
    def test_does_not_modify_its_input(self, seed, top_k):
        link = raw(seed)
        before = link.clone()
        AF.normalize_linkage(link, top_k)
        assert torch.equal(link, before)

    def test_ties_with_the_weakest_kept_stay(self, device, dtype):
        link = torch.tensor([[0.9], [0.5], [0.5], [0.4]], device=device, dtype=dtype)
        W = AF.normalize_linkage(link, top_k=2)
        assert (W > 0).flatten().tolist() == [True, True, True, False]

    def test_a_difference_above_1e_8_is_no_tie(self):
        link = torch.tensor([[0.9], [0.5], [0.5 - 5e-9], [0.5 - 2e-8]], dtype=torch.float64)
        W = AF.normalize_linkage(link, top_k=2)
        assert (W > 0).flatten().tolist() == [True, True, True, False]

    def test_a_top_k_beyond_the_nodes_keeps_all(self):
        link = raw(0).abs()
        assert torch.equal(AF.normalize_linkage(link, 100), AF.normalize_linkage(link, 9))

    def test_a_column_without_correlation_is_zero_and_not_nan(self, device):
        assert AF.normalize_linkage(-torch.ones(3, 2, device=device), 2).tolist() == [[0.0, 0.0]] * 3

    def test_keeps_type_and_device(self, device, dtype):
        W = AF.normalize_linkage(raw(0, dtype=dtype, device=device), 3)
        assert (W.dtype, W.device.type, W.shape) == (dtype, device.type, (9, 6))

    @pytest.mark.parametrize("top_k", [0, -3])
    def test_refuses_to_keep_nothing(self, top_k):
        with pytest.raises(ValueError, match=f"top_k must be at least 1, not {top_k}"):
            AF.normalize_linkage(raw(0), top_k)
