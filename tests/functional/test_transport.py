"""Structural similarity: against the published values, against POT, and by its own properties."""

import os
import subprocess
import sys

import ot
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core import functional as AF


def unit(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=dtype), dim=-1)


def problem(pairs=5, cells=16, channels=24, seed=0):
    """Cells and wholes of some pairs that resemble each other."""
    a = unit(pairs, cells, channels, seed=seed)
    b = F.normalize(a + 0.7 * unit(pairs, cells, channels, seed=seed + 1), dim=-1)
    return a, F.normalize(a.mean(dim=1), dim=1), b, F.normalize(b.mean(dim=1), dim=1)


class TestPublished:
    @pytest.mark.parametrize("marginals", ["cross_correlation", "uniform"])
    def test_structural_similarity(self, published, marginals, device):
        names = ("query_cells", "query_global", "gallery_cells", "gallery_global")
        inputs = [published(f"diml/{name}").to(device) for name in names]
        found = AF.structural_similarity(*inputs, marginals=marginals)
        assert_close(found.cpu(), published(f"diml/structural_{marginals}"), atol=2e-5, rtol=0)

    def test_cosine_is_the_corner_of_the_products(self, published):
        names = ("query_cells", "query_global", "gallery_cells", "gallery_global")
        products = AF.structural_products(*(published(f"diml/{name}") for name in names))
        assert_close(products[:, -1, -1], published("diml/cosine"), atol=1e-5, rtol=1e-5)


class TestSinkhorn:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("marginals", ["cross_correlation", "uniform"])
    def test_it_is_the_plan_of_an_independent_library(self, seed, marginals):
        products = AF.structural_products(*problem(pairs=1, seed=seed))[0]
        # The library takes no empty cells, and wants equal mass to the last digit.
        u, v = (
            side.clamp_min(1e-3) / side.clamp_min(1e-3).sum() for side in AF.marginals_of(products, marginals)
        )
        S = products[:-1, :-1]
        # The same steps in NumPy, where so small a problem takes a third of the time.
        arrays = (u.numpy(), v.numpy(), 1.0 - S.numpy())
        expected = ot.sinkhorn(*arrays, reg=0.05, stopThr=1e-10, numItermax=50_000)
        found = AF.sinkhorn(S, u, v, max_iterations=5000, tolerance=1e-9)
        assert_close(found, torch.as_tensor(expected), atol=3e-5, rtol=0)
        rough = AF.sinkhorn(S, u, v)
        assert float(((rough - found) * S).sum().abs()) < 2e-3

    @pytest.mark.parametrize("seed", range(5))
    def test_columns_hold_their_marginal_and_rows_nearly(self, seed):
        products = AF.structural_products(*problem(seed=seed))
        u, v = AF.marginals_of(products, "cross_correlation")
        T = AF.sinkhorn(products[..., :-1, :-1], u, v)
        assert (T >= 0).all()
        assert_close(T.sum(dim=1), v, atol=1e-12, rtol=1e-9)
        # Most pairs stop by themselves; what the hundredth step leaves is small as well.
        missed = (T.sum(dim=2) - u).abs().sum(dim=1)
        assert float(missed.median()) < 1e-3 and float(missed.max()) < 1e-2

    def test_a_pairs_plan_does_not_depend_on_its_company(self):
        products = AF.structural_products(*problem(pairs=40))
        together = AF.structural_plan(products)
        for pair in (0, 7, 39):
            assert_close(AF.structural_plan(products[pair]), together[pair], atol=1e-12, rtol=1e-9)

    def test_pairs_that_are_slow_do_not_hold_the_others_up_nor_change_them(self):
        easy, hard = problem(pairs=6), problem(pairs=1, channels=24, seed=3)
        opposite = torch.cat([hard[0], -hard[0].flip(1)])  # nothing alike
        mixed = [torch.cat([one, other]) for one, other in zip(easy[:2], (hard[0], hard[1]), strict=True)]
        cells_b = torch.cat([easy[2], opposite[1:]])
        wholes_b = torch.cat([easy[3], hard[3]])
        T = AF.structural_plan(AF.structural_products(*mixed, cells_b, wholes_b), marginals="uniform")
        assert_close(
            T[:6],
            AF.structural_plan(AF.structural_products(*easy), marginals="uniform"),
            atol=1e-12,
            rtol=1e-9,
        )
        assert T.isfinite().all()

    def test_marginals_of_zero_stay_zero(self):
        S = unit(4, 4)
        u = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64)
        v = torch.tensor([0.0, 0.25, 0.25, 0.5], dtype=torch.float64)
        T = AF.sinkhorn(S, u, v)
        assert_close(T.sum(dim=0), v, atol=1e-9, rtol=1e-9)
        assert float(T[2:].sum()) < 1e-3

    def test_no_pairs_give_no_plans(self):
        assert AF.sinkhorn(torch.zeros(0, 4, 4), torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4, 4)

    def test_it_keeps_the_number_type(self, dtype):
        S = unit(2, 3, 3).to(dtype)
        assert (
            AF.sinkhorn(
                S, torch.full((2, 3), 1 / 3, dtype=dtype), torch.full((2, 3), 1 / 3, dtype=dtype)
            ).dtype
            == dtype
        )

    @pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"max_iterations": 0}, {"tolerance": 0.0}])
    def test_impossible_settings_are_refused(self, wrong):
        with pytest.raises(ValueError, match="sinkhorn"):
            AF.sinkhorn(torch.eye(2), torch.ones(2) / 2, torch.ones(2) / 2, **wrong)


