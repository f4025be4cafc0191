"""What stands in front of the bird: as much of it as the scene asks, and plain src-over painting."""

import numpy as np
import pytest
import skia
from numpy.typing import NDArray

from avsl_core.aviary.occluder import paint_occluder
from avsl_core.aviary.parameters import OCCLUDERS, Scene
from avsl_core.errors import ConfigError

Box = tuple[float, float, float, float]
BOX: Box = (70.0, 40.0, 170.0, 190.0)
GROWN = [name for name in OCCLUDERS if name != "none"]


def painted(scene: Scene, size: int = 224, box: Box = BOX, ground: int = 0) -> NDArray[np.uint8]:
    """[size, size, 4], RGBA, painted over a colour (transparent by itself)."""
    surface = skia.Surface(size, size)
    canvas = surface.getCanvas()
    canvas.clear(ground)
    paint_occluder(canvas, scene, size, box)
    pixels: NDArray[np.uint8] = surface.makeImageSnapshot().toarray(
        colorType=skia.ColorType.kRGBA_8888_ColorType
    )
    return pixels


def hidden(pixels: NDArray[np.uint8], box: Box) -> float:
    left, top, right, bottom = (round(edge) for edge in box)
    return float(pixels[top:bottom, left:right, 3].mean()) / 255


@pytest.mark.parametrize("cover", [0.0, 0.2])
def test_none_draws_nothing(cover: float) -> None:
    assert not painted(Scene(occluder="none", cover=cover)).any()


@pytest.mark.parametrize("occluder", GROWN)
def test_no_cover_draws_nothing(occluder: str) -> None:
    assert not painted(Scene(occluder=occluder, cover=0.0)).any()


@pytest.mark.parametrize("occluder", GROWN)
@pytest.mark.parametrize("cover", [0.06, 0.15, 0.25, 0.35])
def test_it_hides_about_the_wanted_share_of_the_box(occluder: str, cover: float) -> None:
    scenes = [Scene(seed=seed, occluder=occluder, cover=cover) for seed in range(12)]
    shares = [hidden(painted(scene), BOX) for scene in scenes]
    assert np.mean(shares) == pytest.approx(cover, abs=0.03)
    assert max(abs(share - cover) for share in shares) < 0.12


@pytest.mark.parametrize("occluder", GROWN)
@pytest.mark.parametrize(
    "box", [(5.0, 5.0, 60.0, 90.0), (150.0, 90.0, 220.0, 222.0), (-20.0, 60.0, 90.0, 240.0)]
)
def test_it_finds_the_bird_anywhere(occluder: str, box: Box) -> None:
    inside = (max(box[0], 0), max(box[1], 0), min(box[2], 224), min(box[3], 224))
    shares = [hidden(painted(Scene(seed=s, occluder=occluder, cover=0.2), box=box), inside) for s in range(5)]
    assert 0.05 < np.mean(shares) < 0.35


@pytest.mark.parametrize("occluder", GROWN)
def test_the_same_scene_gives_the_same_bytes_and_another_seed_another_picture(occluder: str) -> None:
    scene = Scene(seed=3, occluder=occluder)
    assert np.array_equal(painted(scene), painted(scene))
    assert not np.array_equal(painted(scene), painted(Scene(seed=4, occluder=occluder)))


@pytest.mark.parametrize("occluder", GROWN)
def test_the_layout_scales_with_the_size(occluder: str) -> None:
    scene = Scene(seed=6, occluder=occluder, cover=0.2)
    large = painted(scene, 448, tuple(2 * edge for edge in BOX)).astype(float)  # type: ignore[arg-type]
    halved = large.reshape(224, 2, 224, 2, 4).mean(axis=(1, 3))
    assert np.abs(painted(scene).astype(float) - halved).mean() < 2


@pytest.mark.parametrize("occluder", GROWN)
def test_its_alpha_tells_where_it_covers_a_picture(occluder: str) -> None:
    scene = Scene(seed=2, occluder=occluder, cover=0.2)
    alpha = painted(scene)[..., 3]
    on_white, on_black = (painted(scene, ground=ground)[..., :3] for ground in (0xFFFFFFFF, 0xFF000000))
    assert (on_white[alpha == 0] == 255).all()
    assert (on_black[alpha == 0] == 0).all()
    assert np.array_equal(on_white[alpha == 255], on_black[alpha == 255])
    assert (alpha == 255).mean() > 0.02


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ConfigError, match="empty"):
        painted(Scene(occluder="leaves"), box=(50.0, 50.0, 50.0, 90.0))
