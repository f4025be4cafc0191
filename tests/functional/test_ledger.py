"""top_down_weights, node_contributions and signed_maps: parts that add up to the distance."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from avsl_core import functional as AF

seeds = st.integers(0, 2**31)
shapes = st.lists(st.integers(1, 8), min_size=2, max_size=4).map(tuple)
CHANNELS = 3


def account(p, top_k=3):
    """Distances of the pairs (a_i, b_i), their weights, and normalised embeddings of both sides."""
    W = [AF.normalize_linkage(link, top_k) for link in p.linkages]
    distances = AF.pairwise_avsl_distance(p.e_a, p.s_a, p.e_b, p.s_b, W, p.alphas, p.betas)
    gates = [
        AF.gate(s_a, s_b, alpha, beta)
        for s_a, s_b, alpha, beta in zip(p.s_a[1:], p.s_b[1:], p.alphas[1:], p.betas[1:], strict=True)
    ]
    n_a, n_b = ([F.normalize(e, dim=1) for e in side] for side in (p.e_a, p.e_b))
    return distances, AF.top_down_weights(gates, W), n_a, n_b


def pictures_for(p, seed):
    """Replace a problem's embeddings by those of random feature maps; return maps and projections."""
    generator = torch.Generator().manual_seed(seed + 1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    nodes, rows = [e.shape[1] for e in p.e_a], len(p.e_a[0])
    sides = [2 * (len(nodes) - level) for level in range(len(nodes))]
    maps_a, maps_b = ([normal(rows, CHANNELS, side, side + 1) for side in sides] for _ in "ab")
    heads = [(normal(r, CHANNELS), normal(r)) for r in nodes]
    p.e_a, p.e_b = (
        [AF.project(m, *head) for m, head in zip(maps, heads, strict=True)] for maps in (maps_a, maps_b)
    )
    return maps_a, maps_b, heads


class TestTopDownWeights:
    def test_by_hand_over_three_levels(self):
        gates = [torch.tensor([0.5, 0.2]), torch.tensor([0.9])]
        W = [torch.tensor([[1.0, 0.4], [0.0, 0.6]]), torch.tensor([[0.3], [0.7]])]
        low, middle, high = AF.top_down_weights(gates, W)
        assert_close(high, torch.tensor([0.9]))
        assert_close(middle, torch.tensor([0.5 * 0.03, 0.2 * 0.07]))
        assert_close(low, torch.tensor([0.5 * 0.03 + 0.4 * 0.8 * 0.07, 0.6 * 0.8 * 0.07]))

    @settings(max_examples=60, deadline=None)
    @given(seed=seeds, nodes=shapes)
    def test_are_never_negative(self, problem, seed, nodes):
        _, weights, *_ = account(problem(seed, rows=3, columns=3, nodes=nodes))
        assert all((w >= 0).all() for w in weights)

    def test_keep_shape_type_and_device(self, problem, device, dtype):
        _, weights, *_ = account(problem(0, rows=3, columns=3, dtype=dtype, device=device))
        assert [tuple(w.shape) for w in weights] == [(3, 5), (3, 6), (3, 7)]
        assert {(w.dtype, w.device.type) for w in weights} == {(dtype, device.type)}

    def test_pass_right_derivatives_to_the_gates(self, problem, device):
        p = problem(0, nodes=(2, 3, 2), device=device)
        gates = [torch.rand(2, r, dtype=torch.float64, device=device).requires_grad_() for r in (3, 2)]
        W = [AF.normalize_linkage(link.abs(), 2) for link in p.linkages]
        assert torch.autograd.gradcheck(lambda *gates: tuple(AF.top_down_weights(gates, W)), gates)

    @pytest.mark.parametrize(("gates", "linkages"), [(0, 0), (1, 0), (1, 2)])
    def test_refuse_gates_without_their_linkage(self, gates, linkages):
        with pytest.raises(ValueError, match="at least one gate, and one linkage for each"):
            AF.top_down_weights([torch.ones(2)] * gates, [torch.eye(2)] * linkages)


class TestNodeContributions:
    @settings(max_examples=100, deadline=None)
    @given(seed=seeds, nodes=shapes, top_k=st.integers(1, 8))
    def test_of_all_levels_sum_to_the_distance(self, problem, seed, nodes, top_k):
        distances, weights, n_a, n_b = account(problem(seed, rows=3, columns=3, nodes=nodes), top_k)
        parts = AF.node_contributions(weights, n_a, n_b)
        assert all((part >= 0).all() for part in parts)
        assert_close(sum(part.sum(dim=1) for part in parts), distances, rtol=1e-10, atol=1e-15)

    def test_refuse_levels_that_do_not_agree(self, problem):
        _, weights, n_a, n_b = account(problem(0, rows=3, columns=3))
        with pytest.raises(ValueError, match="shorter"):
            AF.node_contributions(weights, n_a, n_b[:-1])


class TestSignedMaps:
    @settings(max_examples=100, deadline=None)
    @given(seed=seeds, nodes=shapes, top_k=st.integers(1, 8))
    def test_of_both_pictures_over_all_levels_sum_to_the_distance(self, problem, seed, nodes, top_k):
        p = problem(seed, rows=3, columns=3, nodes=nodes)
        maps_a, maps_b, heads = pictures_for(p, seed)
        distances, weights, n_a, n_b = account(p, top_k)
        total = torch.zeros_like(distances)
        for level, (weight, bias) in enumerate(heads):
            pull = weights[level] * (n_a[level] - n_b[level])
            part_a = AF.signed_maps(maps_a[level], weight, bias, pull, p.e_a[level].norm(dim=1))
            part_b = AF.signed_maps(maps_b[level], weight, bias, -pull, p.e_b[level].norm(dim=1))
            total += part_a.sum(dim=(1, 2)) + part_b.sum(dim=(1, 2))
        assert_close(total, distances, rtol=1e-10, atol=1e-13)

    def test_equal_the_combined_activation_maps_cell_by_cell(self, problem):
        p = problem(3, rows=2, columns=2)
        maps, _, heads = pictures_for(p, 3)
        for m, (weight, bias), e in zip(maps, heads, p.e_a, strict=True):
            coefficients, norm = torch.randn_like(e), e.norm(dim=1)
            combined = torch.einsum("br,brhw->bhw", coefficients, AF.activation_map(m, weight, bias))
            expected = combined / (m.shape[2] * m.shape[3] * norm[:, None, None])
            assert_close(AF.signed_maps(m, weight, bias, coefficients, norm), expected)

    def test_keep_grid_type_and_device(self, device, dtype):
        one = {"device": device, "dtype": dtype}
        maps = AF.signed_maps(
            torch.rand(2, 3, 4, 5, **one),
            torch.rand(6, 3, **one),
            torch.rand(6, **one),
            torch.rand(2, 6, **one),
            torch.ones(2, **one),
        )
        assert maps.shape == (2, 4, 5)
        assert (maps.dtype, maps.device.type) == (dtype, device.type)

    def test_cells_that_look_unlike_push_apart_and_those_alike_pull_together(self):
        """One node each for two colours; x shows both, y the second alone."""
        x = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        y = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])
        weight, bias = torch.eye(2), torch.zeros(2)
        n_x, n_y = (F.normalize(AF.project(picture, weight, bias)) for picture in (x, y))
        norm = AF.project(x, weight, bias).norm(dim=1)
        first, second = AF.signed_maps(x, weight, bias, n_x - n_y, norm).flatten()
        assert first > 0 > second
