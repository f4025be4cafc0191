"""Whatever the bytes, the answer is a picture or an ImageError."""

import functools
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits, load_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SIGNATURES = [
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"\0\0\0\x14ftypheic",
    b"\0\0\0\x14ftypavif",
]
VARIANTS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("HEIF", {}),
    ("AVIF", {}),
]
# Flipped headers may state any size: keep what they can make a test allocate small.
LIMITS = ImageLimits(max_pixels=1_000_000)


@functools.cache
def encoded(variant):
    kind, options = VARIANTS[variant]
    y, x = np.mgrid[:20, :24]
    picture = Image.fromarray(np.stack([x * 10, y * 12, x * y % 256], axis=-1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(stream)
    else:
        picture.save(stream, kind, exif=exif.tobytes(), **options)
    return stream.getvalue()


def picture_or_image_error(data):
    try:
        picture = load_image(data, limits=LIMITS, name="fuzz")
    except ImageError as error:
        assert str(error).startswith("fuzz: ")
        assert "\n" not in str(error)
    else:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes(data):
    picture_or_image_error(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes_behind_a_true_signature(signature, data):
    picture_or_image_error(signature + data)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(VARIANTS) - 1), st.floats(0, 1, exclude_max=True))
def test_real_files_cut_anywhere(variant, share):
    data = encoded(variant)
    picture_or_image_error(data[: int(len(data) * share)])


@settings(max_examples=600, deadline=None)
@given(
    st.integers(0, len(VARIANTS) - 1),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_real_files_with_flipped_bits(variant, flips):
    data = bytearray(encoded(variant))
    for place, bits in flips:
        data[int(len(data) * place)] ^= bits
    picture_or_image_error(bytes(data))
