"""Likeness of cells: bilinear, and nothing lost on another grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsl_core import functional as AF

sides = st.integers(1, 9)


class TestRegrid:
    @given(sides, sides, sides, sides)
    def test_every_sum_stays(self, rows, columns, new_rows, new_columns):
        values = torch.linspace(-1.0, 2.0, 2 * rows * columns, dtype=torch.float64).view(2, rows, columns)
        carried = AF.regrid(values, (new_rows, new_columns))
        assert carried.shape == (2, new_rows, new_columns)
        assert torch.allclose(carried.sum(dim=(1, 2)), values.sum(dim=(1, 2)), atol=1e-12)

    def test_a_cell_hands_on_by_area(self):
        assert AF.regrid(torch.tensor([[1.0, 1.0, 4.0]]), (1, 2)).tolist() == [[1.5, 4.5]]

    def test_there_and_back_between_grids_that_divide(self):
        values = torch.arange(6.0).view(2, 3)
        assert torch.allclose(AF.regrid(AF.regrid(values, (4, 9)), (2, 3)), values)

    def test_no_cells_are_refused(self):
        with pytest.raises(ValueError, match="cells"):
            AF.regrid(torch.ones(2, 2), (0, 2))


class TestMeanInCells:
    @given(sides, sides, sides, sides)
    def test_the_mean_stays(self, rows, columns, new_rows, new_columns):
        values = torch.linspace(-1.0, 2.0, rows * columns, dtype=torch.float64).view(rows, columns)
        means = AF.mean_in_cells(values, (new_rows, new_columns))
        assert means.shape == (new_rows, new_columns)
        assert float(means.mean()) == pytest.approx(float(values.mean()), abs=1e-12)

    def test_a_cell_has_the_mean_of_what_it_covers(self):
        assert AF.mean_in_cells(torch.tensor([[1.0, 3.0, 5.0, 9.0]]), (1, 2)).tolist() == [[2.0, 7.0]]


class TestCellLikeness:
    def test_it_sums_to_the_weighted_inner_product(self):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(5, 6, generator=generator, dtype=torch.float64)
        y = torch.randn(5, 4, generator=generator, dtype=torch.float64)
        w = torch.rand(5, generator=generator, dtype=torch.float64)
        matrix = AF.cell_likeness(x, y, w)
        assert matrix.shape == (6, 4)
        assert float(matrix.sum()) == pytest.approx(float((w * x.sum(1) * y.sum(1)).sum()), rel=1e-12)

    def test_a_row_is_what_its_cell_has_in_common_with_each_of_the_other(self):
        x, y = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 5.0]])
        assert AF.cell_likeness(x, y, torch.ones(2)).tolist() == [[3.0, 0.0], [0.0, 10.0]]

    def test_gradients_flow(self):
        arguments = [torch.rand(3, n, dtype=torch.float64, requires_grad=True) for n in (4, 2)]
        assert torch.autograd.gradcheck(AF.cell_likeness, (*arguments, torch.rand(3, dtype=torch.float64)))
