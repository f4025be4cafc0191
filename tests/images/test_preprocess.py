"""What the network sees at evaluation time."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.errors import ConfigError, ImageError
from avsl_core.images import Preprocess


def test_the_batch_is_the_single_pictures_stacked(photo):
    preprocess = Preprocess(size=32, resize=36)
    batch = preprocess.batch([photo, photo[:, ::-1]])
    assert batch.shape == (2, 3, 32, 32)
    assert batch.dtype == torch.float32
    assert torch.equal(batch[0], preprocess(photo))
    assert torch.equal(batch[1], preprocess(photo[:, ::-1]))


def test_a_batch_of_nothing_is_empty():
    assert Preprocess(size=32, resize=32).batch([]).shape == (0, 3, 32, 32)


def test_the_tensor_is_the_crop_normalised(photo):
    preprocess = Preprocess(size=32, resize=40, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    by_hand = (preprocess.crop(photo) / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 2.0])
    torch.testing.assert_close(preprocess(photo), torch.from_numpy(by_hand).float().permute(2, 0, 1))


def test_a_picture_of_the_right_size_is_passed_through():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for antialias in (True, False):
        assert np.array_equal(Preprocess(size=32, resize=32, antialias=antialias).crop(pixels), pixels)


def test_the_centre_of_a_wide_picture_is_seen():
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = 200
    assert (Preprocess(size=32, resize=32).crop(pixels) == 200).all()


def test_the_box_is_the_published_centre_crop():
    # 500 x 375, short side to 256, centre 224: 224 / 256 of the short side is seen.
    left, top, right, bottom = Preprocess(size=224, resize=256).box(height=375, width=500)
    assert right - left == bottom - top == 375 * 224 / 256
    assert (left + right, top + bottom) == (500, 375)


@settings(max_examples=200)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 512), st.integers(0, 300))
def test_the_box_is_a_centred_square_inside_the_picture(height, width, size, margin):
    left, top, right, bottom = Preprocess(size=size, resize=size + margin).box(height, width)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left == pytest.approx(bottom - top)
    assert left == pytest.approx(width - right, abs=1e-6)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_crop_agrees_with_resizing_first_and_cropping_afterwards(interpolation):
    from PIL import Image

    y, x = np.mgrid[:240, :320] / 24.0
    pixels = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1) * 100 + 128
    pixels = pixels.astype(np.uint8)
    method = Image.Resampling[interpolation.upper()]
    two_steps = np.asarray(Image.fromarray(pixels).resize((128, 96), method))[8:88, 24:104]
    one_step = Preprocess(size=80, resize=96, interpolation=interpolation).crop(pixels)
    assert np.abs(one_step.astype(int) - two_steps).max() <= 2


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_antialiasing_averages_fine_stripes_and_its_absence_samples_them(interpolation):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    kept = Preprocess(size=16, resize=16, interpolation=interpolation, antialias=False).crop(stripes)
    averaged = Preprocess(size=16, resize=16, interpolation=interpolation, antialias=True).crop(stripes)
    assert np.abs(averaged.astype(int)[2:-2, 2:-2] - 64).max() <= 8
    assert np.abs(kept.astype(int)[2:-2, 2:-2] - 64).min() > 20


def test_the_same_picture_gives_the_same_tensor(photo):
    preprocess = Preprocess(size=32, resize=40)
    assert torch.equal(preprocess(photo), preprocess(photo.copy()))


def test_the_picture_is_not_changed(photo):
    before = photo.copy()
    Preprocess(size=32, resize=40)(photo)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8)),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.uint8),
        "a.jpg",
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_anything_but_uint8_rgb_is_refused(wrong):
    with pytest.raises(ImageError, match="load_image"):
        Preprocess(size=32, resize=32)(wrong)


def test_saved_values_come_back_equal_through_json():
    preprocess = Preprocess(size=64, resize=72, interpolation="bilinear", mean=(0.485, 0.456, 0.406))
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


def test_an_absent_key_takes_its_default():
    assert Preprocess.from_dict({"resize": 256}) == Preprocess(resize=256)


def test_an_unknown_key_is_named_with_the_nearest_known_one():
    with pytest.raises(
        ConfigError, match="preprocess has no option 'interpolate'; did you mean 'interpolation'"
    ):
        Preprocess.from_dict({"interpolate": "bicubic"})


def test_something_other_than_a_table_is_refused():
    with pytest.raises(ConfigError, match="preprocess is a list"):
        Preprocess.from_dict([224])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 0),
        ("size", 224.0),
        ("size", True),
        ("resize", 200),
        ("interpolation", "nearest"),
        ("interpolation", ["bicubic"]),
        ("antialias", 1),
        ("mean", (0.5, 0.5)),
        ("mean", "abc"),
        ("mean", (0.5, 0.5, float("nan"))),
        ("std", (0.5, 0.0, 0.5)),
        ("std", 0.5),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"preprocess {key} is"):
        Preprocess(**{key: value})
