"""Fixtures that every folder shares: devices, number types, the published values and small real models."""

import logging
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from avsl_core.models import (
    AdaptationConfig,
    AdaptationModel,
    AvslConfig,
    AvslModel,
    BackboneConfig,
    CgdConfig,
    CgdModel,
    EmbeddingConfig,
    EmbeddingModel,
    RamlConfig,
    RamlModel,
)

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    # Threads that wait for each other's cores take longer than fewer would; processes of tests inherit it.
    threads = os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    torch.set_num_threads(int(threads))

# The same examples in every run, and however slow the machine is: a run that fails can be run again.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TINY_TRUNK = "mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def known_random_numbers():
    """What a test draws without a seed of its own does not hang on the tests that ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    """Undo what a test does to the levels of the loggers, as ``--quiet`` does: nothing may hang on order."""
    loggers = [logging.getLogger(name) for name in ("avsl_core", "avsl_core.tune", "app")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(params=DEVICES)
def device(request):
    """Every device that this machine has."""
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(scope="session")
def published():
    """Inputs and outputs of the published code: published("embedding_0") of AVSL, published("cgd/map")."""
    with np.load(Path(__file__).parent / "functional" / "published_values.npz", allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    return lambda name: arrays[name if "/" in name else f"avsl/{name}"].clone()


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
def new_cgd():
    """new_cgd(seed, **options): a tiny CGD model in evaluation mode, its last stage without down-sampling."""
    return build_cgd


@pytest.fixture(scope="session")
def cgd():
    """One tiny CGD model for all tests that only read it."""
    return build_cgd()


@pytest.fixture(scope="session")
def new_adaptation():
    """new_adaptation(seed, **options): a tiny adaptation in evaluation mode, its PCA (if any) fitted."""
    return build_adaptation


@pytest.fixture(scope="session")
def adaptation():
    """One tiny adaptation for all tests that only read it."""
    return build_adaptation()


@pytest.fixture(scope="session")
def new_raml():
    """new_raml(seed, student=level, **options): a tiny RAML model in evaluation mode, as if trained."""
    return build_raml


@pytest.fixture(scope="session")
def raml():
    """One tiny RAML model, teacher at 64 pixels and student at 32, for all tests that only read it."""
    return build_raml()


@pytest.fixture(scope="session")
def raml_student(raml):
    """The same model when its student looks at both sides."""
    return raml.with_sides("student")


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


def build_cgd(seed=0, *, trunk=TINY_TRUNK, levels=(4,), undownsampled=True, **options):
    config = CgdConfig(BackboneConfig(trunk, levels, undownsampled), **{"nodes": 12} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CgdModel(config).eval().requires_grad_(False)


def build_adaptation(seed=0, *, trunk=TINY_TRUNK, levels=(1, 2, 4), **options):
    config = AdaptationConfig(BackboneConfig(trunk, levels), **{"width": 16} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AdaptationModel(config).eval().requires_grad_(False)
        if config.pca:
            # As features are: every level of length 1, and not far from one another.
            maps = [torch.rand(40, channels, 2, 2) for channels in model.trunk.channels]
            model.head.fit_pca(model.features(maps))
        if config.kind == "peterson":
            model.head.weight.add_(torch.randn_like(model.head.weight))
    return model


def build_raml(seed=0, *, trunk=TINY_TRUNK, levels=(4,), student=None, **options):
    student = None if student is None else BackboneConfig(trunk, student)
    options = {"nodes": 12, "student_size": 32} | options
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RamlModel(RamlConfig(BackboneConfig(trunk, levels), student, **options))
        model = model.eval().requires_grad_(False)
        for bias in model.biases:
            bias.copy_(0.1 * torch.randn_like(bias))
        for exponent in model.exponents:
            exponent.add_(0.5 * torch.randn_like(exponent))
    return model
