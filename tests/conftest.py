"""Fixtures that every folder shares: devices, number types, the published values and small real models."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avsl_core.models import AvslConfig, AvslModel, BackboneConfig, EmbeddingConfig, EmbeddingModel

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TINY_TRUNK = "mobilenetv3_small_050"


@pytest.fixture(params=DEVICES)
def device(request):
    """Every device that this machine has."""
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(scope="session")
def published():
    """Inputs and outputs of the published implementation: published("embedding_0") -> tensor."""
    with np.load(Path(__file__).parent / "functional" / "published_values.npz", allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files if name.startswith("avsl/")}
    return lambda name: arrays[f"avsl/{name}"].clone()


@pytest.fixture(scope="session")
def new_avsl():
    """new_avsl(seed, **options): a tiny model in evaluation mode, its linkages and gates as if trained."""
    return build_avsl


@pytest.fixture(scope="session")
def new_embedding():
    """new_embedding(seed, **options): a tiny plain embedding in evaluation mode."""
    return build_embedding


@pytest.fixture(scope="session")
def avsl():
    """One tiny AVSL model for all tests that only read it."""
    return build_avsl()


@pytest.fixture(scope="session")
def embedding():
    """One tiny embedding of three levels for all tests that only read it."""
    return build_embedding()


@pytest.fixture(scope="session")
def pictures():
    """Normalised pictures without any likeness, [6, 3, 64, 64]."""
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def build_avsl(seed=0, *, trained=True, trunk=TINY_TRUNK, levels=(2, 3, 4), **options):
    config = AvslConfig(BackboneConfig(trunk, levels), **{"nodes": 12, "top_k": 4} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AvslModel(config).eval().requires_grad_(False)
        if trained:
            shape = (config.nodes, config.nodes)
            model.update_linkage([torch.rand(shape) - 0.3 for _ in range(model.levels - 1)])
            for bias in model.biases:
                bias.copy_(0.1 * torch.randn_like(bias))
            for alpha, beta in zip(model.alphas, model.betas, strict=True):
                alpha.copy_(1 + torch.randn_like(alpha))
                beta.copy_(0.2 * torch.randn_like(beta))
    return model


def build_embedding(seed=0, *, trunk=TINY_TRUNK, levels=(2, 3, 4), **options):
    config = EmbeddingConfig(BackboneConfig(trunk, levels), **{"nodes": 12} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EmbeddingModel(config).eval().requires_grad_(False)
        for bias in model.biases:
            bias.copy_(0.1 * torch.randn_like(bias))
    return model
