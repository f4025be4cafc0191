"""The background of a picture: sky, foliage, water, a branch in a wood, or a meadow.

Far things are painted softly, at a low resolution, and scaled up (depth of field); what the bird stands on
is in focus. All details come from the scene's seed.
"""

import numpy as np
import skia

from avsl_core.aviary.backdrop_foliage import paint_foliage
from avsl_core.aviary.backdrop_meadow import paint_meadow
from avsl_core.aviary.backdrop_paint import light_of
from avsl_core.aviary.backdrop_sky import paint_sky
from avsl_core.aviary.backdrop_water import paint_water
from avsl_core.aviary.backdrop_wood import paint_wood
from avsl_core.aviary.parameters import Scene

__all__ = ["paint_backdrop"]

_STREAM = 1


def paint_backdrop(canvas: skia.Canvas, scene: Scene, size: int, footing: tuple[float, float]) -> None:
    """Fills the canvas with what is behind and below the bird.

    Args:
        canvas: To paint on, [size, size] pixels; every pixel becomes opaque.
        scene: Gives the kind of background, the light and the seed of the details.
        size: Side of the picture in pixels.
        footing: Where the bird's feet stand, in pixels from the left and from the top: what it stands on
            passes exactly there.
    """
    painters = {
        "sky": paint_sky,
        "foliage": paint_foliage,
        "water": paint_water,
        "branch": paint_wood,
        "meadow": paint_meadow,
    }
    rng = np.random.default_rng([scene.seed, _STREAM])
    canvas.save()
    canvas.scale(size, size)
    painters[scene.background](canvas, rng, light_of(scene), (footing[0] / size, footing[1] / size))
    canvas.restore()
