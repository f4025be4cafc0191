"""EXIF orientation: every value, every format that carries it, and damage."""

import numpy as np
import pytest
from PIL import Image

from avsl_core.images import load_image

ORIENTATION = 0x0112

# How a camera that was held so stores the upright picture: the inverse of what a viewer does.
STORED_AS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
OPTIONS = {
    "PNG": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95},
}


def stored(photo, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](photo))), exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_picture_comes_out_upright(photo, encode, kind, orientation):
    picture, exif = stored(photo, orientation)
    decoded = load_image(encode(picture, kind, exif=exif, **OPTIONS[kind]))
    assert decoded.shape == photo.shape
    assert np.abs(decoded.astype(int) - photo).mean() < (4 if kind == "JPEG" else 0.001)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_heic_and_avif_are_turned_once_and_not_twice(photo, encode, kind, orientation):
    picture, exif = stored(photo, orientation)
    decoded = load_image(encode(picture, kind, exif=exif.tobytes(), quality=95))
    assert decoded.shape == photo.shape
    assert np.abs(decoded.astype(int) - photo).mean() < 8


def test_orientation_and_transparency_go_together(photo, encode):
    picture, exif = stored(photo, 6)
    picture.putalpha(255)
    assert np.array_equal(load_image(encode(picture, "PNG", exif=exif)), photo)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_taken_as_upright(photo, encode, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(load_image(encode(photo, "PNG", exif=exif)), photo)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    "damage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage", b"\xff" * 40]
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_is_not_fatal(photo, encode, kind, damage):
    decoded = load_image(encode(photo, kind, exif=damage, **OPTIONS[kind]))
    assert np.abs(decoded.astype(int) - photo).mean() < 4


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("tag", [0x8769, 0x8825, 0xA005, 700], ids=["exif", "gps", "interop", "xmp"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_tiff_with_damaged_metadata_still_comes_out_upright(photo, write_tiff, orientation, tag):
    array = np.ascontiguousarray(STORED_AS[orientation](photo)[..., 0])
    height, width = array.shape
    tags = {256: width, 257: height, 258: 8, 262: 1, 277: 1, 278: height}
    data = write_tiff(array.tobytes(), {**tags, 0x0112: orientation, tag: 2**32 - 16})
    decoded = load_image(data)
    assert decoded.shape == photo.shape
    assert np.array_equal(decoded[..., 0], photo[..., 0])
