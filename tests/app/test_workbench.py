import shutil

import pytest
from PIL import Image

from app.uploads import picture_file
from app.workbench import PictureFile
from avsl_core.compare import compare
from avsl_core.errors import ImageError


def test_distance_is_that_of_the_library(bench, checkpoint, files):
    a, b = (picture_file(str(files[name])) for name in ("one.png", "two.jpg"))
    assert bench.compare(a, b).distance == compare(checkpoint, a.path, b.path).distance


def test_equal_content_under_another_name_is_not_encoded_again(bench, files, tmp_path):
    copy = tmp_path / "copy.png"
    shutil.copy(files["one.png"], copy)
    comparison = bench.compare(PictureFile(files["one.png"], "one.png"), PictureFile(copy, "copy.png"))
    assert comparison.a is comparison.b
    assert comparison.verdict.words == "Identical to the model"


def test_a_pair_seen_before_is_remembered(bench, files):
    a, b = (picture_file(str(files[name])) for name in ("one.png", "two.jpg"))
    assert bench.compare(a, b) is bench.compare(a, b)
    assert bench.compare(b, a).a is bench.compare(a, b).b


def test_messages_use_the_name_that_the_visitor_knows(bench, files):
    with pytest.raises(ImageError, match=r"^holiday\.jpg: "):
        bench.check(PictureFile(files["broken.jpg"], "holiday.jpg"))


def test_an_upload_that_is_gone_says_what_to_do(bench, tmp_path):
    with pytest.raises(ImageError, match="choose the picture again"):
        bench.check(PictureFile(tmp_path / "gone.png", "gone.png"))


def test_a_picture_that_browsers_show_needs_no_preview(bench, files):
    assert bench.preview(PictureFile(files["one.png"], "one.png")) is None


def test_a_preview_stands_for_the_original_exactly(bench, files):
    original, other = (picture_file(str(files[name])) for name in ("scan.tif", "one.png"))
    preview = bench.preview(original)
    assert Image.open(preview).format == "WEBP"
    shown = PictureFile(preview, preview.name)
    assert bench.compare(shown, other).distance == bench.compare(original, other).distance
