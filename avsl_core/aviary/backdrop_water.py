"""Water behind the bird: the far bank and its reflection, ripples, reeds, a stone to stand on."""

import numpy as np
import skia

from avsl_core.aviary.backdrop_noise import (
    Field,
    blend,
    grid,
    noise_tile,
    ramp,
    sample,
    smoothstep,
    soft_layer,
)
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    argb,
    fill,
    hsl,
    line,
    mix,
    shade,
    stem_path,
)
from avsl_core.aviary.backdrop_perch import paint_post, paint_stone
from avsl_core.aviary.backdrop_sky import sky_colors

_SIDE = 128


def paint_water(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """Water up to a far bank; the bird stands on a stone or a pile in it.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    shore = min(rng.uniform(-0.25, 0.42), foot[1] - 0.2)
    hue = float(rng.uniform(28, 50) if rng.random() < 0.2 else rng.uniform(60, 125))
    deep = hsl(rng.uniform(150, 215), rng.uniform(0.12, 0.42), rng.uniform(0.18, 0.44))
    with soft_layer(canvas, _SIDE, _water(rng, light, shore, hue, deep)) as layer:
        side = rng.choice((-1.0, 1.0))
        for _ in range(int(rng.integers(0, 28))):
            _reed(layer, rng, light, hue, side, shore)
        if rng.random() < 0.35:
            _lilies(layer, rng, light, hue, shore)
    if rng.random() < 0.2:
        paint_post(canvas, rng, light, foot)
    else:
        stone = paint_stone(canvas, rng, light, foot, sunk=rng.uniform(0.3, 0.5))
        _waterline(canvas, rng, light, deep, stone)


def _water(rng: np.random.Generator, light: Light, shore: float, hue: float, deep: RGB) -> Field:
    """[n, n, 3]: sky and bank above the shore line, their rippled reflection below."""
    tile = noise_tile(rng, slope=rng.uniform(1.35, 1.7))
    y, x = grid(_SIDE)
    depth = np.maximum(y - shore, 0.0) + 0.03
    # Ripples are seen in perspective: short and shallow far away, long and tall near by.
    rows, columns = 0.55 * np.log(depth) + rng.random(), (x - 0.5) * 0.10 / (depth + 0.1) + rng.random()
    ripple = sample(tile, rows * rng.uniform(1.2, 2.6), columns) - 0.5
    fine = sample(tile, rows * 5.0 + 0.3, columns * 2.5) - 0.5
    swell = (ripple + 0.5 * fine) * rng.uniform(0.3, 1.3)
    mirrored = np.where(y > shore, 2 * shore - y + swell * 0.5 * np.sqrt(depth), y)
    bank = shore - rng.uniform(0.04, 0.3) * (0.5 + 0.8 * sample(tile, np.full_like(x, 0.37), x * 0.7))
    sky = sky_colors(rng, light)
    field = ramp(sky, np.clip(1 + (mirrored - shore) * 0.9, 0, 1))
    leaves = sample(tile, mirrored * 0.8, np.broadcast_to(x * 0.8, mirrored.shape))
    trees = ramp(
        [hsl(hue + 12, 0.26, 0.18), hsl(hue, 0.3, 0.38), mix(hsl(hue - 8, 0.3, 0.5), light.color, 0.2)],
        leaves,
    )
    field = blend(field, mix(sky[-1], light.color, 0.2), smoothstep(-0.2, 0.0, mirrored - bank) * 0.4)
    field = blend(field, trees, smoothstep(-0.02, 0.02, mirrored - bank) * 0.88)
    below = (y > shore).astype(np.float32)
    field = blend(field, deep, below * np.clip(0.2 + 0.6 * (y - shore), 0, 0.75))
    aside = np.exp(-2.5 * (x - 0.5 - 0.5 * light.x) ** 2)
    glitter = smoothstep(0.12, 0.34, ripple + fine * 0.8) * below * (0.2 + 0.5 * light.strength) * aside
    field = blend(field, mix(sky[-1], light.color, 0.6), glitter.astype(np.float32))
    return blend(field, shade(deep, 0.5), (smoothstep(0.1, 0.4, -swell) * below * 0.5).astype(np.float32))


def _reed(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, hue: float, side: float, shore: float
) -> None:
    """A blade of reed at one side of the picture, its reflection below, now and then with a cob."""
    x = 0.5 + side * (0.52 - abs(rng.normal(0, 0.16)))
    base = rng.uniform(max(shore, 0) + 0.15, 1.05)
    tall, lean, bend = rng.uniform(0.25, 0.65), rng.normal(0, 0.07), rng.normal(0, 0.02)
    color = hsl(hue + rng.normal(-10, 8), rng.uniform(0.2, 0.42), rng.uniform(0.22, 0.48))
    color = mix(color, light.color, 0.15 * light.strength)
    wide = rng.uniform(0.008, 0.018)
    blade, points = stem_path((x, base), (x + lean, base - tall), bend, wide, 0.003)
    canvas.drawPath(blade, fill(color, 0.92))
    image, _ = stem_path((x, base), (x + lean * 0.6, base + tall * 0.5), -bend, wide, 0.004)
    canvas.drawPath(image, fill(shade(color, 0.6), 0.22))
    if rng.random() < 0.25:
        (x0, y0), (x1, y1) = points[-1], points[-3]
        canvas.drawLine(
            x0, y0, (x0 + x1) / 2, (y0 + y1) / 2, line(mix((0.32, 0.2, 0.12), light.color, 0.1), 0.024)
        )


def _lilies(canvas: skia.Canvas, rng: np.random.Generator, light: Light, hue: float, shore: float) -> None:
    """Floating leaves, flat in perspective, some in flower."""
    centre = rng.uniform(0, 1)
    for _ in range(int(rng.integers(5, 16))):
        y = rng.uniform(max(shore, 0) + 0.1, 1.0)
        x, half = centre + rng.normal(0, 0.25), 0.02 + 0.09 * max(y - shore, 0) * rng.uniform(0.5, 1)
        color = mix(hsl(hue + rng.normal(0, 6), 0.3, rng.uniform(0.26, 0.44)), light.color, 0.15)
        canvas.drawOval(
            skia.Rect(x - half, y + 0.006, x + half, y + half * 0.6), fill((0.05, 0.1, 0.1), 0.35)
        )
        canvas.drawOval(skia.Rect(x - half, y, x + half, y + half * 0.55), fill(color))
        if rng.random() < 0.25:
            flower = mix((0.96, 0.86, 0.9), light.color, 0.2)
            canvas.drawOval(
                skia.Rect(x - half * 0.3, y - half * 0.2, x + half * 0.3, y + half * 0.25), fill(flower)
            )


def _waterline(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, deep: RGB, stone: skia.Rect
) -> None:
    """Where the stone stands in the water: its dark image below, rings that run out from it."""
    middle, half, level = (stone.left() + stone.right()) / 2, stone.width() / 2, stone.bottom()
    dark = shade(mix(deep, (0.2, 0.2, 0.2), 0.4), 0.55)
    shader = skia.GradientShader.MakeRadial(
        skia.Point(0, 0), 1.0, [argb(dark, 0.8), argb(dark, 0.65), argb(dark, 0.0)], [0.0, 0.55, 1.0]
    )
    canvas.save()
    canvas.translate(middle, level + 0.01)
    canvas.scale(half * 1.25, 0.13)
    canvas.clipRect(skia.Rect(-1, -0.05, 1, 1))
    canvas.drawCircle(0, 0, 1, skia.Paint(AntiAlias=True, Shader=shader))
    canvas.restore()
    foam = mix((0.9, 0.95, 1.0), light.color, 0.4)
    for i in range(int(rng.integers(1, 5))):
        wide = half * (1.03 + 0.2 * i)
        ring = skia.Rect(middle - wide, level - wide * 0.1 - 0.02, middle + wide, level + 0.012 + wide * 0.1)
        start, sweep = rng.uniform(0, 30) + 8 * i, rng.uniform(110, 150)
        canvas.drawArc(ring, start, sweep, False, line(foam, 0.0045, 0.6 - 0.12 * i))
