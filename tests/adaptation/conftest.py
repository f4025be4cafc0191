"""Small pair sets: drawings whose partner is the same figure in other colours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.adaptation import frozen_model
from avsl_core.data import read_pairs
from avsl_core.images import Preprocess


def draw_pairs(root: Path, count: int, *, seed: int = 0, side: int = 56) -> Path:
    """A grid of light and dark squares, on the left in one colour, on the right negative and in another."""
    rng = np.random.default_rng(seed)
    for folder in ("left", "right"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        figure = np.kron(rng.integers(0, 2, (4, 4)), np.ones((side // 4, side // 4)))[:, :, None]
        left = 40 + 180 * figure * np.array([1.0, 0.4, 0.3])
        right = 220 - 150 * figure * np.array([0.3, 0.8, 1.0])
        for folder, picture in (("left", left), ("right", right)):
            noisy = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory):
    return draw_pairs(tmp_path_factory.mktemp("pairs") / "grids", 24)


@pytest.fixture(scope="session")
def pair_set(pair_folder):
    return read_pairs(pair_folder)


@pytest.fixture(scope="session")
def frozen():
    """A tiny frozen network with random weights: all its stages."""
    torch.manual_seed(0)
    return frozen_model("mobilenetv3_small_050", weights="none")


@pytest.fixture(scope="session")
def small():
    return Preprocess(size=48, resize=48)
