"""What if a part were painted over: measured, and foretold from what the encoding keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avsl_core import (
    Checkpoint,
    ConfigError,
    EncodedPicture,
    EncodingError,
    Preprocess,
    WhatIf,
    encode_picture,
    what_if,
)
from avsl_core.images.paint import FILLS
from avsl_core.models import DimlModel
from avsl_core.whatif import emptied

SIDE = 64
METHODS = ["avsl", "embedding", "cgd", "adaptation", "raml", "raml_student", "diml", "diml_avsl"]


def drawn(seed):
    """Blocks of colour with a little noise."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((SIDE // 4, SIDE // 4, 1)))
    return (blocks + rng.normal(0, 8, blocks.shape)).clip(0, 255).astype(np.uint8)


def square(top=16, left=16, side=24, size=SIDE):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def checkpoint_of(model):
    return Checkpoint(model, Preprocess(size=SIDE, resize=SIDE), (), {}, {}, None)


@pytest.fixture(params=METHODS)
def checkpoint(request):
    if request.param.startswith("diml"):
        base = "avsl" if request.param == "diml_avsl" else "embedding"
        return checkpoint_of(DimlModel.over(request.getfixturevalue(base)))
    return checkpoint_of(request.getfixturevalue(request.param))


@pytest.fixture
def plain(avsl):
    return checkpoint_of(avsl)


def encoded(checkpoint, count=2):
    return [encode_picture(checkpoint, drawn(seed)) for seed in range(count)]


@pytest.mark.parametrize("side", ["a", "b"])
def test_every_method_measures_and_foretells_the_painted_pair(checkpoint, side):
    a, b = encoded(checkpoint)
    found = what_if(checkpoint, a, b, side, square())
    two = (found.picture, b) if side == "a" else (a, found.picture)
    model = checkpoint.model
    assert found.distance == pytest.approx(float(model.distance(a.encoding, b.encoding)))
    assert found.distance == pytest.approx(model.explain(a.encoding, b.encoding).total, abs=1e-4)
    assert found.painted == pytest.approx(model.explain(*(p.encoding for p in two)).total, abs=1e-4)
    assert found.change == found.painted - found.distance
    assert found.predicted_change == found.predicted - found.distance
    assert np.isfinite([found.painted, found.predicted, found.attributed]).all()
    assert found.predicted != found.distance


def test_only_the_chosen_picture_is_painted_and_only_there(plain):
    a, b = encoded(plain)
    found = what_if(plain, a, b, "b", square())
    changed = (found.crop != b.crop).any(axis=-1)
    assert changed[square()].mean() > 0.9
    assert not changed[~square(12, 12, 32)].any()
    assert np.array_equal(found.mask, square())
    assert found.covered == pytest.approx(square().mean())
    assert found.side == "b"


def test_the_same_part_of_the_other_side_is_the_same_question_the_other_way_round(plain):
    a, b = encoded(plain)
    one, other = what_if(plain, a, b, "a", square()), what_if(plain, b, a, "b", square())
    assert (one.painted, one.predicted) == pytest.approx((other.painted, other.predicted))
    assert one.attributed == pytest.approx(other.attributed, abs=1e-6)


@pytest.mark.parametrize("fill", FILLS)
def test_every_fill_measures_something_else_and_foretells_the_same(plain, fill):
    a, b = encoded(plain)
    found, usual = what_if(plain, a, b, "a", square(), fill=fill), what_if(plain, a, b, "a", square())
    assert found.predicted == usual.predicted
    assert (found.painted == usual.painted) == (fill == "surroundings")


def test_painting_over_what_is_already_smooth_is_foretold_and_measured_as_nearly_nothing(plain):
    """A grey picture's part, filled from around it, is the picture itself."""
    a = encode_picture(plain, np.full((SIDE, SIDE, 3), 120, np.uint8))
    b = encode_picture(plain, drawn(1))
    found = what_if(plain, a, b, "a", square())
    assert found.change == pytest.approx(0, abs=1e-6)
    assert np.array_equal(found.crop, a.crop)


