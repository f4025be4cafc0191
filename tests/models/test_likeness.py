"""The likeness of cells: for every method the similarity side of its own distance."""

import pytest
import torch

from avsl_core import functional as AF
from avsl_core.models import CellLikeness, DimlModel
from avsl_core.models.likeness import added_likeness


def encoded(model, size=64, seed=3):
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        return model.encode(torch.rand(2, 3, size, size, generator=generator))


def explained(model, **options):
    pair = encoded(model, **options)
    return model.explain(pair[0], pair[1]), pair


class TestTotal:
    @pytest.mark.parametrize(
        "options", [{}, {"nodes": 0}, {"pooling": "avg"}, {"nodes": 0, "pooling": "avg"}]
    )
    def test_of_an_embedding_it_is_the_cosine(self, new_embedding, options):
        account, _ = explained(new_embedding(**options))
        assert account.likeness.total == pytest.approx(1 - account.total / 2, abs=1e-5)

    def test_of_cgd_it_is_the_mean_cosine_of_the_descriptors(self, cgd):
        account, _ = explained(cgd)
        assert account.likeness.total == pytest.approx(1 - account.total / 2, abs=1e-5)

    def test_of_raml_it_is_the_score_of_student_and_teacher(self, raml):
        account, _ = explained(raml)
        assert account.likeness.total == pytest.approx(1 - account.total, abs=1e-5)
        assert account.residual != 0

    def test_of_one_network_of_raml_too(self, raml_student):
        account, _ = explained(raml_student)
        assert account.likeness.total == pytest.approx(1 - account.total, abs=1e-5)

    @pytest.mark.parametrize("options", [{}, {"kind": "peterson"}, {"kind": "dummy"}, {"pca": 4}])
    def test_of_adapted_features_it_is_their_cosine(self, new_adaptation, options):
        account, _ = explained(new_adaptation(**options))
        assert account.likeness.total == pytest.approx(1 - account.total, abs=1e-5)

    def test_of_avsl_it_completes_the_distance(self, new_avsl):
        model = new_avsl()
        account, pair = explained(model)
        own = sum(
            float((details.weight * (x[0].double().square() + y[0].double().square())).sum())
            for details, x, y in zip(account.levels.values(), pair[0].nodes, pair[1].nodes, strict=True)
        )
        assert own - 2 * account.likeness.total == pytest.approx(account.total, abs=1e-5)

    def test_of_diml_the_flow_comes_on_top(self, embedding):
        account, _ = explained(DimlModel.over(embedding))
        assert account.likeness.total == pytest.approx(2 - account.total, abs=1e-5)


class TestCells:
    def test_pictures_the_other_way_round_have_the_matrix_the_other_way_round(self, new_avsl):
        model = new_avsl()
        pair = encoded(model)
        one, other = model.explain(pair[0], pair[1]), model.explain(pair[1], pair[0])
        assert torch.allclose(one.likeness.matrix, other.likeness.matrix.T, atol=1e-9)

    def test_the_grid_is_the_finest_of_the_levels_and_never_above_sixteen_a_side(self, new_avsl):
        small, large = explained(new_avsl(), size=64)[0], explained(new_avsl(), size=192)[0]
        assert small.likeness.grid_a == tuple(small.components[0].map_a.shape)
        assert max(large.components[0].map_a.shape) > 16
        assert large.likeness.grid_a == (16, 16)
        assert large.likeness.matrix.shape == (256, 256)

    def test_another_grid_keeps_the_sums(self):
        likeness = CellLikeness((2, 3), (4, 1), torch.arange(24.0, dtype=torch.float64).view(6, 4))
        carried = likeness.on((3, 3), (2, 2))
        assert carried.matrix.shape == (9, 4)
        assert carried.total == pytest.approx(likeness.total)
        rows = AF.regrid(likeness.matrix.sum(dim=1).view(2, 3), (3, 3))
        assert torch.allclose(carried.matrix.sum(dim=1).view(3, 3), rows)

    def test_it_is_worked_out_once_and_only_when_asked_for(self):
        calls = []

        def make():
            calls.append(torch.is_grad_enabled())
            return torch.ones(1, 1, dtype=torch.float64)

        likeness = CellLikeness((1, 1), (1, 1), make)
        assert calls == []
        assert (likeness.total, likeness.total) == (1.0, 1.0)
        assert calls == [False]

    def test_two_are_added_on_the_finer_grid(self):
        coarse = CellLikeness((1, 1), (1, 1), torch.tensor([[4.0]], dtype=torch.float64))
        fine = CellLikeness((2, 2), (1, 1), torch.ones(4, 1, dtype=torch.float64))
        both = added_likeness(coarse, fine)
        assert both.grid_a == (2, 2)
        assert both.matrix.flatten().tolist() == [2.0] * 4
