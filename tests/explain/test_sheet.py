import io

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import Comparison, EncodedPicture
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.record import ModelPapers
from avsl_core.explain.sheet import sheet_png
from avsl_core.explain.total import total_maps
from avsl_core.explain.verdict import judge
from avsl_core.images import Preprocess
from avsl_core.models.explanation import Component, Explanation

PAPERS = ModelPapers("tiny", "avsl", "0123456789abcdef", {})
TEAL, BLUE = (20, 105, 122), (27, 94, 170)


def compared(explanation):
    crop = np.full((64, 64, 3), (200, 40, 40), np.uint8)
    side = EncodedPicture(crop, None)
    return Comparison(side, side, explanation, judge(explanation.total, None))


def made_of(**values):
    """An explanation with parts of these values, each spread evenly over both pictures."""
    spread = {name: torch.full((4, 4), value / 32, dtype=torch.float64) for name, value in values.items()}
    parts = tuple(Component(name, value, spread[name], spread[name]) for name, value in values.items())
    return Explanation("avsl", sum(values.values()), parts)


def drawn(explanation, names=("a.webp", "b.webp")):
    return Image.open(io.BytesIO(sheet_png(compared(explanation), names=names, papers=PAPERS, when="today")))


def pixels_of(sheet, colour, box):
    return int((np.asarray(sheet.crop(box)) == colour).all(axis=2).sum())


def test_a_sheet_fits_a_slide_and_tells_nothing_but_what_is_seen():
    sheet = drawn(made_of(level1=0.5, level2=0.25))
    sheet.load()
    assert (sheet.format, sheet.mode, sheet.size) == ("PNG", "RGB", (1920, 1080))
    assert sheet.info == {}


@pytest.mark.parametrize("model", ["avsl", "cgd", "raml", "adaptation"])
def test_every_method_has_a_sheet(model, pictures, request):
    model = request.getfixturevalue(model)
    sides = [EncodedPicture(np.zeros((64, 64, 3), np.uint8), model.encode(p[None])) for p in pictures[:2]]
    explanation = model.explain(sides[0].encoding, sides[1].encoding)
    comparison = Comparison(*sides, explanation, judge(explanation.total, None))
    papers = ModelPapers.of(Checkpoint(model, Preprocess(size=64, resize=64)))
    sheet = Image.open(io.BytesIO(sheet_png(comparison, names=("a", "b"), papers=papers)))
    ink = np.asarray(sheet.convert("L")) < 128
    assert ink[80:200, 72:900].any()  # the verdict
    assert ink[90:155, 1500:1850].any()  # the distance
    assert ink[900:, 72:900].any()  # the bars


def test_both_pictures_are_there_in_their_colours():
    sheet = np.asarray(drawn(made_of(level1=0.5)))
    assert sheet[500, 300].tolist() == sheet[500, 740].tolist() == [200, 40, 40]


def test_bars_are_as_long_as_their_parts_and_blue_below_zero():
    sheet = drawn(made_of(level1=0.4, level2=0.2, level3=-0.1))
    box = (360, 800, 1000, 1000)
    whole = pixels_of(drawn(made_of(level1=0.4)), TEAL, box)
    assert pixels_of(sheet, TEAL, box) == pytest.approx(1.5 * whole, rel=0.05)
    assert pixels_of(sheet, BLUE, box) == pytest.approx(0.25 * whole, rel=0.1)


def test_orange_pushes_apart_and_blue_pulls_together():
    apart, together = (np.asarray(drawn(made_of(level1=v)))[500, 1200].astype(int) for v in (0.5, -0.5))
    assert apart[0] > apart[2] + 40
    assert together[2] > together[0] + 40


def test_maps_of_different_resolution_are_each_enlarged_smoothly_and_then_added_up():
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(side, side, generator=generator, dtype=torch.float64) / side**2 for side in (2, 8)]
    parts = tuple(Component(f"level{n}", 2 * float(m.sum()), m, m) for n, m in enumerate(maps))
    explanation = Explanation("avsl", sum(part.value for part in parts), parts)
    side = 426  # of each of the four pictures
    scale = shared_scale(total_maps(explanation))
    expected = draw_signed(compared(explanation).a.crop, maps, scale, side=side)
    sheet, left = np.asarray(drawn(explanation)), 72 + 2 * (side + 24)
    inside = slice(40, side - 40)
    assert (sheet[300 : 300 + side, left : left + side][inside, inside] == expected[inside, inside]).all()


def test_many_parts_and_long_or_foreign_names_still_fit():
    parts = {f"level{n}": 0.01 * n for n in range(1, 15)}
    names = ("x" * 300, "\u9ce5\u9ce5\u9ce5\u9ce5")
    sheet = np.asarray(drawn(made_of(**parts), names))
    assert (sheet[:, :60] == 255).all()
    assert (sheet[:, -60:] == 255).all()


def test_identical_pictures_have_a_sheet_without_colour():
    sheet = np.asarray(drawn(made_of(level1=0.0, level2=0.0)))
    grey = sheet[500, 1200].astype(int)
    assert np.ptp(grey) == 0
