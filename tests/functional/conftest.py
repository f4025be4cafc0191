"""Random problems of the shapes that AVSL meets, as small as they can be."""

from itertools import pairwise

import pytest
import torch


class Problem:
    """Two sets of pictures on several levels, with the parameters that compare them."""

    def __init__(self, seed, *, rows=3, columns=4, nodes=(5, 6, 7), dtype=torch.float64, device="cpu"):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)

        self.e_a = [normal(rows, r) for r in nodes]
        self.e_b = [normal(columns, r) for r in nodes]
        self.s_a = [normal(rows, r).abs().clamp_max(1) for r in nodes]
        self.s_b = [normal(columns, r).abs().clamp_max(1) for r in nodes]
        self.linkages = [normal(low, high) for low, high in pairwise(nodes)]
        self.alphas = [1 + normal(r) for r in nodes]
        self.betas = [0.2 * normal(r) for r in nodes]

    @property
    def parameters(self):
        return self.linkages, self.alphas, self.betas


@pytest.fixture(scope="session")
def problem():
    """problem(seed, **shape) -> Problem."""
    return Problem
