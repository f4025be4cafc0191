"""Two pictures that differ in one known square, and a small model to explain them."""

import pytest
import torch


@pytest.fixture(scope="session")
def pair():
    """Two normalised pictures, [1, 3, 64, 64], equal but for the square rows 16:32, columns 32:48."""
    generator = torch.Generator().manual_seed(3)
    a = torch.randn(1, 3, 64, 64, generator=generator)
    b = a.clone()
    b[:, :, 16:32, 32:48] = 3.0 * torch.randn(1, 3, 16, 16, generator=generator)
    return a, b


@pytest.fixture(scope="session")
def square():
    """Where the pair differs."""
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[16:32, 32:48] = True
    return mask.numpy()
