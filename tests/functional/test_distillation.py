"""Losses of RAML: the published values, their definition, gradients and errors."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core import functional as AF


def unit(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=dtype), dim=-1)


class TestPublished:
    def near(self, actual, expected):
        # The published code adds 1e-6 to every difference before it squares.
        assert_close(actual.cpu(), expected, rtol=1e-5, atol=1e-5)

    def test_absolute(self, published, device):
        student, teacher = (published(f"raml/{name}").to(device) for name in ("student", "teacher"))
        self.near(AF.absolute_distillation(student, teacher), published("raml/absolute"))

    @pytest.mark.parametrize(("name", "student_only"), [("relational_ts", False), ("relational_ss", True)])
    def test_relational(self, published, device, name, student_only):
        student, teacher = (published(f"raml/{side}").to(device) for side in ("student", "teacher"))
        self.near(
            AF.relational_distillation(student, teacher, student_only=student_only), published(f"raml/{name}")
        )

    def test_pooling(self, published, device):
        self.near(AF.generalized_mean(published("raml/map").to(device), 3.0), published("raml/gem_p3"))


def test_losses_are_the_sums_that_define_them(dtype):
    s, t = unit(3, 4, 5, seed=1, dtype=dtype), unit(3, 4, 5, seed=2, dtype=dtype)
    absolute = sum((1 - s[i, a] @ t[i, a]) ** 2 / 4 for i in range(3) for a in range(4))
    pairs = [(i, a, b) for i in range(3) for a in range(4) for b in range(4) if a != b]
    between = sum((s[i, a] @ t[i, b] - t[i, a] @ t[i, b]) ** 2 / 12 for i, a, b in pairs)
    within = sum((s[i, a] @ s[i, b] - t[i, a] @ t[i, b]) ** 2 / 12 for i, a, b in pairs)
    assert_close(AF.absolute_distillation(s, t), absolute)
    assert_close(AF.relational_distillation(s, t), between)
    assert_close(AF.relational_distillation(s, t, student_only=True), within)


def test_a_student_that_sees_what_the_teacher_sees_has_nothing_to_learn():
    t = unit(2, 3, 4)
    for loss in (
        AF.absolute_distillation(t, t),
        AF.relational_distillation(t, t),
        AF.relational_distillation(t, t, student_only=True),
    ):
        assert loss.item() == pytest.approx(0.0, abs=1e-20)


def test_a_single_view_has_no_relations():
    s = unit(2, 1, 4).requires_grad_()
    loss = AF.relational_distillation(s, unit(2, 1, 4, seed=1))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(s.grad, torch.zeros_like(s))


def test_gradients_are_those_of_finite_differences():
    s, t = unit(2, 3, 4, seed=3).requires_grad_(), unit(2, 3, 4, seed=4)
    assert torch.autograd.gradcheck(lambda x: AF.absolute_distillation(x, t), (s,))
    assert torch.autograd.gradcheck(lambda x: AF.relational_distillation(x, t), (s,))
    assert torch.autograd.gradcheck(lambda x: AF.relational_distillation(x, t, student_only=True), (s,))
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    vectors = unit(6, 4, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: AF.mined_triplet_loss(x, labels), (vectors,))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4), (1, 3, 4)])
def test_vectors_of_other_shapes_are_refused(shape):
    for loss in (AF.absolute_distillation, AF.relational_distillation):
        with pytest.raises(ValueError, match=r"both be \[B, A, D\]"):
            loss(unit(*shape), unit(2, 3, 4))


class TestTriplets:
    def test_the_nearest_unlike_ones_are_the_negatives(self):
        vectors = torch.tensor([[0.0], [1.0], [2.0], [5.0], [1.5]])
        labels = torch.tensor([0, 0, 1, 1, 2])
        # Anchors of class 0 have the likes at 1; the two nearest unlike are at 2.25 and 4, or 0.25 and 1.
        of_class_0 = (0 + 0) / 2 + (1.45 + 0.7) / 2
        # Those of class 1 have the like at 9; their nearest are at 0.25 and 1, or 12.25 and 16.
        of_class_1 = (9.45 + 8.7) / 2 + (0 + 0) / 2
        loss = AF.mined_triplet_loss(vectors, labels, margin=0.7, negatives=2)
        assert loss.item() == pytest.approx(of_class_0 + of_class_1, abs=1e-5)

    def test_all_negatives_are_used_when_there_are_fewer_than_asked_for(self):
        vectors, labels = unit(5, 3, seed=6), torch.tensor([0, 0, 0, 1, 1])
        expected = 0.0
        for a in range(5):
            likes = [p for p in range(5) if p != a and labels[p] == labels[a]]
            others = [n for n in range(5) if labels[n] != labels[a]]
            terms = [
                (0.7 + (vectors[a] - vectors[p]).square().sum() - (vectors[a] - vectors[n]).square().sum())
                for p in likes
                for n in others
            ]
            expected = expected + torch.stack(terms).clamp_min(0).mean()
        assert_close(AF.mined_triplet_loss(vectors, labels, negatives=10), expected)

    def test_without_likes_or_without_unlikes_there_is_no_loss(self):
        vectors = unit(3, 4)
        assert AF.mined_triplet_loss(vectors, torch.tensor([0, 1, 2])).item() == 0.0
        assert AF.mined_triplet_loss(vectors, torch.tensor([0, 0, 0])).item() == 0.0

    def test_bad_shapes_and_counts_are_refused(self):
        with pytest.raises(ValueError, match=r"\[B, D\] and labels \[B\]"):
            AF.mined_triplet_loss(unit(3, 4), torch.tensor([0, 1]))
        with pytest.raises(ValueError, match="at least 1"):
            AF.mined_triplet_loss(unit(3, 4), torch.tensor([0, 1, 1]), negatives=0)
