"""adaptation_loss and asymmetric_recall: a learned adaptation's objective and its score."""

import math

import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.models.adaptation_head import AdaptationHead


def draw(seed, *shape, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)


class TestPublishedValues:
    @pytest.fixture
    def head(self, published):
        head = AdaptationHead(12, width=1024)
        head.load_state_dict({"weight": published("adaptation/weight")})
        return head.requires_grad_(False)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_the_original_adaptation(self, published, head, side):
        adapted = head(published(f"adaptation/{side}"))
        torch.testing.assert_close(adapted, published(f"adaptation/adapted_{side}"), atol=1e-5, rtol=1e-5)

    def test_the_peterson_adaptation(self, published):
        head = AdaptationHead(12, kind="peterson")
        head.load_state_dict({"weight": published("adaptation/peterson_weight")})
        adapted = head.requires_grad_(False)(published("adaptation/left"))
        torch.testing.assert_close(adapted, published("adaptation/peterson_left"), atol=1e-5, rtol=1e-5)

    def test_the_loss(self, published):
        sides = published("adaptation/adapted_left"), published("adaptation/adapted_right")
        torch.testing.assert_close(
            AF.adaptation_loss(*sides, temperature=15.0),
            published("adaptation/loss_t15"),
            atol=1e-5,
            rtol=1e-5,
        )

    def test_the_recall(self, published):
        recalls = AF.asymmetric_recall(published("adaptation/left"), published("adaptation/right"), (1, 3, 5))
        assert recalls == pytest.approx(published("adaptation/asymmetric_recall_raw_at_1_3_5").tolist())


class TestLoss:
    def test_is_a_scalar_of_the_inputs_type(self, device, dtype):
        loss = AF.adaptation_loss(
            draw(0, 4, 6, dtype=dtype, device=device), draw(1, 4, 6, dtype=dtype, device=device)
        )
        assert loss.shape == ()
        assert (loss.dtype, loss.device.type) == (dtype, device.type)

    def test_is_that_of_a_guess_where_all_are_alike(self):
        same = torch.ones(5, 3)
        assert float(AF.adaptation_loss(same, same)) == pytest.approx(math.log(5))

    def test_falls_when_partners_are_told_apart(self):
        told, mixed = torch.eye(4), torch.eye(4).roll(1, dims=0)
        assert float(AF.adaptation_loss(told, told)) < 1e-5 < float(AF.adaptation_loss(told, mixed))

    def test_does_not_know_left_from_right(self):
        left, right = draw(0, 5, 4), draw(1, 5, 4)
        torch.testing.assert_close(AF.adaptation_loss(left, right), AF.adaptation_loss(right, left))

    def test_agrees_with_the_two_cross_entropies(self):
        left, right = draw(0, 5, 4), draw(1, 5, 4)
        S = torch.tensor(
            [[float(F.cosine_similarity(a, b, dim=0)) for b in right] for a in left], dtype=torch.float64
        )
        rows = [-(7 * S[i, i] - torch.logsumexp(7 * S[i], dim=0)) for i in range(5)]
        columns = [-(7 * S[i, i] - torch.logsumexp(7 * S[:, i], dim=0)) for i in range(5)]
        expected = (torch.stack(rows).mean() + torch.stack(columns).mean()) / 2
        torch.testing.assert_close(AF.adaptation_loss(left, right, 7.0), expected)

    def test_gradients_are_those_of_finite_differences(self):
        inputs = draw(0, 4, 3).requires_grad_(), draw(1, 4, 3).requires_grad_()
        assert torch.autograd.gradcheck(AF.adaptation_loss, inputs)

    def test_zero_vectors_are_finite_in_value_and_gradient(self):
        left = torch.zeros(3, 4, requires_grad=True)
        loss = AF.adaptation_loss(left, torch.ones(3, 4))
        loss.backward()
        assert bool(loss.isfinite()) and bool(left.grad.isfinite().all())

    @pytest.mark.parametrize(
        ("left", "right"), [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((4,), (4,)), ((0, 4), (0, 4))]
    )
    def test_shapes_that_make_no_pairs_are_refused(self, left, right):
        with pytest.raises(ValueError, match=r"must both be \[N, D\]"):
            AF.adaptation_loss(torch.zeros(left), torch.zeros(right))


class TestRecall:
    def test_a_hit_in_either_direction_counts(self):
        # Left 0 finds right 1 first; but right 0 finds left 0 first.
        left = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        right = torch.tensor([[0.8, 0.6], [1.0, 0.0]])
        assert AF.asymmetric_recall(left, right, (1,)) == [0.5]
        assert AF.asymmetric_recall(left, left, (1,)) == [1.0]

    def test_rises_with_k_to_one(self):
        recalls = AF.asymmetric_recall(draw(0, 9, 3), draw(1, 9, 3), range(1, 10))
        assert recalls == sorted(recalls)
        assert recalls[-1] == 1.0

    def test_of_pictures_equally_near_the_partner_comes_last(self):
        same = torch.ones(3, 2)
        assert AF.asymmetric_recall(same, same, (1, 2, 3)) == [0.0, 0.0, 1.0]

    def test_numbers_that_are_none_find_nothing(self):
        broken = torch.full((4, 3), float("nan"))
        assert AF.asymmetric_recall(broken, broken, (1, 3)) == [0.0, 0.0]
        assert AF.asymmetric_recall(torch.eye(4), torch.full((4, 4), float("nan")), (1,)) == [0.0]

    def test_a_k_below_one_is_refused(self):
        with pytest.raises(ValueError, match="at least 1"):
            AF.asymmetric_recall(torch.eye(2), torch.eye(2), (0, 1))
