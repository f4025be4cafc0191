"""Limits hold, and hold before pixels are decoded."""

import io
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from avsl_core.errors import ConfigError, ImageError
from avsl_core.images import ImageLimits, load_image


def png_header_only(width, height):
    """A PNG whose header claims a size and whose pixel data is one empty stream."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def bmp_header_only(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif_header_only(width, height):
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


def jpeg_header_only(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff_header_only(width, height, tile=None):
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(273, 8), (278, height), (279, 8)] if tile is None else []
    tags += [] if tile is None else [(322, tile), (323, tile), (324, 8), (325, 8)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    body = zlib.compress(b"")
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(body))
        + body
        + struct.pack("<H", len(tags))
        + directory
        + bytes(4)
    )


def webp_header_only(width, height):
    size = (width - 1) | (height - 1) << 14
    body = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", size) + bytes(5)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


BOMBS = [
    png_header_only(100_000, 100_000),
    bmp_header_only(60_000, 60_000),
    gif_header_only(65_535, 65_535),
    jpeg_header_only(65_000, 65_000),
    tiff_header_only(80_000, 80_000),
    webp_header_only(16_000, 16_000),
]


@pytest.fixture
def decoded(monkeypatch):
    """The pictures whose pixels are decoded while a test runs."""
    pictures, load = [], ImageFile.ImageFile.load

    def noted(picture):
        pictures.append(picture)
        return load(picture)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    return pictures


def test_decoding_is_seen(photo, encode, decoded):
    for count, kind in enumerate(("PNG", "BMP", "GIF", "JPEG", "TIFF", "WEBP"), start=1):
        load_image(encode(photo, kind))
        assert len(decoded) >= count


@pytest.mark.parametrize("data", BOMBS, ids=["png", "bmp", "gif", "jpeg", "tiff", "webp"])
def test_a_header_that_claims_too_many_pixels_is_refused_at_once(data, decoded):
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"^big: .* above the limit of 40,000,000 pixels; scale it down"):
        load_image(data, name="big")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded == []
    assert peak < 8 * 2**20


def test_a_real_decompression_bomb_is_refused_without_decoding(encode, decoded):
    data = encode(Image.new("1", (20_000, 5_000)), "PNG")
    assert len(data) < 100_000
    with pytest.raises(ImageError, match="20,000 x 5,000 pixels is above"):
        load_image(data)
    assert decoded == []


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_heic_and_avif_are_held_to_the_pixel_limit(photo, encode, kind):
    with pytest.raises(ImageError, match="64 x 48 pixels is above the limit of 1,000 pixels"):
        load_image(encode(photo, kind), limits=ImageLimits(max_pixels=1000))


def test_a_tiff_tile_is_held_to_the_pixel_limit_too():
    with pytest.raises(ImageError, match=r"^scan: its tiles are larger than the pixel limit"):
        load_image(tiff_header_only(100, 100, tile=16_384), name="scan")


def test_a_limit_above_pillows_own_neither_warns_nor_fails():
    limits = ImageLimits(max_pixels=10**12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Within the limit, and then without data to decode.
        with pytest.raises(ImageError, match="damaged, cut short"):
            load_image(png_header_only(20_000, 10_000), limits=limits)


def test_pillows_own_limit_is_left_alone(photo, encode):
    before = Image.MAX_IMAGE_PIXELS
    load_image(encode(photo, "PNG"), limits=ImageLimits(max_pixels=5000))
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_small_pillow_limit_does_not_matter(photo, encode, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert np.array_equal(load_image(encode(photo, "PNG")), photo)


def test_the_tiff_codec_which_asks_pillows_limit_still_gives_an_image_error(photo, encode, monkeypatch):
    data = encode(photo, "TIFF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match=r"^wren: more pixels than PIL\.Image\.MAX_IMAGE_PIXELS allows"):
        load_image(data, name="wren")


def test_exactly_the_limit_passes(photo, encode):
    data = encode(photo, "PNG")
    limits = ImageLimits(max_pixels=64 * 48, max_bytes=len(data), min_side=48, max_aspect=64 / 48)
    assert np.array_equal(load_image(data, limits=limits), photo)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_too_many_bytes_are_refused(photo, encode, wrap):
    data = encode(photo, "PNG")
    with pytest.raises(ImageError, match=r"more than the .* MB that a picture may weigh"):
        load_image(wrap(data), limits=ImageLimits(max_bytes=len(data) - 1))


def test_too_heavy_a_file_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)  # sparse: no disk is used
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"huge\.png: more than the 64 MB"):
        load_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_an_endless_stream_is_left_after_the_byte_limit():
    class Endless(io.RawIOBase):
        served = 0

        def read(self, size=-1):
            self.served += 1000
            return bytes(1000)

    stream = Endless()
    with pytest.raises(ImageError, match="more than"):
        load_image(stream, limits=ImageLimits(max_bytes=10_000))
    assert stream.served <= 11_000


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (2100, 100)])
def test_a_picture_too_long_and_thin_is_refused(encode, size):
    with pytest.raises(ImageError, match=r"^line: .* too long and thin \(at most 20 to 1\); crop it"):
        load_image(encode(Image.new("RGB", size), "PNG"), name="line")


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_a_picture_too_small_to_compare_is_refused(encode, size):
    with pytest.raises(ImageError, match=r"^dot: .* too small to compare .* use a larger picture"):
        load_image(encode(Image.new("RGB", size), "PNG"), name="dot")


@pytest.mark.parametrize("source", [np.zeros((1, 1, 3), np.uint8), Image.new("RGB", (1, 1))])
def test_arrays_and_pil_pictures_are_held_to_the_limits_too(source):
    with pytest.raises(ImageError, match="1 x 1 pixels is too small"):
        load_image(source)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_pixels", 0),
        ("max_bytes", -1),
        ("min_side", 1.5),
        ("max_pixels", True),
        ("max_aspect", 0.5),
        ("max_aspect", float("nan")),
        ("max_aspect", "wide"),
    ],
)
def test_a_limit_that_makes_no_sense_is_a_config_error(key, value):
    with pytest.raises(ConfigError, match=key):
        ImageLimits(**{key: value})
