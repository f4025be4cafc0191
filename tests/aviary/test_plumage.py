"""What forms, textures and palettes look like: each can be told from its siblings."""

import random

import numpy as np
import pytest
import skia

from avsl_core.aviary.anatomy import build_anatomy
from avsl_core.aviary.outlines import Grain, Piece, feather, joined, loop, merged, ribbon
from avsl_core.aviary.parameters import FORMS, PALETTES, PARTS, TEXTURES, Bird, Build, Part, Scene
from avsl_core.aviary.plumage import draw_piece
from avsl_core.aviary.render import part_masks, render

SIZE = 224
SCENE = Scene(background="sky", noise=0.0)
LOOKS = {
    "coat": "sky",
    "tail": "rust",
    "legs": "gold",
    "breast": "scarlet",
    "throat": "coal",
    "wing": "leaf",
    "beak": "gold",
    "eye": "snow",
    "crest": "violet",
}
FORM = {"breast": "band", "crest": "fan", "eye": "mask"}


def bird(**changes):
    parts = {name: Part(FORM.get(name, FORMS[name][0]), "plain", LOOKS[name]) for name in PARTS}
    return Bird(Build(), parts | changes)


@pytest.mark.parametrize("part", PARTS)
def test_every_form_looks_different_from_its_siblings(part):
    pictures = [render(bird().with_part(part, form=form), SCENE).astype(int) for form in FORMS[part]]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (np.abs(one - other).max(axis=2) > 30).sum() >= 40


@pytest.mark.parametrize("part", PARTS)
def test_every_texture_looks_different_on_every_part(part):
    pictures = [render(bird().with_part(part, texture=texture), SCENE).astype(int) for texture in TEXTURES]
    seen = part_masks(bird(), SCENE)[part] > 200
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).max(axis=2)[seen].mean() > 10


@pytest.mark.parametrize("part", PARTS)
def test_a_palette_colours_its_part(part):
    seen = part_masks(bird(), SCENE)[part] > 250
    for palette in ("snow", "scarlet", "teal"):
        picture = render(bird().with_part(part, palette=palette), SCENE)
        other = render(bird().with_part(part, palette="coal"), SCENE)
        wanted = np.subtract(PALETTES[palette].base, PALETTES["coal"].base)
        change = picture[seen].astype(float).mean(axis=0) - other[seen].mean(axis=0)
        assert change @ wanted > 0.3 * wanted @ wanted


def test_no_crest_is_nothing():
    assert part_masks(bird(crest=Part("none", "plain", "coal")), SCENE)["crest"].max() == 0


def test_a_piece_paints_nothing_outside_its_outline():
    anatomy = build_anatomy(Build(), SCENE, 64)
    path = loop([10 + 10j, 50 + 12j, 48 + 50j, 12 + 44j])
    piece = Piece("breast", path, Grain(30 + 30j, 1j, 60.0, 6.0), soft=True)
    sheet, alpha = np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64), np.uint8)
    canvas = skia.Canvas(sheet, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    info = skia.ImageInfo.MakeA8(64, 64)
    draw_piece(canvas, piece, Part("full", "barred", "gold"), anatomy, random.Random(1))
    skia.Surface.MakeRasterDirect(info, alpha, 64).getCanvas().drawPath(path, skia.Paint(AntiAlias=True))
    np.testing.assert_array_equal(sheet[:, :, 3], alpha)


def test_a_piece_outside_the_picture_is_no_trouble():
    anatomy = build_anatomy(Build(), SCENE, 64)
    piece = Piece("tail", loop([-90 - 9j, -60 - 9j, -70 + 9j]), Grain(0j, 1 + 0j, 60.0, 6.0))
    sheet = np.zeros((64, 64, 4), np.uint8)
    canvas = skia.Canvas(sheet, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    draw_piece(canvas, piece, Part("square", "spotted", "gold"), anatomy, random.Random(1))
    assert sheet.max() == 0


@pytest.mark.parametrize("unite", [joined, merged])
def test_contours_that_run_opposite_ways_still_add_up(unite):
    corners = [10 + 10j, 40 + 10j, 40 + 40j, 10 + 40j]
    one, other = loop(corners, sharp=range(4)), loop([c + 15 for c in reversed(corners)], sharp=range(4))
    union = unite([one, other])
    assert union.contains(12, 20) and union.contains(32, 20) and union.contains(52, 20)


def test_feathers_and_ribbons_lie_along_their_line():
    quill, band = feather(10 + 30j, 60 + 30j, 5.0), ribbon([10 + 30j, 40 + 30j, 60 + 30j], [4.0, 4.0, 4.0])
    for path in (quill, band):
        assert path.contains(35, 30) and path.contains(35, 33) and not path.contains(35, 40)
        assert not path.contains(70, 30)
