"""Scenes drawn at random: everything about a picture that is not the bird."""

import numpy as np

from avsl_core.aviary.parameters import BACKGROUNDS, OCCLUDERS, Scene

__all__ = ["calm_scene", "sample_scene"]

_OCCLUDED = 0.25
_BLURRED = 0.4
_NOISY = 0.6


def sample_scene(generator: np.random.Generator) -> Scene:
    """A varied scene in which the bird can be told: whole, of a usable size, hidden in part now and then.

    A quarter of the scenes has an occluder, two fifths a mild blur, three fifths mild noise.

    Args:
        generator: Source of all choices; two in the same state give the same scene.
    """
    size = _between(generator, 0.55, 0.88)
    # The larger the bird, the less it can leave the middle without leaving the picture.
    room = 0.01 + 0.2 * (0.88 - size)
    occluded = generator.random() < _OCCLUDED
    occluder = OCCLUDERS[int(generator.integers(1, len(OCCLUDERS)))]
    cover = _between(generator, 0.08, 0.3)
    blur = _between(generator, 0.001, 0.005) if generator.random() < _BLURRED else 0.0
    noise = _between(generator, 1.0, 5.0) if generator.random() < _NOISY else 0.0
    return Scene(
        seed=int(generator.integers(2**31)),
        facing="left" if generator.random() < 0.5 else "right",
        size=size,
        x=0.5 + _between(generator, -room, room),
        y=0.52 + _between(generator, -room, room),
        tilt=_between(generator, -10.0, 14.0),
        nod=_between(generator, -14.0, 18.0),
        tail_lift=_between(generator, -12.0, 18.0),
        # Most birds at rest keep their wings folded.
        wing_lift=_between(generator, 0.15, 0.8) if generator.random() < 0.35 else 0.0,
        light_from=_between(generator, 30.0, 150.0),
        light=_between(generator, 0.2, 0.9),
        warmth=_between(generator, -0.7, 0.7),
        background=BACKGROUNDS[int(generator.integers(len(BACKGROUNDS)))],
        occluder=occluder if occluded else "none",
        cover=cover,
        blur=blur,
        noise=noise,
    )


def calm_scene(generator: np.random.Generator) -> Scene:
    """A quiet scene to show a bird in: large, in the middle, in soft light, with nothing before it.

    Args:
        generator: Source of all choices; two in the same state give the same scene.
    """
    return Scene(
        seed=int(generator.integers(2**31)),
        facing="left" if generator.random() < 0.5 else "right",
        size=_between(generator, 0.7, 0.8),
        x=0.5 + _between(generator, -0.02, 0.02),
        y=0.52 + _between(generator, -0.02, 0.02),
        tilt=_between(generator, -4.0, 4.0),
        nod=_between(generator, -4.0, 6.0),
        tail_lift=_between(generator, -4.0, 6.0),
        light_from=_between(generator, 60.0, 120.0),
        light=_between(generator, 0.4, 0.6),
        warmth=_between(generator, -0.2, 0.3),
        background=BACKGROUNDS[int(generator.integers(len(BACKGROUNDS)))],
    )


def _between(generator: np.random.Generator, low: float, high: float) -> float:
    return float(generator.uniform(low, high))
