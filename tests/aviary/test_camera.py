"""The camera: light, a blur of finite reach, noise, and the mask of what a change can reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avsl_core.aviary.camera import develop, develop_mask
from avsl_core.aviary.parameters import Scene
from avsl_core.errors import ImageError

Pixels = NDArray[np.uint8]


def picture(seed: int, side: int = 48) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_a_plain_scene_leaves_the_picture_alone() -> None:
    pixels = picture(0)
    assert np.array_equal(develop(pixels, Scene()), pixels)


def test_the_same_scene_gives_the_same_bytes_and_leaves_its_input_alone() -> None:
    pixels, scene = picture(1), Scene(seed=5, blur=0.006, noise=4, warmth=0.3)
    before = pixels.copy()
    assert np.array_equal(develop(pixels, scene), develop(pixels, scene))
    assert np.array_equal(pixels, before)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    blur=st.floats(0, 0.008),
    noise=st.floats(0, 8),
    warmth=st.floats(-1, 1),
    side=st.sampled_from([24, 48, 224]),
    count=st.integers(1, 12),
)
def test_a_change_reaches_no_further_than_its_developed_mask(
    seed: int, blur: float, noise: float, warmth: float, side: int, count: int
) -> None:
    scene = Scene(seed=seed, blur=blur, noise=noise, warmth=warmth)
    before = picture(seed, side)
    rng = np.random.default_rng(seed + 1)
    changed = np.zeros((side, side), dtype=np.uint8)
    changed[rng.integers(0, side, count), rng.integers(0, side, count)] = 255
    after = np.where(changed[..., None] > 0, 255 - before, before).astype(np.uint8)
    outside = develop_mask(changed, scene) == 0
    assert outside.any()
    assert np.array_equal(develop(before, scene)[outside], develop(after, scene)[outside])


@pytest.mark.parametrize("coverage", [1, 128, 255])
def test_the_faintest_coverage_is_not_rounded_away(coverage: int) -> None:
    mask = np.zeros((224, 224), dtype=np.uint8)
    mask[100, 100] = coverage
    developed = develop_mask(mask, Scene(blur=0.008))
    reached = np.flatnonzero(developed[100])
    assert 100 - reached.min() == reached.max() - 100 >= 4, "the kernel reaches equally far to both sides"
    assert developed[100, 100] >= 1


def test_full_coverage_stays_full_and_none_stays_none() -> None:
    scene = Scene(blur=0.008)
    assert (develop_mask(np.full((64, 64), 255, np.uint8), scene) == 255).all()
    assert (develop_mask(np.zeros((64, 64), np.uint8), scene) == 0).all()


def test_without_blur_the_mask_is_the_coverage() -> None:
    mask = picture(2)[..., 0]
    assert np.array_equal(develop_mask(mask, Scene(noise=8)), mask)


def test_blur_keeps_a_flat_picture_and_spreads_a_point_like_a_gaussian() -> None:
    flat = np.full((64, 64, 3), 137, np.uint8)
    assert np.array_equal(develop(flat, Scene(blur=0.008)), flat)
    point = np.zeros((500, 500, 3), np.uint8)
    point[240:260, 250] = 255
    profile = develop(point, Scene(blur=0.004))[250, :, 0].astype(float)
    positions = np.arange(500) - 250
    deviation = np.sqrt((profile * positions**2).sum() / profile.sum())
    assert deviation == pytest.approx(0.004 * 500, rel=0.06)


def test_noise_has_the_asked_strength_and_does_not_depend_on_the_picture() -> None:
    scene = Scene(seed=9, noise=5)
    dark, bright = np.full((128, 128, 3), 100, np.uint8), np.full((128, 128, 3), 150, np.uint8)
    first = develop(dark, scene).astype(int) - 100
    assert np.array_equal(first, develop(bright, scene).astype(int) - 150)
    assert first.std() == pytest.approx(5, rel=0.05)
    assert abs(first.mean()) < 0.1
    assert not np.array_equal(first, develop(dark, Scene(seed=10, noise=5)).astype(int) - 100)


def test_warm_light_reddens_and_cold_light_blues_a_grey() -> None:
    grey = np.full((8, 8, 3), 120, np.uint8)
    warm, cold = develop(grey, Scene(warmth=1))[0, 0], develop(grey, Scene(warmth=-1))[0, 0]
    assert warm[0] > 120 > warm[2]
    assert cold[2] > 120 > cold[0]


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)],
)
def test_develop_refuses_what_is_not_an_rgb_picture(pixels: Pixels) -> None:
    with pytest.raises(ImageError, match="uint8"):
        develop(pixels, Scene())


def test_pictures_and_masks_are_square() -> None:
    with pytest.raises(ImageError, match="square"):
        develop(np.zeros((8, 9, 3), np.uint8), Scene())
    with pytest.raises(ImageError, match="square"):
        develop_mask(np.zeros((8, 9), np.uint8), Scene())
    with pytest.raises(ImageError, match="coverage"):
        develop_mask(np.zeros((8, 8), np.int64), Scene())