def thirty_two(pairs=5, seed=0):
    """Products of a problem in 32 bits, which are matched by compiled steps."""
    return AF.structural_products(*(side.float() for side in problem(pairs=pairs, seed=seed)))


def by_tensors(similarity, u, v, **options):
    """The plans by the steps written as tensors, which serve where a gradient is kept."""
    found = AF.sinkhorn(similarity.clone().requires_grad_(), u, v, **options)
    assert found.requires_grad
    return found.detach()


class TestCompiledSteps:
    """What the CPU runs in 32 bits, against the same steps written as tensors."""

    @pytest.mark.parametrize("pairs", [1, 63, 64, 65, 300])
    def test_each_pair_stops_where_it_should(self, pairs):
        products = thirty_two(pairs, seed=7)
        u, v = AF.marginals_of(products, "cross_correlation")
        S = products[..., :-1, :-1]
        # Rounding may let a pair stop one step sooner or later; what a step still moves is below this.
        assert_close(AF.sinkhorn(S, u, v), by_tensors(S, u, v), atol=1e-4, rtol=0)

    @pytest.mark.parametrize("steps", [1, 2, 3, 17])
    def test_they_end_after_as_many(self, steps):
        products = thirty_two(70)
        u, v = AF.marginals_of(products, "uniform")
        S, options = products[..., :-1, :-1], {"max_iterations": steps, "tolerance": 1e-30}
        assert_close(AF.sinkhorn(S, u, v, **options), by_tensors(S, u, v, **options), atol=1e-6, rtol=0)

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 4), (5, 7)])
    def test_the_two_sides_need_not_have_as_many_cells(self, height, width):
        S = unit(66, height, width, seed=1, dtype=torch.float32)
        u, v = (torch.full((66, count), 1 / count) for count in (height, width))
        options = {"max_iterations": 20, "tolerance": 1e-30}
        assert_close(AF.sinkhorn(S, u, v, **options), by_tensors(S, u, v, **options), atol=1e-5, rtol=0)

    def test_threads_and_company_change_no_bit(self):
        products = thirty_two(1100, seed=2)
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            alone = AF.structural_plan(products)
            torch.set_num_threads(2)
            assert torch.equal(AF.structural_plan(products), alone)
        finally:
            torch.set_num_threads(before)
        for pair in (0, 548, 1099):
            assert torch.equal(AF.structural_plan(products[pair]), alone[pair])

    def test_what_is_given_stays_as_it_was(self):
        products = thirty_two(3)
        u, v = AF.marginals_of(products, "cross_correlation")
        S = products[..., :-1, :-1].contiguous()
        kept = [side.clone() for side in (S, u, v)]
        AF.sinkhorn(S, u, v)
        assert all(torch.equal(one, other) for one, other in zip((S, u, v), kept, strict=True))

    def test_they_stay_on_the_cpu_where_torch_makes_tensors_elsewhere(self):
        products = thirty_two(3)
        expected = AF.structural_plan(products)
        with torch.device("meta"):
            assert_close(AF.structural_plan(products), expected)

    def test_they_serve_where_no_folder_for_them_can_be_written(self):
        """Numba says so by an error as soon as a function is to be kept; here no place is offered to it."""
        code = "import avsl_core.functional.lanes as lanes; print(type(lanes._run._cache).__name__)"
        nowhere = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "_ZipCacheLocator"}
        told = subprocess.run(
            [sys.executable, "-c", code], env=nowhere, capture_output=True, text=True, check=True, timeout=300
        )
        assert told.stdout.strip() == "NullCache"


