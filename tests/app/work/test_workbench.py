import shutil
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from app.work.uploads import picture_file
from app.work.workbench import PictureFile
from avsl_core.comparison import compare
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


def test_each_visitor_keeps_the_own_name_of_a_picture_that_others_gave_too(bench, files, tmp_path):
    mine = PictureFile(files["scan.tif"], "mine.tif")
    yours = PictureFile(shutil.copy(files["scan.tif"], tmp_path / "b.tif"), "yours.tif")
    shown = [picture_file(str(bench.preview(file))) for file in (mine, yours)]
    originals = [bench.original(file) for file in shown]
    assert [file.name for file in originals] == ["mine.tif", "yours.tif"]
    assert [file.read() for file in originals] == [mine.read(), yours.read()]


@pytest.mark.parametrize("name", ["../../etc/x.tif", "C:\\me\\x.tif", "x.tif\0", "\u9ce5" * 300, "..", ""])
def test_no_name_leads_a_preview_out_of_its_folder(bench, files, name):
    preview = bench.preview(PictureFile(files["scan.tif"], name))
    assert preview.parent.parent == bench.preview_folder
    assert "me" not in preview.name and len(preview.name.encode()) < 200


def test_a_preview_whose_original_has_gone_stands_for_itself(bench, files, tmp_path):
    upload = Path(shutil.copy(files["scan.tif"], tmp_path / "upload.tif"))
    shown = picture_file(str(bench.preview(PictureFile(upload, "scan.tif"))))
    upload.unlink()
    assert bench.original(shown) is shown


def test_a_preview_that_was_swept_is_made_anew(bench, files):
    file = picture_file(str(files["scan.tif"]))
    before = bench.preview(file)
    data = before.read_bytes()
    shutil.rmtree(before.parent)
    assert bench.preview(file).read_bytes() == data


def test_a_preview_is_never_seen_half_written(bench, files):
    file = picture_file(str(files["scan.tif"]))
    preview = bench.preview(file)
    whole, seen, done = preview.read_bytes(), set(), threading.Event()

    def look():
        while not done.is_set():
            try:
                seen.add(preview.read_bytes())
            except FileNotFoundError:
                continue

    onlooker = threading.Thread(target=look)
    onlooker.start()
    for _ in range(40):
        preview.unlink()
        bench.preview(file)
    while not seen:  # on few cores the onlooker may come late
        assert onlooker.is_alive()
        time.sleep(0.01)
    done.set()
    onlooker.join()
    assert seen == {whole}
    assert [path for path in bench.preview_folder.rglob("*") if path.is_file()] == [preview]


def test_a_preview_can_be_made_by_many_at_once(bench, files):
    file, failed = picture_file(str(files["scan.tif"])), []

    def make():
        try:
            for _ in range(10):
                shutil.rmtree(bench.preview(file).parent, ignore_errors=True)  # as a sweeper would
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