def test_one_pass_of_the_network_measures_and_none_foretells(plain):
    a, b = encoded(plain)
    passes = []
    with plain.model.trunk.register_forward_pre_hook(lambda *_: passes.append(1)):
        what_if(plain, a, b, "a", square())
        assert len(passes) == 1
        without = emptied(plain.model, a.encoding, square())
        assert len(passes) == 1
    assert float(plain.model.distance(a.encoding, without)) > 0


def test_emptying_a_larger_part_leaves_less_of_the_picture(plain):
    (a,) = encoded(plain, 1)
    lengths = [
        float(sum(m.abs().sum() for m in emptied(plain.model, a.encoding, square(0, 0, side)).maps))
        for side in (8, 16, 32, 60)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] < float(sum(m.abs().sum() for m in a.encoding.maps))


def test_what_the_account_puts_there_is_the_sum_of_its_cells(plain):
    a, b = encoded(plain)
    explanation = plain.model.explain(a.encoding, b.encoding)
    left, right = square(0, 0, SIDE), square(0, 0, SIDE)
    left[:, SIDE // 2 :] = right[:, : SIDE // 2] = False
    both = [what_if(plain, a, b, "a", half, explanation=explanation).attributed for half in (left, right)]
    assert sum(both) == pytest.approx(float(sum(c.map_a.sum() for c in explanation.components)), abs=1e-9)


@pytest.mark.parametrize("size", [32, 64, 128, 448])
def test_a_mask_of_any_size_is_brought_to_the_crop(plain, size):
    a, b = encoded(plain)
    factor = size / SIDE
    mask = square(int(16 * factor), int(16 * factor), int(24 * factor), size)
    assert np.array_equal(what_if(plain, a, b, "a", mask).mask, square())


def test_a_mask_finer_than_a_pixel_still_paints_that_pixel(plain):
    a, b = encoded(plain)
    dot = np.zeros((512, 512), bool)
    dot[100, 100] = True
    found = what_if(plain, a, b, "a", dot).mask
    assert found.sum() == 1
    assert found[12, 12]


def test_all_but_a_pixel_may_be_painted(checkpoint):
    a, b = encoded(checkpoint)
    mask = np.ones((SIDE, SIDE), bool)
    mask[0, 0] = False
    found = what_if(checkpoint, a, b, "a", mask)
    assert np.isfinite([found.painted, found.predicted, found.attributed]).all()
    assert isinstance(found, WhatIf)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((SIDE, SIDE), bool), "Nothing is painted yet"),
        (np.ones((8, 8), bool), "covers the whole picture"),
        (np.zeros((0, 0), bool), "Nothing is painted yet"),
        (np.ones((SIDE, SIDE), np.uint8), "must be true or false"),
        (np.ones(SIDE, bool), "must be true or false"),
    ],
)
def test_a_mask_that_marks_no_part_is_refused(plain, mask, message):
    a, b = encoded(plain)
    with pytest.raises(ConfigError, match=message):
        what_if(plain, a, b, "a", mask)


def test_an_unknown_side_or_fill_is_refused(plain):
    a, b = encoded(plain)
    with pytest.raises(ConfigError, match="side 'left': give \"a\""):
        what_if(plain, a, b, "left", square())
    with pytest.raises(ConfigError, match="fill 'glitter'"):
        what_if(plain, a, b, "a", square(), fill="glitter")


def test_encodings_without_maps_are_refused(checkpoint):
    a, b = encoded(checkpoint)
    images = checkpoint.preprocess.normalize(a.crop)[None]
    with torch.inference_mode():
        bare = EncodedPicture(a.crop, checkpoint.model.encode(images, keep_maps=False))
    with pytest.raises(EncodingError, match="maps"):
        what_if(checkpoint, bare, b, "a", square())
    explanation = checkpoint.model.explain(a.encoding, b.encoding)
    with pytest.raises(EncodingError, match="keep_maps=True"):
        what_if(checkpoint, bare, b, "a", square(), explanation=explanation)


def test_an_encoding_of_another_model_is_refused(plain, embedding):
    a, b = encoded(plain)
    (other,) = encoded(checkpoint_of(embedding), 1)
    with pytest.raises(EncodingError, match="encode with this model"):
        what_if(plain, replace(a, encoding=other.encoding), b, "a", square())