class TestStructuralSimilarity:
    def test_one_query_is_compared_with_each_picture(self):
        a, wa, b, wb = problem()
        single = AF.structural_similarity(a[0], wa[0], b, wb)
        paired = AF.structural_similarity(a[:1].expand_as(b), wa[:1].expand_as(wb), b, wb)
        assert_close(single, paired)

    def test_it_never_exceeds_one(self):
        a, wa, _, _ = problem()
        assert (AF.structural_similarity(a, wa, a, wa) <= 1.0 + 1e-9).all()

    def test_each_marginal_belongs_to_its_own_picture(self):
        """A cell of a counts by its likeness to b as a whole: all of a's mass is on the cell that b shows."""
        cells_a, whole_b = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[2]
        cells_b = whole_b.expand(4, 4)
        products = AF.structural_products(
            cells_a, F.normalize(cells_a.sum(0), dim=0), cells_b[None], whole_b[None]
        )
        u, v = AF.marginals_of(products, "cross_correlation")
        assert_close(u[0], torch.tensor([0, 0, 1.0, 0], dtype=torch.float64), atol=1e-4, rtol=0)
        assert_close(v[0], torch.full((4,), 0.25, dtype=torch.float64), atol=1e-4, rtol=0)

    def test_unknown_marginals_are_refused(self):
        with pytest.raises(ValueError, match="marginals"):
            AF.structural_similarity(*problem(), marginals="none")


class TestCellGrid:
    @pytest.mark.parametrize("grid", range(1, 8))
    @pytest.mark.parametrize("side", [4, 7, 8, 14])
    def test_cells_are_unit_vectors_in_reading_order(self, grid, side):
        features = torch.randn(2, 5, side, side, dtype=torch.float64)
        cells = AF.cell_grid(features, grid)
        assert cells.shape == (2, grid * grid, 5)
        assert_close(cells.norm(dim=2), torch.ones(2, grid * grid, dtype=torch.float64))

    def test_a_side_that_divides_is_averaged(self):
        features = torch.randn(1, 3, 8, 8, dtype=torch.float64)
        expected = F.normalize(features[0, :, :2, 2:4].mean(dim=(1, 2)), dim=0)
        assert_close(AF.cell_grid(features, 4)[0, 1], expected)

    def test_another_side_is_brought_to_sixteen_first(self):
        features = torch.randn(1, 3, 7, 7, dtype=torch.float64)
        fine = F.interpolate(features, size=(16, 16), mode="bilinear", align_corners=True)
        assert_close(AF.cell_grid(features, 4), AF.cell_grid(fine, 4))

    def test_no_cells_are_refused(self):
        with pytest.raises(ValueError, match="at least one cell"):
            AF.cell_grid(torch.zeros(1, 1, 4, 4), 0)
