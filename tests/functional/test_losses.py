"""proxy_anchor_loss and margin_loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF

seeds = st.integers(0, 2**31)


def batch(seed, rows=6, columns=4, scale=4.0):
    generator = torch.Generator().manual_seed(seed)
    distances = scale * torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    labels = torch.randint(columns, (rows,), generator=generator)
    return distances, labels[:, None] == torch.arange(columns)


def naive_proxy_anchor(distances, is_positive, alpha=16.0, low=1.8, high=2.2):
    pull, push = [], []
    for d, positive in zip(distances.T.tolist(), is_positive.T.tolist(), strict=True):
        pairs = list(zip(d, positive, strict=True))
        if any(positive):
            pull.append(math.log(1 + sum(math.exp(alpha * (x - low)) for x, p in pairs if p)))
        push.append(math.log(1 + sum(math.exp(-alpha * (x - high)) for x, p in pairs if not p)))
    return sum(pull) / max(1, len(pull)) + sum(push) / len(push)


def naive_margin(distances, is_positive, beta, margin):
    violations = []
    for d, positive in zip(distances.tolist(), is_positive.tolist(), strict=True):
        for m, (x, p) in enumerate(zip(d, positive, strict=True)):
            boundary = beta[m] if isinstance(beta, list) else beta
            violation = margin + (x - boundary if p else boundary - x)
            if violation > 0:
                violations.append(violation)
    return sum(violations) / len(violations) if violations else 0.0


class TestProxyAnchor:
    def test_is_a_scalar_of_the_distances_type(self, device, dtype):
        distances, positive = (tensor.to(device) for tensor in batch(0))
        loss = AF.proxy_anchor_loss(distances.to(dtype), positive)
        assert (loss.shape, loss.dtype, loss.device.type) == ((), dtype, device.type)

    @settings(max_examples=80, deadline=None)
    @given(seeds, st.integers(1, 8), st.integers(1, 6))
    def test_equals_the_naive_form_where_that_does_not_overflow(self, seed, rows, columns):
        distances, positive = batch(seed, rows, columns)
        loss = AF.proxy_anchor_loss(distances, positive)
        assert loss.item() == pytest.approx(naive_proxy_anchor(distances, positive), rel=1e-11, abs=1e-13)

    def test_takes_sharpness_and_margins(self):
        distances, positive = batch(3)
        loss = AF.proxy_anchor_loss(distances, positive, alpha=4.0, positive_margin=0.5, negative_margin=3.0)
        assert loss.item() == pytest.approx(naive_proxy_anchor(distances, positive, 4.0, 0.5, 3.0))

    @pytest.mark.parametrize("distance", [40.0, -40.0, 1e4])
    def test_is_finite_with_finite_gradients_far_away(self, distance, device):
        distances = torch.full((4, 3), distance, device=device, requires_grad=True)
        loss = AF.proxy_anchor_loss(distances, batch(1, 4, 3)[1].to(device))
        loss.backward()
        assert loss.isfinite()
        assert distances.grad.isfinite().all()

    def test_far_positives_cost_what_the_straight_line_says(self):
        loss = AF.proxy_anchor_loss(torch.tensor([[40.0]]), torch.tensor([[True]]))
        assert loss.item() == pytest.approx(16 * (40 - 1.8))

    def test_derivatives_are_right(self, device):
        distances, positive = (tensor.to(device) for tensor in batch(2))
        distances.requires_grad_()
        assert torch.autograd.gradcheck(lambda d: AF.proxy_anchor_loss(d, positive), distances)

    def test_pulls_positives_and_pushes_negatives(self):
        distances, positive = batch(4)
        AF.proxy_anchor_loss(distances.requires_grad_(), positive).backward()
        assert (distances.grad[positive] > 0).all()
        assert (distances.grad[~positive] < 0).all()

    def test_a_proxy_without_a_picture_in_the_batch_pushes_only(self):
        """Its column counts among the pushing proxies, and not among the pulling ones."""
        distances, positive = batch(5, rows=3, columns=2)
        absent = torch.full((3, 1), 9.0, dtype=torch.float64)  # so far that it pushes no more
        both = AF.proxy_anchor_loss(
            torch.cat([distances, absent], dim=1), torch.cat([positive, torch.zeros(3, 1).bool()], dim=1)
        )
        nothing = torch.zeros_like(positive)
        push = AF.proxy_anchor_loss(distances.masked_fill(positive, 1e3), nothing)
        pull = AF.proxy_anchor_loss(distances, positive) - push
        assert both.item() == pytest.approx((pull + push * 2 / 3).item(), rel=1e-9)

    def test_without_any_positive_is_the_pushing_part_alone(self):
        distances, positive = batch(6)
        nothing = torch.zeros_like(positive)
        loss = AF.proxy_anchor_loss(distances, nothing)
        assert loss.item() == pytest.approx(naive_proxy_anchor(distances, nothing))

    @settings(max_examples=30, deadline=None)
    @given(seeds)
    def test_does_not_depend_on_the_order_of_pictures_or_proxies(self, seed):
        distances, positive = batch(seed)
        rows, columns = torch.randperm(6), torch.randperm(4)
        shuffled = AF.proxy_anchor_loss(distances[rows][:, columns], positive[rows][:, columns])
        assert_close(shuffled, AF.proxy_anchor_loss(distances, positive))


class TestMargin:
    def test_is_a_scalar_of_the_distances_type(self, device, dtype):
        distances, positive = (tensor.to(device) for tensor in batch(0))
        loss = AF.margin_loss(distances.to(dtype), positive)
        assert (loss.shape, loss.dtype, loss.device.type) == ((), dtype, device.type)

    @settings(max_examples=80, deadline=None)
    @given(seeds, st.integers(1, 8), st.integers(1, 6), st.floats(0.1, 3.9), st.floats(0.0, 1.0))
    def test_equals_a_loop_over_pairs(self, seed, rows, columns, beta, margin):
        distances, positive = batch(seed, rows, columns)
        loss = AF.margin_loss(distances, positive, beta=beta, margin=margin)
        assert loss.item() == pytest.approx(naive_margin(distances, positive, beta, margin), rel=1e-11)

    def test_takes_a_boundary_for_each_class_that_can_learn(self):
        distances, positive = batch(1)
        beta = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
        loss = AF.margin_loss(distances, positive, beta=beta, margin=0.2)
        assert loss.item() == pytest.approx(naive_margin(distances, positive, beta.tolist(), 0.2))
        loss.backward()
        assert beta.grad.abs().sum() > 0

    def test_is_zero_where_no_pair_violates_its_margin(self, device):
        distances = torch.tensor([[0.1, 3.0]], device=device, requires_grad=True)
        loss = AF.margin_loss(distances, torch.tensor([[True, False]], device=device))
        loss.backward()
        assert loss.item() == 0
        assert distances.grad.tolist() == [[0.0, 0.0]]

    def test_pairs_within_their_margin_do_not_dilute_the_mean(self):
        violating, fine = torch.tensor([[2.0]]), torch.tensor([[0.1]])
        alone = AF.margin_loss(violating, torch.tensor([[True]]))
        together = AF.margin_loss(torch.cat([violating, fine]), torch.tensor([[True], [True]]))
        assert_close(alone, together)

    def test_derivatives_are_right(self, device):
        distances, positive = (tensor.to(device) for tensor in batch(3))
        beta = torch.full((4,), 1.7, dtype=torch.float64, device=device)

        def function(d, b):
            return AF.margin_loss(d, positive, beta=b)

        assert torch.autograd.gradcheck(function, (distances.requires_grad_(), beta.requires_grad_()))


@pytest.mark.parametrize("loss", [AF.proxy_anchor_loss, AF.margin_loss])
@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((2, 3), (2,)), ((3,), (3,))])
def test_refuses_shapes_that_differ_or_are_no_matrix(loss, shapes):
    distances, positive = torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.bool)
    with pytest.raises(ValueError, match="distances and is_positive must both be"):
        loss(distances, positive)
