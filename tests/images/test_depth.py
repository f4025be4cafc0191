"""More than 8 bits a channel."""

import struct

import numpy as np
import pytest
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.images import load_image

RAMP = np.linspace(0, 65535, 16 * 16).round().astype(np.uint16).reshape(16, 16)


def expected(values, full):
    grey = np.rint(values / full * 255).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)


def grey_tags(bits, photometric):
    return {256: 16, 257: 16, 258: bits, 262: photometric, 277: 1, 278: 16}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(encode, kind):
    data = encode(Image.fromarray(RAMP), kind)
    assert np.abs(load_image(data).astype(int) - expected(RAMP, 65535)).max() == 0


def test_big_endian_16_bit_grey_is_scaled(encode):
    picture = Image.frombytes("I;16B", (16, 16), RAMP.astype(">u2").tobytes())
    for source in (picture, encode(picture, "TIFF")):
        assert np.array_equal(load_image(source), expected(RAMP, 65535))


def test_native_16_bit_grey_is_scaled():
    picture = Image.frombytes("I;16N", (16, 16), RAMP.tobytes())
    assert np.array_equal(load_image(picture), expected(RAMP, 65535))


def test_a_dark_16_bit_picture_stays_dark(encode):
    assert load_image(encode(Image.fromarray(RAMP // 256), "PNG")).max() == 1


def test_12_bit_grey_is_scaled_by_its_own_range(write_tiff):
    values = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    data = write_tiff(packed.astype(np.uint8).tobytes(), grey_tags(12, 1))
    assert np.array_equal(load_image(data), expected(values, 4095))


def test_16_bit_grey_that_counts_from_white_is_inverted(write_tiff):
    data = write_tiff(RAMP.astype("<u2").tobytes(), grey_tags(16, 0))
    assert np.array_equal(load_image(data), 255 - expected(RAMP, 65535))


def test_a_16_bit_grey_named_transparent_is_composited_on_white(encode):
    values = np.full((16, 16), 1000, dtype=np.uint16)
    values[0, 0] = 30000
    decoded = load_image(encode(Image.fromarray(values), "PNG", transparency=1000))
    assert decoded[5, 5].tolist() == [255, 255, 255]
    assert decoded[0, 0].tolist() == [117, 117, 117]


def test_16_bit_rgb_png_keeps_its_colours():
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + struct.pack(">3H", 0xFF00, 0x8000, 0x0100) * 16 for _ in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert np.abs(load_image(data).astype(int) - (255, 128, 1)).max() <= 1


@pytest.mark.parametrize(("top", "full"), [(255, 255), (256, 65535), (65535, 65535)])
def test_32_bit_integers_are_read_as_the_range_they_fit(encode, top, full):
    values = np.linspace(0, top, 256).round().astype(np.int32).reshape(16, 16)
    assert np.array_equal(load_image(encode(Image.fromarray(values), "TIFF")), expected(values, full))


@pytest.mark.parametrize(("top", "full"), [(1.0, 1.0), (254.5, 255.0), (60000.0, 65535.0)])
def test_floating_point_is_read_as_the_range_it_fits(encode, top, full):
    values = np.linspace(0, top, 256, dtype=np.float32).reshape(16, 16)
    decoded = load_image(encode(Image.fromarray(values), "TIFF"))
    assert np.abs(decoded.astype(int) - expected(values, full)).max() <= 1


@pytest.mark.parametrize("odd", [-1.0, 1e9, np.nan, np.inf])
def test_values_without_a_known_range_are_refused_with_advice(encode, odd):
    values = np.zeros((16, 16), dtype=np.float32)
    values[3, 3] = odd
    with pytest.raises(ImageError, match=r"^scan: 32-bit pixel values .* save it with 8 or 16 bits"):
        load_image(encode(Image.fromarray(values), "TIFF"), name="scan")
