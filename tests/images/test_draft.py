"""Decoding a large JPEG at a fraction of its size."""

import numpy as np
import pytest
from PIL import Image

from avsl_core.images import load_image


@pytest.fixture
def large(photo):
    return np.asarray(Image.fromarray(photo).resize((1280, 960), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("target", "expected"), [(224, (240, 320)), (240, (240, 320)), (241, (480, 640)), (961, (960, 1280))]
)
def test_a_jpeg_is_decoded_at_the_smallest_fraction_above_the_target(large, encode, target, expected):
    assert load_image(encode(large, "JPEG"), target_side=target).shape[:2] == expected


def test_the_smaller_picture_looks_like_the_large_one_scaled_down(large, encode):
    small = load_image(encode(large, "JPEG", quality=95), target_side=224)
    scaled = np.asarray(Image.fromarray(large).resize((320, 240), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - scaled).mean() < 2


def test_orientation_is_applied_to_the_smaller_picture(large, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_image(encode(large, "JPEG", exif=exif), target_side=224).shape[:2] == (320, 240)


def test_other_formats_keep_their_size(large, encode):
    assert np.array_equal(load_image(encode(large, "PNG", compress_level=1), target_side=224), large)


def test_a_pil_jpeg_is_left_at_its_size(large, encode, tmp_path):
    path = tmp_path / "large.jpg"
    path.write_bytes(encode(large, "JPEG"))
    with Image.open(path) as picture:
        assert load_image(picture, target_side=224).shape[:2] == (960, 1280)
        assert picture.size == (1280, 960)
