"""The background: opaque, varied, the same at every size, and firm ground under the bird's feet."""

import itertools

import numpy as np
import pytest
import skia
from numpy.typing import NDArray

from avsl_core.aviary.backdrop import paint_backdrop
from avsl_core.aviary.parameters import BACKGROUNDS, Scene

Pixels = NDArray[np.uint8]


def painted(scene: Scene, size: int = 96, footing: tuple[float, float] = (0.5, 0.8)) -> Pixels:
    """[size, size, 4], RGBA; the footing in shares of the side."""
    surface = skia.Surface(size, size)
    canvas = surface.getCanvas()
    canvas.clear(skia.ColorTRANSPARENT)
    paint_backdrop(canvas, scene, size, (footing[0] * size, footing[1] * size))
    pixels: Pixels = surface.makeImageSnapshot().toarray(colorType=skia.ColorType.kRGBA_8888_ColorType)
    return pixels


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("seed", range(8))
def test_every_pixel_is_opaque(background: str, seed: int) -> None:
    footing = (0.2 + 0.1 * (seed % 7), 0.35 + 0.1 * seed)
    assert (painted(Scene(seed=seed, background=background), footing=footing)[..., 3] == 255).all()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_same_scene_gives_the_same_bytes(background: str) -> None:
    scene = Scene(seed=3, background=background, warmth=0.4)
    assert np.array_equal(painted(scene), painted(scene))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_seeds_give_clearly_different_pictures(background: str) -> None:
    pictures = [painted(Scene(seed=seed, background=background))[..., :3].astype(int) for seed in range(6)]
    gaps = [np.abs(a - b).mean() for a, b in itertools.combinations(pictures, 2)]
    assert min(gaps) > 8


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_picture_is_the_same_at_every_size(background: str) -> None:
    scene = Scene(seed=4, background=background)
    small = painted(scene, 96)[..., :3].astype(float)
    large = painted(scene, 192)[..., :3].astype(float)
    halved = large.reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - halved).mean() < 5


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("seed", range(6))
def test_what_the_bird_stands_on_begins_at_the_footing(background: str, seed: int) -> None:
    # With the footing moved far down, what is seen here is the distance; the difference is the perch.
    scene = Scene(seed=seed, background=background, light=0.5)
    size, (x, y) = 224, (0.45, 0.7)
    low, high = painted(scene, size, (x, 1.9)), painted(scene, size, (x, y))
    gap = np.abs(low[..., :3].astype(int) - high[..., :3].astype(int)).max(axis=-1)
    column, row = round(x * size), round(y * size)
    below = gap[row + 2 : row + 9, column - 1 : column + 2]
    assert (below > 6).mean() > 0.6, "the perch lies right below the feet"
    if background in ("sky", "foliage", "branch"):
        above = gap[row - 12 : row - 3, column]
        assert (above <= 6).all(), "nothing of the perch rises above them"


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_colour_of_the_light_is_seen(background: str) -> None:
    def redness(warmth: float) -> float:
        pictures = [painted(Scene(seed=s, background=background, warmth=warmth, light=0.8)) for s in range(4)]
        colors = np.stack(pictures)[..., :3].mean(axis=(0, 1, 2))
        return float(colors[0] - colors[2])

    assert redness(0.9) > redness(-0.9) + 3


def test_the_light_comes_from_where_the_scene_says() -> None:
    def tilt(light_from: float) -> float:
        scenes = [Scene(seed=seed, background="foliage", light=1, light_from=light_from) for seed in range(4)]
        brightness = np.stack([painted(scene, footing=(0.5, 1.5)) for scene in scenes])[..., :3].mean(
            axis=(0, 3)
        )
        return float(brightness[:, 48:].mean() - brightness[:, :48].mean())

    assert tilt(0) > 5
    assert tilt(180) < -5


def test_the_canvas_is_left_as_it_was_found() -> None:
    canvas = skia.Surface(64, 64).getCanvas()
    paint_backdrop(canvas, Scene(), 64, (32.0, 50.0))
    assert canvas.getTotalMatrix().isIdentity()
    assert canvas.getSaveCount() == 1
