"""transport_plan, resize_plan and the splits: whatever a cell is held against, the sum stays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF

seeds = st.integers(0, 10_000)


def similarities(seed, rows, columns):
    generator = torch.Generator().manual_seed(seed)
    a = torch.nn.functional.normalize(torch.randn(rows, 6, generator=generator), dim=1)
    b = torch.nn.functional.normalize(torch.randn(columns, 6, generator=generator), dim=1)
    return a @ b.T


class TestTransportPlan:
    @given(seeds, st.integers(1, 20), st.integers(1, 20), st.sampled_from([0.005, 0.05, 1.0]))
    def test_spends_every_cell_exactly_once(self, seed, rows, columns, temperature):
        plan = AF.transport_plan(similarities(seed, rows, columns), temperature=temperature)
        assert plan.shape == (rows, columns)
        assert plan.min() >= 0
        assert_close(plan.sum(dim=1), torch.full((rows,), 1 / rows, dtype=torch.float64), atol=1e-15, rtol=0)
        assert_close(
            plan.sum(dim=0), torch.full((columns,), 1 / columns, dtype=torch.float64), atol=1e-15, rtol=0
        )

    @given(seeds)
    def test_swapping_the_pictures_transposes_it(self, seed):
        S = similarities(seed, 9, 16)
        assert_close(AF.transport_plan(S.T.contiguous()), AF.transport_plan(S).T, atol=1e-7, rtol=1e-5)

    def test_matches_a_permuted_picture_to_itself(self):
        features = torch.eye(8)
        order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
        plan = AF.transport_plan(features @ features[order].T)
        assert_close(plan.argmax(dim=0), order)
        assert plan.amax(dim=0).min() > 0.99 / 8

    @pytest.mark.parametrize("temperature", [0.005, 0.02])
    def test_survives_cells_without_any_answer(self, temperature):
        """Single precision must not overflow where one cell is wanted by all and the others by none."""
        S = torch.full((12, 20), -1.0)
        S[:, 0] = 1.0
        plan = AF.transport_plan(S, temperature=temperature, iterations=200)
        assert_close(plan.sum(dim=0), torch.full((20,), 1 / 20, dtype=torch.float64))
        assert_close(plan.sum(dim=1), torch.full((12,), 1 / 12, dtype=torch.float64))

    def test_refuses_what_it_cannot_represent(self):
        for wrong in ({"temperature": 0.0}, {"iterations": 0}):
            with pytest.raises(ValueError, match="transport_plan"):
                AF.transport_plan(torch.eye(2), **wrong)


class TestResizePlan:
    @given(seeds)
    def test_keeps_the_marginals_uniform_both_ways(self, seed):
        plan = AF.transport_plan(similarities(seed, 16, 16))
        for target in ((8, 8), (2, 2), (4, 4), (8, 12)):
            cells = target[0] * target[1]
            resized = AF.resize_plan(plan, (4, 4), target)
            assert resized.shape == (cells, cells)
            assert_close(resized.sum(dim=0), torch.full((cells,), 1 / cells, dtype=torch.float64))
            assert_close(resized.sum(dim=1), torch.full((cells,), 1 / cells, dtype=torch.float64))

    def test_going_finer_and_back_changes_nothing(self):
        plan = AF.transport_plan(similarities(3, 6, 6))
        finer = AF.resize_plan(plan, (2, 3), (4, 9))
        assert_close(AF.resize_plan(finer, (4, 9), (2, 3)), plan)

    def test_identity_stays_identity(self):
        identity = torch.eye(4, dtype=torch.float64) / 4
        assert_close(AF.resize_plan(identity, (2, 2), (4, 4)), torch.eye(16, dtype=torch.float64) / 16)

    def test_refuses_grids_that_do_not_divide(self):
        with pytest.raises(ValueError, match="do not divide"):
            AF.resize_plan(torch.eye(4), (2, 2), (3, 3))

    def test_refuses_a_plan_over_another_grid(self):
        with pytest.raises(ValueError, match=r"is \[4, 4\], not \(9, 9\)"):
            AF.resize_plan(torch.eye(9), (2, 2), (4, 4))


class TestSplits:
    @given(seeds)
    def test_keep_the_sum_and_give_each_picture_half(self, seed):
        generator = torch.Generator().manual_seed(seed)
        a, b = (
            torch.randn(3, 4, generator=generator).double(),
            torch.randn(2, 5, generator=generator).double(),
        )
        total = a.sum() + b.sum()
        plan = AF.transport_plan(similarities(seed, 12, 10))
        for map_a, map_b in (AF.matched_split(a, b, plan), AF.centred_split(a, b)):
            assert (map_a.shape, map_b.shape) == (a.shape, b.shape)
            assert_close(map_a.sum(), total / 2)
            assert_close(map_b.sum(), total / 2)

    def test_refuse_a_plan_over_other_cells(self):
        with pytest.raises(ValueError, match=r"must be \[4, 6\]"):
            AF.matched_split(torch.zeros(2, 2), torch.zeros(2, 3), torch.eye(4) / 4)

    @pytest.mark.parametrize("finer", [(4, 4), (2, 6), (6, 8)])
    def test_finer_maps_follow_a_plan_as_by_the_finer_plan(self, finer):
        plan = AF.transport_plan(similarities(5, 4, 4))
        a, b = similarities(6, 2 * finer[0], finer[1]).double().view(2, *finer)
        expected = AF.matched_split(a, b, AF.resize_plan(plan, (2, 2), finer))
        for one, other in zip(AF.matched_split(a, b, plan, (2, 2)), expected, strict=True):
            assert_close(one, other)

    def test_refuse_finer_maps_that_do_not_divide(self):
        with pytest.raises(ValueError, match="do not divide"):
            AF.matched_split(torch.zeros(3, 4), torch.zeros(3, 4), torch.eye(4) / 4, (2, 2))

    @pytest.mark.parametrize("sizes", [((4, 4), (4, 6), 4), ((4, 4), (4, 4), 3)])
    def test_refuse_finer_maps_of_two_sizes_or_another_plan(self, sizes):
        a, b, cells = sizes
        with pytest.raises(ValueError, match="need a plan"):
            AF.matched_split(torch.zeros(a), torch.zeros(b), torch.eye(cells) / cells, (2, 2))

    def test_what_has_its_like_in_the_other_picture_cancels(self):
        """One cell of four differs: only that cell keeps a value."""
        a = torch.tensor([[0.4, -0.2], [0.1, 0.3]]).double()
        b = -torch.tensor([[0.4, -0.2], [0.1, 0.0]]).double()
        plan = torch.eye(4, dtype=torch.float64) / 4
        expected = torch.tensor([[0.0, 0.0], [0.0, 0.15]]).double()
        for one in AF.matched_split(a, b, plan):
            assert_close(one, expected)
