"""load_image with a box: a part of the picture, and nothing else of it."""

import numpy as np
import pytest
from PIL import Image

from avsl_core.errors import ImageError
from avsl_core.images import load_image


def test_gives_what_is_inside_the_box(photo):
    cut = load_image(photo, box=(10, 5, 40, 20))
    assert np.array_equal(cut, photo[5:20, 10:40])
    assert cut.flags.c_contiguous
    assert cut.flags.writeable


def test_leaves_out_what_of_the_box_lies_outside_the_picture(photo):
    assert np.array_equal(load_image(photo, box=(-3, 40, 900, 900)), photo[40:])


def test_counts_pixels_of_the_upright_picture(photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    data = encode(photo, "PNG", exif=exif)
    assert np.array_equal(load_image(data, box=(2, 3, 9, 30)), load_image(data)[3:30, 2:9])


def test_is_cut_at_full_size_although_a_smaller_one_would_do(encode):
    data = encode(np.zeros((400, 600, 3), np.uint8), "JPEG")
    assert load_image(data, target_side=40).shape != (400, 600, 3)
    assert load_image(data, target_side=40, box=(100, 100, 300, 250)).shape == (150, 200, 3)


@pytest.mark.parametrize("box", [(64, 0, 70, 10), (0, 48, 10, 60), (-9, -9, 0, 0)])
def test_a_box_beside_the_picture_is_an_error_that_names_both(photo, tmp_path, box):
    path = tmp_path / "bird.png"
    Image.fromarray(photo).save(path)
    with pytest.raises(ImageError, match=r"bird\.png: nothing of its box .* lies in its 64 x 48 pixels"):
        load_image(path, box=box)
