"""Colour modes, transparency and embedded profiles."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from avsl_core.errors import ConfigError
from avsl_core.images import load_image


def flat(mode, colour, size=(16, 12)):
    return Image.new(mode, size, colour)


def only_colour(array):
    colours = np.unique(array.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return tuple(int(value) for value in colours[0])


def test_grey_is_repeated_over_three_channels(photo, encode):
    grey = photo[..., 0]
    assert np.array_equal(load_image(encode(grey, "PNG")), np.stack([grey] * 3, axis=-1))


def test_one_bit_becomes_black_and_white(encode):
    bits = Image.fromarray(np.indices((16, 16)).sum(axis=0) % 2 == 1)
    assert bits.mode == "1"
    decoded = load_image(encode(bits, "PNG"))
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[0, 1].tolist() == [255, 255, 255]


def test_a_palette_is_looked_up(photo, encode):
    palette = Image.fromarray(photo).quantize(32)
    assert np.array_equal(load_image(encode(palette, "PNG")), np.asarray(palette.convert("RGB")))


def test_a_cmyk_jpeg_with_adobes_inverted_inks_keeps_its_colours(encode):
    # Pillow writes the Adobe marker and inverted inks, as Photoshop does.
    decoded = load_image(encode(flat("CMYK", (255, 0, 0, 0)), "JPEG", quality=100))
    assert np.abs(np.array(only_colour(decoded)) - (0, 255, 255)).max() <= 3


def test_a_cmyk_tiff_keeps_its_colours(encode):
    assert only_colour(load_image(encode(flat("CMYK", (0, 255, 255, 0)), "TIFF"))) == (255, 0, 0)


def test_a_ycbcr_tiff_keeps_its_colours(encode):
    red = flat("RGB", (200, 40, 40)).convert("YCbCr")
    assert (
        np.abs(
            np.array(only_colour(load_image(encode(red, "TIFF", compression="tiff_lzw")))) - (200, 40, 40)
        ).max()
        <= 2
    )


def test_a_lab_tiff_keeps_its_colours(encode):
    lab = flat("RGB", (200, 40, 40)).convert("LAB")
    assert np.abs(np.array(only_colour(load_image(encode(lab, "TIFF")))) - (200, 40, 40)).max() <= 4


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (flat("RGBA", (255, 0, 0, 0)), (255, 255, 255)),
        (flat("RGBA", (255, 0, 0, 255)), (255, 0, 0)),
        (flat("RGBA", (200, 0, 0, 51)), (244, 204, 204)),
        (flat("LA", (0, 51)), (204, 204, 204)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "source"])
def test_transparency_is_composited_on_white(encode, picture, expected, kind):
    source = picture if kind == "source" else encode(picture, kind)
    assert only_colour(load_image(source)) == expected


def test_transparency_of_webp_is_composited_on_white(encode):
    data = encode(flat("RGBA", (200, 0, 0, 51)), "WEBP", lossless=True, exact=True)
    assert only_colour(load_image(data)) == (244, 204, 204)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_transparency_of_heic_and_avif_is_composited_on_white(encode, kind):
    data = encode(flat("RGBA", (200, 40, 40, 0), (64, 48)), kind, quality=95)
    assert load_image(data).min() >= 250


def test_a_transparent_palette_entry_is_composited_on_white(encode):
    picture = Image.new("P", (16, 12), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.paste(0, (0, 0, 8, 12))
    for kind in ("PNG", "GIF"):
        decoded = load_image(encode(picture, kind, transparency=0))
        assert decoded[0, 0].tolist() == [255, 255, 255]
        assert decoded[0, 15].tolist() == [10, 20, 30]


def test_a_palette_with_partial_transparency_is_composited_on_white(encode):
    picture = Image.new("P", (16, 12), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    assert only_colour(load_image(encode(picture, "PNG", transparency=bytes([255, 51])))) == (244, 204, 204)


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (7, 8, 9)), ("L", 7)])
def test_a_colour_named_transparent_is_composited_on_white(encode, mode, colour):
    data = encode(flat(mode, colour), "PNG", transparency=colour)
    assert only_colour(load_image(data)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa"])
def test_rarer_modes_with_alpha_are_composited_too(mode):
    clear = {"PA": "PA", "La": "LA", "RGBa": "RGBA"}[mode]
    picture = Image.new(clear, (16, 12), (0,) * len(clear)).convert(mode)
    assert only_colour(load_image(picture)) == (255, 255, 255)


def test_the_background_can_be_chosen(encode):
    data = encode(flat("RGBA", (255, 0, 0, 0)), "PNG")
    assert only_colour(load_image(data, background=(1, 2, 3))) == (1, 2, 3)


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 256), (0.5, 0, 0)])
def test_a_background_that_is_no_colour_is_a_config_error(photo, background):
    with pytest.raises(ConfigError, match="background"):
        load_image(photo, background=background)


def curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def xyz(x, y, z):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def profile(space, connection, tags):
    """A minimal ICC version 2 profile."""
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def wide_gamut():
    """Adobe RGB (1998): its primaries adapted to D50, gamma 2.2."""
    return profile(
        b"RGB ",
        b"XYZ ",
        {
            b"wtpt": xyz(0.9642, 1.0, 0.8249),
            b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
            b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
            b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
            b"rTRC": curve(2.2),
            b"gTRC": curve(2.2),
            b"bTRC": curve(2.2),
        },
    )


def only_black_ink_shows():
    """A CMYK profile of a press whose cyan, magenta and yellow leave the paper white."""
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += ramp * 4 + bytes([255, 128, 128, 0, 128, 128]) * 8 + ramp * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": table})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_wide_gamut_profile_is_converted_to_srgb(encode, kind):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encode(flat("RGB", (180, 100, 100)), kind, icc_profile=wide_gamut(), **options)
    # By hand: linearise with gamma 2.2, Adobe RGB to XYZ to sRGB matrices, sRGB curve.
    linear = (np.array([180, 100, 100]) / 255) ** 2.2
    matrix = np.array([[1.3984, -0.3984, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])
    srgb = 1.055 * (matrix @ linear) ** (1 / 2.4) - 0.055
    assert np.abs(np.array(only_colour(load_image(data))) - srgb * 255).max() <= 3


def test_transparency_survives_the_profile(encode):
    data = encode(flat("RGBA", (180, 100, 100, 0)), "PNG", icc_profile=wide_gamut())
    assert only_colour(load_image(data)) == (255, 255, 255)


def test_a_grey_profile_is_converted_to_srgb(encode):
    linear = profile(b"GRAY", b"XYZ ", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": curve(1.0)})
    decoded = only_colour(load_image(encode(flat("L", 128), "PNG", icc_profile=linear)))
    assert np.abs(np.array(decoded) - 188).max() <= 1  # half of the light is 188 in sRGB


def test_a_cmyk_profile_is_converted_to_srgb(encode):
    data = encode(flat("CMYK", (255, 0, 0, 0)), "JPEG", quality=100, icc_profile=only_black_ink_shows())
    assert min(only_colour(load_image(data))) >= 252


def test_an_srgb_profile_changes_nothing(photo, encode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(load_image(encode(photo, "PNG", icc_profile=srgb)), photo)


@pytest.mark.parametrize("broken", [b"not a profile", wide_gamut()[:150], only_black_ink_shows()])
def test_a_profile_that_is_damaged_or_of_another_mode_is_left_out(photo, encode, broken):
    assert np.array_equal(load_image(encode(photo, "PNG", icc_profile=broken)), photo)


def test_a_pil_picture_is_not_changed(photo):
    picture = Image.fromarray(photo).convert("RGBA")
    before = picture.tobytes()
    load_image(picture)
    assert picture.mode == "RGBA"
    assert picture.tobytes() == before


def test_a_stream_and_a_buffer_give_what_bytes_give(photo, encode):
    data = encode(photo, "PNG")
    for source in (io.BytesIO(data), bytearray(data), memoryview(data), Image.open(io.BytesIO(data)), photo):
        assert np.array_equal(load_image(source), photo)
