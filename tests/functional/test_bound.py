"""The bound of the design: below the distance for every pair, equal to it where certainties are known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core import functional as AF


def draw(seed, dtype=torch.float64, *, nodes=7, spread=1.0):
    g = torch.Generator().manual_seed(seed)
    n = lambda *shape: torch.randn(*shape, generator=g, dtype=dtype)  # noqa: E731
    linkages = [AF.normalize_linkage(n(nodes, nodes), 4) for _ in range(2)]
    certainties = [torch.rand(30, nodes, generator=g, dtype=dtype) for _ in range(2)]
    alphas, betas = [spread * n(nodes) for _ in range(2)], [n(nodes) for _ in range(2)]
    embeddings = [torch.nn.functional.normalize(n(30, nodes), dim=1) for _ in range(3)]
    return embeddings, certainties, alphas, betas, linkages


@given(seed=st.integers(0, 10**6), spread=st.sampled_from([0.0, 1.0, 100.0]))
@settings(max_examples=80, deadline=None)
def test_no_pair_is_closer_than_its_bound(seed, spread):
    n, s, alphas, betas, linkages = draw(seed, spread=spread)
    distances = AF.pairwise_avsl_distance(
        [e[:5, None] for e in n],
        [s[0][:5, None], *(c[:5, None] for c in s)],
        [e[None] for e in n],
        [s[0][None], *(c[None] for c in s)],
        linkages,
        [alphas[0], *alphas],
        [betas[0], *betas],
    )
    limits = [
        AF.gate_range(c[:5], c.amin(dim=0), c.amax(dim=0), a, b)
        for c, a, b in zip(s, alphas, betas, strict=True)
    ]
    weights = AF.lower_bound_weights([low for low, _ in limits], [high for _, high in limits], linkages)
    bound = sum(AF.weighted_squared_distance(e[:5], e, w) for e, w in zip(n, weights, strict=True))
    assert (bound <= distances + 1e-12).all()


def test_known_certainties_leave_nothing_open():
    _, s, alphas, betas, linkages = draw(1)
    gates = [AF.gate(c, c[3], a, b) for c, a, b in zip(s, alphas, betas, strict=True)]
    limits = [AF.gate_range(c, c[3], c[3], a, b) for c, a, b in zip(s, alphas, betas, strict=True)]
    bounds = AF.lower_bound_weights([low for low, _ in limits], [high for _, high in limits], linkages)
    for bound, weight in zip(bounds, AF.top_down_weights(gates, linkages), strict=True):
        torch.testing.assert_close(bound, weight)


def test_the_range_holds_for_either_sign_of_alpha(dtype, device):
    s = torch.rand(20, 4, dtype=dtype, device=device)
    alpha = torch.tensor([-3.0, -0.1, 0.2, 5.0], dtype=dtype, device=device)
    beta = torch.zeros(4, dtype=dtype, device=device)
    low, high = AF.gate_range(s[:1], s.amin(dim=0), s.amax(dim=0), alpha, beta)
    P = AF.gate(s[:1], s, alpha, beta)
    assert low.dtype == dtype and low.device.type == device.type
    # The sigmoid of a batch and of a single row may round apart by a unit in the last place.
    ulp = torch.finfo(dtype).eps
    assert (low <= P + ulp).all() and (high >= P - ulp).all()
    torch.testing.assert_close(low[0], P.amin(dim=0))
    torch.testing.assert_close(high[0], P.amax(dim=0))


@pytest.mark.parametrize(("least", "greatest", "linkages"), [(0, 0, 0), (1, 2, 1), (2, 2, 1)])
def test_levels_must_agree(least, greatest, linkages):
    one, W = torch.ones(2), torch.eye(2)
    with pytest.raises(ValueError, match="two limits and one linkage"):
        AF.lower_bound_weights([one] * least, [one] * greatest, [W] * linkages)


def test_weights_can_be_differentiated():
    P = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    W = torch.rand(3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: AF.lower_bound_weights([p], [p], [W])[0], (P,))
