"""Which formats are read, and how others are refused."""

import sys

import numpy as np
import pytest
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.images import PICTURE_SUFFIXES, load_image

LOSSLESS = [
    ("PNG", {}),
    ("PNG", {"compress_level": 0}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_deflate"}),
    ("TIFF", {"compression": "packbits"}),
    ("TIFF", {"big_tiff": True}),
]
LOSSY = [
    ("JPEG", {"quality": 95}),
    ("JPEG", {"quality": 95, "progressive": True}),
    ("WEBP", {"quality": 95}),
    ("TIFF", {"compression": "jpeg", "quality": 95}),
    ("HEIF", {"quality": 95}),
    ("AVIF", {"quality": 95}),
    ("GIF", {}),
]


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_a_lossless_format_comes_back_to_the_bit(photo, encode, kind, options):
    assert np.array_equal(load_image(encode(photo, kind, **options)), photo)


@pytest.mark.parametrize(("kind", "options"), LOSSY)
def test_a_lossy_format_comes_back_nearly(photo, encode, kind, options):
    decoded = load_image(encode(photo, kind, **options))
    assert decoded.shape == photo.shape
    assert np.abs(decoded.astype(int) - photo).mean() < 8


def test_the_result_is_contiguous_writable_uint8(photo, encode):
    decoded = load_image(encode(photo, "PNG"))
    assert decoded.dtype == np.uint8
    assert decoded.flags["C_CONTIGUOUS"]
    assert decoded.flags["WRITEABLE"]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_or_page_stands_for_the_file(photo, encode, kind):
    first, second = Image.fromarray(photo).convert("P"), Image.new("P", (64, 48), 9)
    options = {"save_all": True, "append_images": [second.convert("P")]}
    if kind == "WEBP":
        options["lossless"] = True
    assert np.array_equal(load_image(encode(first, kind, **options)), np.asarray(first.convert("RGB")))


def test_an_mpo_photograph_is_read_as_the_jpeg_it_starts_with(photo, encode):
    data = encode(photo, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))], quality=95)
    assert np.abs(load_image(data).astype(int) - photo).mean() < 4


def test_the_bytes_decide_and_not_the_file_name(photo, encode, tmp_path):
    path = tmp_path / "bird.jpg"
    path.write_bytes(encode(photo, "PNG"))
    assert np.array_equal(load_image(path), photo)


FOREIGN = [
    (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "SVG"),
    (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    (b"8BPS\x00\x01" + bytes(40), "Photoshop"),
    (b"\x00\x00\x01\x00\x01\x00" + bytes(40), "icon"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
    (b"PK\x03\x04" + bytes(40), "zip"),
    (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "video"),
    (b"species,count\nwren,3\n", "text"),
    (bytes(range(128, 256)), "no known picture format"),
]


@pytest.mark.parametrize(("data", "word"), FOREIGN)
def test_a_foreign_file_is_refused_with_what_it_seems_to_be(data, word):
    with pytest.raises(ImageError, match=rf"^upload: not a picture.*{word}.*; convert it to JPEG"):
        load_image(data, name="upload")


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "PCX", "JPEG2000", "EPS", "SGI", "DDS"])
def test_a_format_that_only_pillow_reads_is_refused(photo, encode, kind):
    with pytest.raises(ImageError, match="not a picture that can be read here"):
        load_image(encode(photo, kind))


def test_heic_without_its_package_says_which_to_install(photo, encode, monkeypatch):
    data = encode(photo, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # what an absent package looks like to import
    with pytest.raises(ImageError, match=r"^wren\.heic: .*pillow-heif; install it, or convert to JPEG"):
        load_image(data, name="wren.heic")


def test_suffixes_are_lower_case_with_a_dot():
    assert ".jpg" in PICTURE_SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in PICTURE_SUFFIXES)


@pytest.mark.parametrize("behind", [0, 5000])
def test_an_unpacked_tiff_of_luminance_and_colour_difference_has_its_colours(photo, encode, behind):
    data = encode(Image.fromarray(photo).convert("YCbCr"), "TIFF") + bytes(behind)
    assert np.abs(load_image(data).astype(int) - photo).max() <= 3


def test_one_with_colours_of_half_the_size_is_refused(photo, write_tiff):
    tags = {256: 64, 257: 48, 258: 8, 262: 6, 277: 3, 278: 48}
    with pytest.raises(ImageError, match="colours of half the size in an unpacked TIFF"):
        load_image(write_tiff(bytes(64 * 48 * 3), tags))
