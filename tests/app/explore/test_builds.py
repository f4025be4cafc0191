"""Building galleries from the page: archives, folders, progress, stopping, and what may go wrong."""

import shutil
import threading
import zipfile
from pathlib import Path

import pytest

from app.compare.results import message_html
from app.explore.build_panel import BuildPanel, _intro, progress_html, report_html
from app.explore.builds import BuildDesk, BuildJob, BuildLimits
from app.work.workbench import PictureFile
from avsl_core.errors import GalleryError
from avsl_core.gallery import BuildReport, Progress


@pytest.fixture
def archive(collection, files, tmp_path):
    """A fresh archive of the collection, with a broken picture and a copy of another."""
    path = tmp_path / "upload.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(collection.glob("*/*.png")):
            packed.write(file, f"mine/{file.parent.name}/{file.name}")
        packed.write(files["broken.jpg"], "mine/a/broken.jpg")
        packed.write(collection / "a" / "0.png", "mine/c/copy.png")
    return PictureFile(path, "My birds.zip")


@pytest.fixture
def bench(shelf):
    return shelf.models.default


@pytest.fixture
def held(bench):
    """The model, waiting."""
    hold = Hold(bench.checkpoint.model)
    yield hold
    hold.release()
    hold.hook.remove()


class TestArchives:
    def test_an_archive_becomes_a_gallery_of_its_name(self, desk, archive, bench):
        job = ended(desk.from_archive(archive, "", bench))
        assert job.problem is None
        assert (job.report.added, len(job.report.skipped), len(job.report.duplicates)) == (15, 1, 1)
        opened = desk.shelf.open("My birds")
        assert opened.gallery.classes == ("a", "b", "c")
        assert opened.gallery.item(14).path.is_file()
        assert opened.gallery.thumbnail(14).is_file()

    def test_it_is_there_after_a_restart(self, desk, archive, bench):
        ended(desk.from_archive(archive, "kept", bench))
        again = type(desk.shelf)(desk.shelf.models, desk.shelf.folder, None)
        assert again.open("kept").gallery.count == 15

    def test_nothing_else_is_left_behind(self, desk, archive, bench):
        ended(desk.from_archive(archive, "mine", bench))
        assert [path.name for path in desk.shelf.folder.iterdir()] == ["mine"]
        assert not archive.path.exists()
        assert not list(desk.shelf.folder.rglob("*.zip"))

    @pytest.mark.parametrize(
        ("name", "folder"), [("../../tmp/x", "tmp x"), ("/etc", "etc"), (" .hidden ", "hidden")]
    )
    def test_a_name_cannot_lead_elsewhere(self, desk, archive, bench, name, folder):
        ended(desk.from_archive(archive, name, bench))
        assert [path.name for path in desk.shelf.folder.iterdir()] == [folder]

    def test_what_fails_at_the_very_end_is_not_called_ready(self, desk, archive, bench, held):
        job = desk.from_archive(archive, "birds", bench)
        held.wait_until_reached()
        (desk.shelf.folder / "birds" / "left").mkdir(parents=True)
        held.release()
        ended(job)
        assert "could not be written" in job.problem
        assert job.report is None

    def test_the_remains_of_another_build_are_found_before_anything_is_read(self, desk, archive, bench):
        (desk.shelf.folder / "My birds").mkdir(parents=True)
        with pytest.raises(GalleryError, match="unfinished gallery has that name"):
            desk.from_archive(archive, "", bench)
        assert archive.path.exists()

    def test_the_demos_name_is_its_own(self, desk, archive, bench):
        with pytest.raises(GalleryError, match="give another name"):
            desk.from_archive(archive, "demo", bench)

    def test_there_may_be_only_so_many_galleries(self, desk, archive, bench, collection):
        small = BuildDesk(desk.shelf, BuildLimits(allow_folders=True, max_galleries=1))
        ended(small.from_folder(str(collection), "first", bench))
        with pytest.raises(GalleryError, match="1 galleries already"):
            small.from_archive(archive, "", bench)
        assert ended(small.from_folder(str(collection), "first", bench)).report.unchanged == 15

    def test_a_name_that_is_taken_is_refused(self, desk, archive, bench, tmp_path):
        second = PictureFile(tmp_path / "second.zip", "My birds.zip")
        second.path.write_bytes(archive.path.read_bytes())
        ended(desk.from_archive(archive, "", bench))
        with pytest.raises(GalleryError, match="there is a gallery of that name"):
            desk.from_archive(second, "", bench)
        assert second.path.exists()

    @pytest.mark.parametrize("name", ["birds.rar", "birds", "zip"])
    def test_only_archives_are_taken(self, desk, archive, bench, name):
        with pytest.raises(GalleryError, match="pack the pictures"):
            desk.from_archive(PictureFile(archive.path, name), "", bench)

    def test_an_archive_may_not_be_too_large(self, desk, archive, bench):
        small = BuildDesk(desk.shelf, BuildLimits(max_archive_bytes=1000))
        with pytest.raises(GalleryError, match="larger than"):
            small.from_archive(archive, "", bench)

    @pytest.mark.parametrize("fault", ["files", "damaged", "empty"])
    def test_a_bad_archive_is_named_and_leaves_nothing(self, desk, archive, bench, fault):
        if fault == "damaged":
            archive.path.write_bytes(archive.path.read_bytes()[:-200])
        with zipfile.ZipFile(archive.path, "w" if fault == "empty" else "a") as packed:
            if fault != "damaged":
                for number in range(3 if fault == "empty" else 60):
                    packed.writestr(f"{number}.txt", "text")
            else:
                archive.path.write_bytes(b"PK\x03\x04 nothing more")
        job = ended(desk.from_archive(archive, "", bench))
        assert job.report is None
        assert "My birds.zip" in job.problem
        assert str(desk.shelf.folder) not in job.problem
        assert list(desk.shelf.folder.iterdir()) == []


class TestFolders:
    def test_a_folder_becomes_a_gallery_and_can_be_brought_up_to_date(
        self, desk, collection, bench, tmp_path
    ):
        folder = tmp_path / "pictures"
        shutil.copytree(collection, folder)
        assert ended(desk.from_folder(str(folder), "", bench)).report.added == 15
        (folder / "a" / "0.png").unlink()
        report = ended(desk.from_folder(str(folder), "", bench)).report
        assert (report.added, report.unchanged, report.removed) == (0, 14, 1)
        assert desk.shelf.open("pictures").gallery.count == 14

    def test_a_gallery_of_other_pictures_is_left_alone(self, desk, collection, bench, tmp_path):
        shutil.copytree(collection, tmp_path / "one")
        shutil.copytree(collection, tmp_path / "two")
        ended(desk.from_folder(str(tmp_path / "one"), "name", bench))
        with pytest.raises(GalleryError, match="with other pictures"):
            desk.from_folder(str(tmp_path / "two"), "name", bench)

    def test_folders_may_be_out_of_bounds(self, desk, collection, bench):
        public = BuildDesk(desk.shelf, BuildLimits(allow_folders=False))
        with pytest.raises(GalleryError, match="upload an archive"):
            public.from_folder(str(collection), "", bench)

    @pytest.mark.parametrize(
        "folder", ["nowhere/at/all", "/nowhere/at/all", ".", "~nobody-at-all/x", f"/{'x' * 5000}", "/a\0b"]
    )
    def test_a_missing_folder_is_named(self, desk, bench, folder):
        with pytest.raises(GalleryError, match="no such folder"):
            desk.from_folder(folder, "", bench)

    def test_a_folder_is_the_same_by_whatever_way(self, desk, collection, bench):
        ended(desk.from_folder(str(collection), "one", bench))
        roundabout = f"{collection}/a/../../{collection.name}"
        assert ended(desk.from_folder(roundabout, "one", bench)).report.unchanged == 15


class TestRunning:
    def test_a_gallery_that_is_called_like_the_demo_is_not_taken_for_it(self, desk, collection, bench, held):
        job = desk.from_folder(str(collection), desk.shelf.demo.title, bench)
        held.wait_until_reached()
        with pytest.raises(GalleryError, match="is being built right now"):
            desk.demo()
        held.release()
        ended(job)

    def test_one_build_at_a_time_and_it_can_be_stopped(self, desk, collection, bench, held):
        job = desk.from_folder(str(collection), "slow", bench)
        held.wait_until_reached()
        with pytest.raises(GalleryError, match="slow, is being built right now"):
            desk.from_folder(str(collection), "other", bench)
        desk.cancel("not its key")
        assert not job.cancelled.is_set()
        desk.cancel(job.key)
        held.release()
        ended(job)
        assert "stopped, as you asked" in job.problem
        assert list(desk.shelf.titles()) == ["demo"]
        assert desk.running is None

    def test_a_stopped_archive_leaves_nothing(self, desk, archive, bench, held):
        job = desk.from_archive(archive, "", bench)
        held.wait_until_reached()
        desk.cancel(job.key)
        held.release()
        ended(job)
        assert list(desk.shelf.folder.iterdir()) == []


class TestPanel:
    def test_progress_comes_first_and_then_the_report(self, desk, archive):
        upload = {"path": str(archive.path), "orig_name": archive.name}
        *running, last = BuildPanel(desk).on_start(upload, "", "", desk.shelf.models.names[0])
        assert "Reading" in running[0][2]
        assert last[1] == "My birds"
        assert "15 pictures (15 added)" in last[2]
        assert "<strong>a/broken.jpg</strong>" in last[2]
        assert "<strong>c/copy.png</strong> is a/0.png" in last[2]
        assert last[5:] == [None, ""]

    def test_a_folder_is_built_from_where_it_lies(self, desk, collection):
        *_, last = BuildPanel(desk).on_start(None, f" {collection} ", "Mine", desk.shelf.models.names[0])
        assert last[1] == "Mine"
        assert desk.shelf.open("Mine").gallery.item(0).path == collection / "a" / "0.png"

    @pytest.mark.parametrize(
        ("archive", "folder", "words"),
        [(None, "", "nothing to build from"), ("x.zip", "/tmp", "not both"), (None, "/nowhere", "/nowhere")],
    )
    def test_a_mistake_is_answered_calmly(self, desk, archive, folder, words):
        (shown,) = BuildPanel(desk).on_start(archive, folder, "", desk.shelf.models.names[0])
        assert words in shown[2]
        assert 'role="alert"' in shown[2]

    @pytest.mark.parametrize("model", ["/etc/passwd", "../x.safetensors", ["default"], None, 3])
    def test_only_models_of_the_menu_are_taken(self, desk, collection, model):
        (shown,) = BuildPanel(desk).on_start(None, str(collection), "n", model)
        assert "no such model here" in shown[2]

    def test_what_nobody_thought_of_is_answered_calmly(self, desk, collection):
        desk.shelf.folder = None  # nothing can be looked up in it
        (shown,) = BuildPanel(desk).on_start(None, str(collection), "n", desk.shelf.models.names[0])
        assert "failed on our side" in shown[2]

    def test_the_start_and_the_end_are_announced_and_no_picture_between(self, desk, collection):
        first, *_, last = BuildPanel(desk).on_start(None, str(collection), "n", desk.shelf.models.names[0])
        assert 'role="status"' in first[2]
        assert 'role="status"' in last[2]
        between = BuildJob("k", "n", progress=Progress(1, 3, 0, 1.0, 2.0))
        assert "1 of 3 pictures" in progress_html(between)
        assert 'role="status"' not in progress_html(between)

    @pytest.mark.parametrize(("public", "size"), [(True, 3 * 2**29), (False, 2**31)])
    def test_the_panel_says_what_may_be_given_and_who_sees_it(self, desk, public, size):
        words = _intro(BuildDesk(desk.shelf, BuildLimits(public=public, max_archive_bytes=size)))
        assert ("1.5 GB" if public else "2 GB") in words
        assert ("Everyone who can open this page" in words) is public

    def test_names_that_are_not_utf8_are_reported(self):
        odd = "caf\udce9.png"
        report_html("n", BuildReport(1, 0, ((odd, odd),), ((odd, odd),), 0, 3.0, Path("g"), 1)).encode()
        message_html(f"{odd}: broken").encode()

    def test_whoever_comes_back_sees_the_build_under_way(self, desk, collection, bench, held):
        job = desk.from_folder(str(collection), "slow", bench)
        watching = BuildPanel(desk).on_open()
        assert next(watching)[0] == job.key
        held.wait_until_reached()
        held.release()
        *_, last = watching
        assert last[1] == "slow"

    def test_progress_in_words(self):
        job = BuildJob("k", "name")
        assert "Reading" in progress_html(job)
        job.progress = Progress(1200, 3600, 2, 17.3, 140.0)
        words = progress_html(job)
        assert "1,200 of 3,600 pictures, 17 a second, 2 min left; 2 could not be read" in words
        assert 'value="1200" max="3600"' in words
        job.progress = Progress(3600, 3600, 0, 17.3, 0.0)
        assert "Drawing the map" in progress_html(job)
        job.cancelled.set()
        assert "Stopping" in progress_html(job)

    def test_long_lists_are_cut_and_names_escaped(self):
        skipped = tuple((f"<i>{number}", "no picture") for number in range(80))
        html = report_html("n", BuildReport(1, 0, (), skipped, 0, 3.0, Path("g"), 1))
        assert "and 30 more" in html
        assert "&lt;i&gt;0" in html
        assert "<i>" not in html
        assert "1 picture (1 added)" in html


class Hold:
    """Keeps the network waiting before its first picture, until released."""

    def __init__(self, model):
        self.reached, self.go = threading.Event(), threading.Event()
        self.hook = model.trunk.register_forward_pre_hook(self)

    def __call__(self, *_):
        self.reached.set()
        assert self.go.wait(120)

    def wait_until_reached(self):
        assert self.reached.wait(120)

    def release(self):
        self.go.set()


def ended(job):
    assert job.done.wait(120)
    return job
