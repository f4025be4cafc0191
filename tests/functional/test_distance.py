"""avsl_distance, pairwise_avsl_distance, gate and weighted_squared_distance."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF

seeds = st.integers(0, 2**31)
shapes = st.lists(st.integers(1, 8), min_size=1, max_size=4).map(tuple)


def measure(p, a="a", b="b", top_k=3, **options):
    sides = {"a": (p.e_a, p.s_a), "b": (p.e_b, p.s_b)}
    return AF.avsl_distance(*sides[a], *sides[b], *p.parameters, top_k=top_k, **options)


def by_definition(p, i, j, top_k, gamma):
    """One pair, node by node, as the paper writes it."""
    mixed = None
    for level, (e_x, e_y) in enumerate(zip(p.e_a, p.e_b, strict=True)):
        n_x, n_y = e_x[i] / e_x[i].norm(), e_y[j] / e_y[j].norm()
        below, mixed = mixed, []
        W = AF.normalize_linkage(p.linkages[level - 1], top_k) if level else None
        for r in range(len(n_x)):
            own = float((n_x[r] - n_y[r]) ** 2)
            if level == 0:
                mixed.append(own)
                continue
            logit = gamma * (p.alphas[level][r] * p.s_a[level][i, r] * p.s_b[level][j, r] + p.betas[level][r])
            P = 1 / (1 + float(torch.exp(-logit)))
            mixed.append(P * own + (1 - P) * sum(float(W[m, r]) * d for m, d in enumerate(below)))
    return sum(mixed)


class TestAvslDistance:
    def test_gives_rows_by_columns(self, problem, device, dtype):
        distances = measure(problem(0, dtype=dtype, device=device))
        assert distances.shape == (3, 4)
        assert (distances.dtype, distances.device.type) == (dtype, device.type)

    @pytest.mark.parametrize("gamma", [1.0, 10.0])
    def test_equals_the_recursion_node_by_node(self, problem, gamma):
        p = problem(1)
        distances = measure(p, gamma=gamma)
        for i in range(3):
            for j in range(4):
                assert distances[i, j].item() == pytest.approx(by_definition(p, i, j, 3, gamma), rel=1e-12)

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=shapes, top_k=st.integers(1, 8))
    def test_is_symmetric(self, problem, seed, nodes, top_k):
        p = problem(seed, nodes=nodes)
        assert_close(measure(p, "a", "b", top_k), measure(p, "b", "a", top_k).T, rtol=1e-12, atol=1e-14)

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=shapes)
    def test_is_not_negative_and_within_four_a_node(self, problem, seed, nodes):
        p = problem(seed, nodes=nodes)
        distances = measure(p)
        assert (distances >= 0).all()
        assert (distances <= 4 * nodes[-1] + 1e-12).all()

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=st.integers(1, 8))
    def test_of_one_level_is_at_most_four(self, problem, seed, nodes):
        assert (measure(problem(seed, nodes=(nodes,))) <= 4 + 1e-12).all()

    def test_exceeds_four_where_one_lower_node_carries_several_higher_ones(self):
        x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
        none = torch.zeros(1, 2)
        shared = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
        closed = torch.full((2,), -9.0)  # beta: trust the lower level only
        distance = AF.avsl_distance(
            [x, x], [none, none], [y, y], [none, none], [shared], [none[0]] * 2, [closed] * 2, top_k=1
        )
        assert distance.item() == pytest.approx(8.0)

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=shapes)
    def test_is_zero_to_itself(self, problem, seed, nodes):
        assert (measure(problem(seed, nodes=nodes), "a", "a").diagonal() == 0).all()

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds, scale=st.floats(1e-3, 1e3))
    def test_does_not_see_the_length_of_embeddings(self, problem, seed, scale):
        p = problem(seed)
        before = measure(p)
        p.e_b = [e * scale for e in p.e_b]
        assert_close(measure(p), before, rtol=1e-10, atol=1e-12)

    def test_of_one_level_is_the_squared_distance_of_unit_vectors(self, problem):
        p = problem(2, nodes=(6,))
        unit_a, unit_b = F.normalize(p.e_a[0]), F.normalize(p.e_b[0])
        assert_close(measure(p), torch.cdist(unit_a, unit_b).square())

    def test_open_gates_leave_the_highest_level_alone(self, problem):
        p = problem(3)
        p.betas = [torch.full_like(beta, 100.0) for beta in p.betas]
        top = torch.cdist(F.normalize(p.e_a[-1]), F.normalize(p.e_b[-1])).square()
        assert_close(measure(p), top)

    def test_the_lowest_gate_is_not_used(self, problem):
        p = problem(4)
        before = measure(p)
        p.alphas[0], p.betas[0] = p.alphas[0] + 5, p.betas[0] - 5
        assert torch.equal(measure(p), before)

    def test_does_not_modify_the_linkages(self, problem):
        p = problem(5)
        before = [link.clone() for link in p.linkages]
        measure(p)
        assert all(torch.equal(old, new) for old, new in zip(before, p.linkages, strict=True))

    def test_gates_and_embeddings_have_right_derivatives(self, problem, device):
        p = problem(6, rows=2, columns=2, nodes=(3, 2, 3), device=device)
        trained = [*p.alphas[1:], *p.betas[1:], *p.e_a]
        for tensor in trained:
            tensor.requires_grad_()

        def function(*_):
            return measure(p, top_k=2)

        assert torch.autograd.gradcheck(function, trained)

    @pytest.mark.parametrize("missing", ["e_a", "s_a", "e_b", "s_b", "linkages", "alphas", "betas"])
    def test_refuses_levels_that_do_not_agree(self, problem, missing):
        p = problem(0)
        setattr(p, missing, getattr(p, missing)[:-1])
        with pytest.raises(ValueError, match="one entry per level, and linkages one less"):
            measure(p)

    def test_refuses_no_levels_at_all(self):
        with pytest.raises(ValueError, match="one entry per level"):
            AF.avsl_distance([], [], [], [], [], [], [], top_k=1)


class TestPairwise:
    def test_broadcasts_any_leading_shape(self, problem):
        p = problem(7, rows=4, columns=4)
        W = [AF.normalize_linkage(link, 3) for link in p.linkages]
        matrix = measure(p)
        pairs = AF.pairwise_avsl_distance(p.e_a, p.s_a, p.e_b, p.s_b, W, p.alphas, p.betas)
        assert_close(pairs, matrix.diagonal())
        first = [[t[:1] for t in levels] for levels in (p.e_a, p.s_a)]
        row = AF.pairwise_avsl_distance(*first, p.e_b, p.s_b, W, p.alphas, p.betas)
        assert_close(row, matrix[0])


class TestGate:
    def test_is_the_sigmoid_of_the_scaled_product(self, device, dtype):
        P = AF.gate(*(torch.tensor([value], device=device, dtype=dtype) for value in (0.5, 0.4, 2.0, -0.3)))
        assert_close(P, torch.sigmoid(torch.tensor([10 * (2.0 * 0.2 - 0.3)], device=device, dtype=dtype)))

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds)
    def test_rises_with_either_certainty_where_alpha_is_positive(self, seed):
        s, more, other, beta = torch.rand(4, 5, generator=torch.Generator().manual_seed(seed)).double()
        alpha = torch.ones(5, dtype=torch.float64)
        assert (AF.gate(s + more, other, alpha, beta) >= AF.gate(s, other, alpha, beta)).all()
        assert_close(AF.gate(s, other, alpha, beta), AF.gate(other, s, alpha, beta))

    def test_saturates_without_overflow(self, dtype):
        extreme = torch.tensor([1e6, -1e6], dtype=dtype)
        assert AF.gate(torch.ones(2, dtype=dtype), torch.ones(2, dtype=dtype), extreme, extreme).tolist() == [
            1,
            0,
        ]


class TestWeightedSquaredDistance:
    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, rows=st.integers(1, 5), columns=st.integers(1, 5), nodes=st.integers(1, 9))
    def test_equals_the_sum_over_nodes(self, seed, rows, columns, nodes):
        generator = torch.Generator().manual_seed(seed)
        a, w = torch.randn(2, rows, nodes, generator=generator).double()
        b = torch.randn(columns, nodes, generator=generator).double()
        expected = (w.abs()[:, None] * (a[:, None] - b[None]).square()).sum(dim=-1)
        assert_close(AF.weighted_squared_distance(a, b, w.abs()), expected, rtol=1e-10, atol=1e-12)

    def test_rounding_never_makes_it_negative(self, device, dtype):
        a = torch.randn(50, 64, device=device, dtype=dtype)
        distances = AF.weighted_squared_distance(a, a, torch.ones_like(a))
        assert (distances >= 0).all()
        assert_close(distances.diagonal(), torch.zeros_like(distances.diagonal()), rtol=0, atol=1e-4)

    def test_derivatives_are_right(self, device):
        a, b, w = (torch.rand(3, 4, dtype=torch.float64, device=device) + shift for shift in (0, 2, 1))
        inputs = [tensor.requires_grad_() for tensor in (a, b, w)]
        assert torch.autograd.gradcheck(AF.weighted_squared_distance, inputs)

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=shapes.filter(lambda nodes: len(nodes) > 1), top_k=st.integers(1, 8))
    def test_with_top_down_weights_is_the_avsl_distance_to_proxies(self, problem, seed, nodes, top_k):
        """Proxies of one level share one certainty, so the weights depend on the row only."""
        p = problem(seed, nodes=nodes)
        p.s_b = [s[:1].mean().expand_as(s) for s in p.s_b]
        gates = [
            AF.gate(s_a, s_b[:1], alpha, beta)
            for s_a, s_b, alpha, beta in zip(p.s_a[1:], p.s_b[1:], p.alphas[1:], p.betas[1:], strict=True)
        ]
        weights = AF.top_down_weights(gates, [AF.normalize_linkage(link, top_k) for link in p.linkages])
        parts = [
            AF.weighted_squared_distance(F.normalize(x), F.normalize(y), w)
            for x, y, w in zip(p.e_a, p.e_b, weights, strict=True)
        ]
        assert_close(sum(parts), measure(p, top_k=top_k), rtol=1e-10, atol=1e-12)
