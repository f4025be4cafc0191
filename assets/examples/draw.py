"""Draws the example pictures: python assets/examples/draw.py (same files on every run).

Shapes are smooth closed curves, shaded as if lit from the upper left, drawn at four times the size and
scaled down.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE, ZOOM = 448, 4
FULL = SIDE * ZOOM

Point = tuple[float, float]
Color = tuple[int, int, int]
Mask = Image.Image


def main() -> None:
    """Draw all pictures beside this script."""
    folder = Path(__file__).resolve().parent
    scenes = {
        "apple-red": apple((186, 38, 40), (226, 152, 84), tilt=0),
        "apple-green": apple((126, 164, 56), (206, 202, 98), tilt=-13),
        "orange": orange(),
        "shirt-plain": shirt(stripes=False),
        "shirt-striped": shirt(stripes=True),
    }  # fmt: skip
    for name, picture in scenes.items():
        picture.save(folder / f"{name}.webp", quality=88, method=6)


def apple(skin: Color, blush: Color, *, tilt: float) -> Image.Image:
    """An apple on a table."""
    scene = table((232, 226, 216), (206, 196, 182))
    figure = Image.new("RGBA", (FULL, FULL))
    outline = curve(
        [
            (224, 130),
            (264, 112),
            (316, 122),
            (350, 172),
            (348, 236),
            (318, 304),
            (274, 344),
            (240, 338),
            (224, 334),
            (206, 338),
            (172, 344),
            (130, 304),
            (100, 236),
            (98, 172),
            (132, 122),
            (184, 112),
        ]
    )
    paint(figure, outline, skin, depth=52)
    tint(
        figure,
        curve([(110, 190), (150, 128), (206, 140), (200, 220), (168, 300), (124, 262)]),
        outline,
        blush,
        soft=30,
        strength=0.75,
    )
    rng = np.random.default_rng(5)
    for x in rng.uniform(115, 335, 70):
        y = rng.uniform(150, 320)
        streak(figure, [(x, y), (x + (x - 224) * 0.03, y + 9), (x, y + 18)], blush, 1.6, 60, within=outline)
    shade(figure, outline, 46)
    dimple = curve([(184, 136), (224, 126), (264, 136), (242, 152), (224, 156), (206, 152)])
    tint(figure, dimple, outline, (84, 52, 32), soft=8, strength=0.7)
    streak(figure, [(224, 146), (228, 108), (246, 78)], (96, 68, 44), 8, 255)
    leaf = curve([(232, 112), (262, 84), (306, 76), (330, 84), (304, 110), (262, 122)])
    paint(figure, leaf, (92, 138, 62), depth=12)
    streak(figure, [(236, 112), (276, 98), (322, 86)], (150, 184, 112), 2.2, 200)
    gloss(figure, (158, 186), 30, 52)
    figure = (
        figure.rotate(tilt, Image.Resampling.BICUBIC, center=(224 * ZOOM, 240 * ZOOM)) if tilt else figure
    )
    return on_table(scene, figure, (224, 344), 126)


def orange() -> Image.Image:
    """An orange on the same table."""
    scene = table((232, 226, 216), (206, 196, 182))
    figure = Image.new("RGBA", (FULL, FULL))
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = curve([(224 + 122 * np.cos(a), 228 + 116 * np.sin(a)) for a in angle])
    paint(figure, outline, (236, 132, 28), depth=52)
    rng = np.random.default_rng(9)
    pores = Image.new("L", (FULL, FULL))
    pen = ImageDraw.Draw(pores)
    for _ in range(1500):
        radius, turn = 120 * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        x, y, size = 224 + radius * np.cos(turn), 228 + radius * np.sin(turn), rng.uniform(0.8, 1.7)
        pen.ellipse([(x - size) * ZOOM, (y - size) * ZOOM, (x + size) * ZOOM, (y + size) * ZOOM], fill=70)
    tint(figure, pores, outline, (176, 84, 8), soft=0.6)
    shade(figure, outline, 46)
    star = curve(
        [(224, 118), (232, 126), (246, 128), (234, 136), (230, 148), (222, 138), (208, 138), (216, 128)], 0.7
    )
    paint(figure, star, (112, 128, 62), depth=5)
    gloss(figure, (170, 172), 30, 40)
    return on_table(scene, figure, (224, 342), 124)


def shirt(*, stripes: bool) -> Image.Image:
    """A T-shirt laid on a plain ground."""
    scene = backdrop((234, 230, 224), (214, 208, 200), seed=0, spots=0)
    figure = Image.new("RGBA", (FULL, FULL))
    blue, white = (66, 104, 150), (238, 238, 232)
    outline = curve(
        [
            (170, 84),
            (200, 100),
            (224, 104),
            (248, 100),
            (278, 84),
            (318, 100),
            (346, 126),
            (386, 196),
            (382, 206),
            (334, 226),
            (322, 220),
            (312, 196),
            (312, 290),
            (316, 372),
            (308, 380),
            (224, 386),
            (140, 380),
            (132, 372),
            (136, 290),
            (136, 196),
            (126, 220),
            (114, 226),
            (66, 206),
            (62, 196),
            (102, 126),
            (130, 100),
        ],
        0.6,
    )
    paint(figure, outline, blue, depth=14)
    if stripes:
        for y in range(140, 380, 32):
            band = curve([(50, y), (224, y + 7), (400, y), (400, y + 13), (224, y + 20), (50, y + 13)], 0.5)
            tint(figure, band, outline, white, soft=0.6)
    for fold in (
        [(140, 196), (158, 240), (150, 330)],
        [(308, 196), (292, 250), (300, 340)],
        [(200, 150), (216, 230), (206, 350)],
        [(262, 180), (250, 260), (258, 360)],
    ):
        streak(figure, fold, (20, 36, 60), 16, 46, within=outline, soft=8)
        streak(figure, [(x + 13, y) for x, y in fold], (255, 255, 255), 12, 40, within=outline, soft=8)
    for seam in ([(136, 198), (128, 158), (136, 110)], [(312, 198), (320, 158), (312, 110)]):
        streak(figure, seam, (30, 52, 84), 2, 170, within=outline)
    shade(figure, outline, 16)
    neck = curve(
        [(172, 86), (200, 96), (224, 98), (248, 96), (276, 86), (262, 118), (224, 134), (186, 118)], 0.8
    )
    paint(figure, neck, (46, 74, 110), depth=6)
    hollow = curve(
        [(184, 90), (204, 98), (224, 100), (244, 98), (264, 90), (252, 112), (224, 124), (196, 112)], 0.8
    )
    paint(figure, hollow, (34, 54, 82), depth=8)
    cast(scene, figure.getchannel("A"), (7, 10), 10, 80)
    scene.alpha_composite(figure)
    return finish(scene)


# Curves and paint


def curve(points: Sequence[Point], tension: float = 1.0) -> Mask:
    """A closed smooth curve through the points (Catmull-Rom), filled."""
    mask = Image.new("L", (FULL, FULL))
    ring = np.array(points, dtype=float)
    before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
    beyond = np.roll(ring, -2, axis=0)
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    path = []
    for p0, p1, p2, p3 in zip(before, ring, after, beyond, strict=True):
        m1, m2 = (p2 - p0) * tension / 2, (p3 - p1) * tension / 2
        path.append(
            (2 * t**3 - 3 * t**2 + 1) * p1
            + (t**3 - 2 * t**2 + t) * m1
            + (3 * t**2 - 2 * t**3) * p2
            + (t**3 - t**2) * m2
        )
    ImageDraw.Draw(mask).polygon([tuple(p) for p in np.concatenate(path) * ZOOM], fill=255)
    return mask


def paint(figure: Image.Image, mask: Mask, color: Color, depth: float) -> None:
    """Fill with a colour, round: lighter towards the light, darker away from it."""
    lay(figure, color, mask)
    shade(figure, mask, depth)


def shade(figure: Image.Image, mask: Mask, depth: float) -> None:
    """Light from the upper left, shadow at the lower right, within a mask."""
    reach = int(depth * ZOOM * 0.5)
    inside = as_float(mask)
    blurred = mask.filter(ImageFilter.GaussianBlur(depth * ZOOM * 0.55))
    lit = np.roll(as_float(blurred), (reach, reach), axis=(0, 1))
    dim = np.roll(as_float(blurred), (-reach, -reach), axis=(0, 1))
    lay(figure, (18, 14, 24), as_mask(inside * np.clip(1 - dim, 0, 1) * 0.55))
    lay(figure, (255, 250, 236), as_mask(inside * np.clip(1 - lit, 0, 1) * 0.42))


def tint(
    figure: Image.Image, patch: Mask, within: Mask, color: Color, *, soft: float, strength: float = 1.0
) -> None:
    """Colour a patch with soft edges, inside a mask."""
    edge = as_float(patch.filter(ImageFilter.GaussianBlur(soft * ZOOM)))
    lay(figure, color, as_mask(edge * as_float(within) * strength))


def streak(
    figure: Image.Image, points: Sequence[Point], color: Color, width: float, opacity: int, *,
    within: Mask | None = None, soft: float = 0.4,
) -> None:  # fmt: skip
    """A brush stroke through three points, thinner at its end."""
    (x0, y0), (x1, y1), (x2, y2) = points
    mask = Image.new("L", (FULL, FULL))
    pen = ImageDraw.Draw(mask)
    control = (2 * x1 - (x0 + x2) / 2, 2 * y1 - (y0 + y2) / 2)
    for t in np.linspace(0, 1, 160):
        x = (1 - t) ** 2 * x0 + 2 * t * (1 - t) * control[0] + t**2 * x2
        y = (1 - t) ** 2 * y0 + 2 * t * (1 - t) * control[1] + t**2 * y2
        radius = width / 2 * (1 - 0.45 * t) * ZOOM
        pen.ellipse(
            [x * ZOOM - radius, y * ZOOM - radius, x * ZOOM + radius, y * ZOOM + radius], fill=opacity
        )
    mask = mask.filter(ImageFilter.GaussianBlur(soft * ZOOM))
    lay(figure, color, mask if within is None else as_mask(as_float(mask) * as_float(within)))


def eye(figure: Image.Image, centre: Point) -> None:
    """A dark eye with a ring and a glint."""
    for radius, color, shift in (
        (10, (226, 216, 198), 0),
        (8.2, (22, 18, 18), 0),
        (2.4, (255, 255, 255), -2.6),
    ):
        mask = Image.new("L", (FULL, FULL))
        x, y = (c + shift for c in centre)
        box = [(x - radius) * ZOOM, (y - radius) * ZOOM, (x + radius) * ZOOM, (y + radius) * ZOOM]
        ImageDraw.Draw(mask).ellipse(box, fill=235)
        lay(figure, color, mask.filter(ImageFilter.GaussianBlur(ZOOM * 0.4)))


def gloss(figure: Image.Image, centre: Point, width: float, height: float) -> None:
    """A soft highlight."""
    mask = Image.new("L", (FULL, FULL))
    x, y = centre
    ImageDraw.Draw(mask).ellipse(
        [(x - width / 2) * ZOOM, (y - height / 2) * ZOOM, (x + width / 2) * ZOOM, (y + height / 2) * ZOOM],
        fill=190,
    )
    lay(figure, (255, 252, 244), mask.filter(ImageFilter.GaussianBlur(9 * ZOOM)))


# Grounds


def backdrop(light: Color, dark: Color, seed: int, spots: int = 16) -> Image.Image:
    """A soft gradient with out-of-focus spots, like foliage far behind."""
    y, x = np.mgrid[0 : 1 : FULL * 1j, 0 : 1 : FULL * 1j]
    mix = np.clip(0.25 * x + 0.85 * y, 0, 1)[..., None]
    ground = (1 - mix) * np.array(light) + mix * np.array(dark)
    scene = Image.fromarray(ground.astype(np.uint8)).convert("RGBA")
    rng = np.random.default_rng(seed)
    for _ in range(spots):
        mask = Image.new("L", (FULL, FULL))
        px, py, radius = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(18, 58)
        ImageDraw.Draw(mask).ellipse(
            [(px - radius) * ZOOM, (py - radius) * ZOOM, (px + radius) * ZOOM, (py + radius) * ZOOM], fill=38
        )
        lay(scene, light if rng.uniform() < 0.6 else dark, mask.filter(ImageFilter.GaussianBlur(7 * ZOOM)))
    return scene


def table(wall: Color, top: Color) -> Image.Image:
    """A wall and a table, their border out of focus."""
    y = np.linspace(0, SIDE, FULL)[:, None, None]
    mix = 1 / (1 + np.exp(-(y - 288) / 14))
    fall = 1 - 0.0003 * np.abs(y - 288)
    ground = ((1 - mix) * np.array(wall) + mix * np.array(top)) * fall
    return Image.fromarray(np.repeat(ground, FULL, axis=1).astype(np.uint8)).convert("RGBA")


def branch(scene: Image.Image) -> None:
    """A branch across the lower part."""
    wood = curve(
        [
            (-90, 376),
            (90, 360),
            (220, 352),
            (340, 360),
            (540, 338),
            (540, 360),
            (340, 384),
            (220, 376),
            (90, 386),
            (-90, 402),
        ]
    )
    paint(scene, wood, (112, 92, 74), depth=12)
    rng = np.random.default_rng(4)
    for x in rng.uniform(0, 430, 26):
        y = 366 + rng.uniform(-6, 9)
        streak(scene, [(x, y), (x + 16, y - 1), (x + 34, y)], (70, 54, 42), 1.6, 120, within=wood)


def on_table(scene: Image.Image, figure: Image.Image, foot: Point, width: float) -> Image.Image:
    """Put a fruit on the table with its shadow."""
    x, y = foot
    for spread, strength in ((1.0, 120), (0.62, 120)):
        mask = Image.new("L", (FULL, FULL))
        half = width * spread
        box = [(x - half + 18) * ZOOM, (y - 16) * ZOOM, (x + half + 26) * ZOOM, (y + 14) * ZOOM]
        ImageDraw.Draw(mask).ellipse(box, fill=strength)
        lay(scene, (60, 46, 36), mask.filter(ImageFilter.GaussianBlur(8 * ZOOM)))
    scene.alpha_composite(figure)
    return finish(scene)


def cast(scene: Image.Image, mask: Mask, shift: Point, soft: float, strength: int) -> None:
    """The shadow of something flat."""
    moved = Image.new("L", (FULL, FULL))
    moved.paste(mask, (int(shift[0] * ZOOM), int(shift[1] * ZOOM)))
    blurred = moved.filter(ImageFilter.GaussianBlur(soft * ZOOM)).point(lambda v: v * strength // 255)
    lay(scene, (50, 42, 36), blurred)


# Pixels


def lay(figure: Image.Image, color: Color, mask: Mask) -> None:
    """Composite one colour through a mask."""
    layer = Image.new("RGBA", figure.size, (*color, 255))
    layer.putalpha(mask)
    figure.alpha_composite(layer)


def scaled(figure: Image.Image, zoom: float, about: Point) -> Image.Image:
    """Scale about a point that stays where it is."""
    x, y = about[0] * ZOOM, about[1] * ZOOM
    matrix = (1 / zoom, 0, x - x / zoom, 0, 1 / zoom, y - y / zoom)
    return figure.transform(figure.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def finish(scene: Image.Image, mirror: bool = False) -> Image.Image:
    """Scale down to the final size."""
    if mirror:
        scene = scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return scene.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def as_float(mask: Mask) -> NDArray[np.float32]:
    """A mask in [0, 1]."""
    return np.asarray(mask, dtype=np.float32) / 255


def as_mask(values: NDArray[np.float32]) -> Mask:
    """Back from [0, 1]."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
