"""Small real runs: a few classes of tiny drawn pictures and the smallest trunks there are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.data import PictureSet, read_folder
from avsl_core.images import Augmentation, Preprocess
from avsl_core.training import Process, TrainConfig

TINY = TrainConfig(
    backbone="mobilenetv3_small_050",
    levels=(1, 2, 4),
    weights="none",
    nodes=8,
    top_k=4,
    epochs=3,
    stages="none",
    schedule="cosine",
    lr_heads=1e-2,
    lr_gates=0.05,
    lr_proxies=1e-2,
    lr_trunk=1e-3,
    batch_size=8,
    workers=0,
    cached=True,
    views=2,
    preprocess=Preprocess(size=48, resize=48),
    augmentation=Augmentation(scale=(0.6, 1.0)),
)


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    return TINY


@pytest.fixture
def uncached() -> TrainConfig:
    return replace(TINY, cached=False, stages="all")


@pytest.fixture
def alone() -> Process:
    return Process(rank=0, count=1, device=torch.device("cpu"))


def draw_classes(root: Path, classes: int, per_class: int, *, first: int = 0) -> Path:
    """Pictures whose class is a colour and a stripe width: learnable in a few steps."""
    rng = np.random.default_rng(first)
    for label in range(first, first + classes):
        folder = root / f"class{label:02d}"
        folder.mkdir(parents=True)
        colour = np.array([(label * 53) % 256, (label * 101) % 256, (label * 197) % 256])
        stripes = (np.arange(56) // (2 + label % 5)) % 2
        for number in range(per_class):
            picture = np.where(stripes[:, None, None] == 1, colour, 255 - colour) * np.ones((56, 56, 3))
            picture = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def train_pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    return read_folder(draw_classes(tmp_path_factory.mktemp("train"), 4, 6))


@pytest.fixture(scope="session")
def validation_pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    return read_folder(draw_classes(tmp_path_factory.mktemp("val"), 3, 4, first=20))
