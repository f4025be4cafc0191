"""Every way to fail is one ImageError, of one line, that names the picture and says what to do."""

import io
import os
import re
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from avsl_core.errors import ConfigError, ImageError
from avsl_core.images import load_image

KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"]


def failure(source, **options):
    with pytest.raises(ImageError) as caught:
        load_image(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    path = tmp_path / "nowhere.jpg"
    assert failure(path) == f"{path}: no such file; check the path"


def test_a_path_may_be_a_string(tmp_path):
    assert "no such file" in failure(str(tmp_path / "nowhere.jpg"))


def test_a_folder(tmp_path):
    assert failure(tmp_path) == f"{tmp_path}: a folder, not a picture; name one file in it"


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    assert failure(path).startswith(f"{path}: empty, 0 bytes")


@pytest.mark.parametrize("source", [b"", bytearray(), io.BytesIO()])
def test_empty_bytes(source):
    assert failure(source, name="upload").startswith("upload: empty, 0 bytes")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    assert "not a regular file" in failure(path)


@pytest.mark.parametrize("path", ["x" * 5000, "nul\0inside.jpg"])
def test_a_path_that_no_file_can_have(path):
    assert "cannot be read" in failure(path)


def test_an_empty_path():
    assert failure("").startswith("(empty path): ")


def test_a_name_with_line_breaks_stays_on_one_line():
    assert failure(b"", name="two\nlines\x1b[31m").startswith("two lines [31m: empty")


def test_a_stream_that_was_opened_as_text():
    assert "open it in binary mode" in failure(io.StringIO("abc"))


def test_a_closed_stream(photo, encode):
    stream = io.BytesIO(encode(photo, "PNG"))
    stream.close()
    assert "reading it failed" in failure(stream)


def test_a_stream_that_fails_midway():
    class Broken(io.RawIOBase):
        name = "camera"

        def read(self, size=-1):
            raise OSError("cable pulled out")

    assert failure(Broken()) == "camera: reading it failed (cable pulled out); try again"


@pytest.mark.parametrize("source", [None, 3, 2.5, object(), [[0]]])
def test_something_that_holds_no_picture(source):
    assert "holds no picture; give a path" in failure(source)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((16, 16, 3), np.float32),
        np.zeros((16, 16), np.uint16),
        np.zeros((16, 16, 2), np.uint8),
        np.zeros((3, 16, 16), np.uint8),
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros(16, np.uint8),
        np.zeros((16, 16), bool),
    ],
)
def test_an_array_of_another_kind_is_refused_with_what_is_expected(array):
    message = failure(array, name="frame")
    assert message.startswith(f"frame: an array of {array.dtype}")
    assert "give uint8 of shape [H, W], [H, W, 3] or [H, W, 4]" in message


def test_an_empty_array():
    assert "too long and thin" in failure(np.zeros((0, 16, 3), np.uint8))


def test_arrays_of_grey_rgb_and_rgba_are_accepted_and_copied(photo):
    assert np.array_equal(load_image(photo[..., 0])[..., 2], photo[..., 0])
    clear = np.dstack([photo, np.zeros(photo.shape[:2], np.uint8)])
    assert load_image(clear).min() == 255
    mirrored = photo[:, ::-1]
    loaded = load_image(mirrored)
    assert np.array_equal(loaded, mirrored)
    assert not np.shares_memory(loaded, photo)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_picture_that_was_cut_short(photo, encode, kind, share):
    data = encode(photo, kind)
    message = failure(data[: int(len(data) * share)], name="half")
    assert message.startswith("half: damaged, cut short, or of a rare variant (")
    assert "copy it again" in message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "HEIF"])
def test_a_picture_cut_short_is_refused_even_where_a_program_told_pillow_to_accept_it(
    photo, encode, kind, monkeypatch
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode(photo, kind)
    assert "cut short" in failure(data[: int(len(data) * 0.8)])


def test_reading_a_cut_picture_leaves_pillows_switch_alone(photo, encode):
    failure(encode(photo, "JPEG")[:300])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(
    "signature", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("rest", [b"", b"\0" * 200, b"\xff" * 200])
def test_a_right_beginning_with_nothing_behind_it(signature, rest):
    assert failure(signature + rest, name="head").startswith("head: ")


def test_a_pil_picture_whose_file_is_cut_short(photo, encode):
    picture = Image.open(io.BytesIO(encode(photo, "PNG", compress_level=0)[:4000]))
    assert "cut short" in failure(picture)


def test_a_path_names_itself_whatever_name_says(tmp_path):
    path = tmp_path / "wren.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    assert failure(path, name="other").startswith(f"{path}: ")


@pytest.mark.parametrize("side", [0, -5])
def test_a_target_side_out_of_range_is_a_config_error(photo, side):
    with pytest.raises(ConfigError, match="target_side"):
        load_image(photo, target_side=side)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 64, 64, 1, 3, 0, 0, 0, 0, 0, 0),
        b"GIF89a" + bytes(5),
        b"II*\0" + bytes(30),
        b"\x89PNG\r\n\x1a\n" + bytes(30),
    ],
)
def test_the_reason_is_words_and_no_name_or_number_from_inside_a_codec(data):
    reason = re.search(r"rare variant \((.*?)\); copy it again", failure(data)).group(1)
    assert re.fullmatch(r"[A-Za-z][A-Za-z',:. -]*", reason)
    assert not re.search("Error|driver|decoder|codec|index out", reason)
