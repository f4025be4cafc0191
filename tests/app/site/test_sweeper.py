import os
import time

import pytest

from app.site.sweeper import Sweeper, SweeperOptions


@pytest.fixture
def folder(tmp_path):
    """A folder of uploads as Gradio fills it; `put` adds a file of some age."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()

    def put(name, hours, size=10):
        file = uploads / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(size))
        written = time.time() - hours * 3600
        os.utime(file, (written, written))
        return file

    return uploads, put


def sweep(uploads, *, hours=24.0, most=10**9, spared=()):
    options = SweeperOptions(hours * 3600, most)
    return Sweeper(lambda: [uploads], options, lambda: {str(file) for file in spared}).sweep()


def test_old_files_go_and_young_ones_stay(folder):
    uploads, put = folder
    old, young = put("a/old.png", 25), put("b/young.png", 23)
    assert sweep(uploads) == 1
    assert (old.exists(), young.exists()) == (False, True)


def test_the_folder_of_a_file_that_went_goes_with_it_but_never_the_whole(folder):
    uploads, put = folder
    put("a/old.png", 25), put("old.webp", 25)
    assert sweep(uploads) == 2
    assert list(uploads.iterdir()) == []


def test_the_oldest_go_first_where_it_is_too_much(folder):
    uploads, put = folder
    files = [put(f"{hours}/x.png", hours, size=100) for hours in (1, 2, 3, 4)]
    assert sweep(uploads, most=250) == 2
    assert [file.exists() for file in files] == [True, True, False, False]


def test_what_the_pages_show_to_everybody_stays(folder):
    uploads, put = folder
    example = put("a/example.png", 1000)
    assert sweep(uploads, spared=[example]) == 0
    assert example.exists()


def test_an_upload_that_was_interrupted_goes_soon(folder):
    uploads, put = folder
    dead, alive, preview = put("tmpdead", 0.5), put("tmpalive", 0.01), put("preview.webp", 0.5)
    assert sweep(uploads) == 1
    assert (dead.exists(), alive.exists(), preview.exists()) == (False, True, True)


def test_a_link_is_deleted_and_not_what_it_leads_to(folder, tmp_path):
    uploads, _ = folder
    precious = tmp_path / "precious.txt"
    precious.write_text("stays", encoding="utf-8")
    (uploads / "a").mkdir()
    (uploads / "a" / "link").symlink_to(precious)
    sweep(uploads, hours=1e-9)
    assert precious.exists()
    assert not (uploads / "a").exists()


def test_a_folder_that_is_gone_is_no_trouble(tmp_path):
    assert sweep(tmp_path / "nowhere") == 0
