"""A crash or a full disk at any moment leaves the old gallery whole, and the next run finishes."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avsl_core.errors import GalleryError
from avsl_core.gallery import Gallery, remove_pictures
from avsl_core.gallery.files import locked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def driven(tmp_path_factory, draw):
    """What came of many killed and refused builds, see crash_driver.py."""
    folder = tmp_path_factory.mktemp("crash")
    for number in range(4):
        draw(folder / "base" / f"class{number % 2}" / f"{number}.png")
    # Of everything a little: new, changed, gone and copied files.
    shutil.copytree(folder / "base", folder / "more")
    shutil.copy(folder / "base" / "class1" / "1.png", folder / "more" / "class1" / "again.png")
    (folder / "more" / "class0" / "0.png").unlink()
    draw(folder / "more" / "class1" / "1.png", seed="changed")
    for number in range(4, 6):
        draw(folder / "more" / f"class{number % 3}" / f"{number}.png")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crash_driver.py")), str(ROOT), str(folder)],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


def test_a_build_killed_at_random_moments_leaves_the_old_gallery_or_the_new_one(driven):
    assert driven["moments"]["kills"] >= 30


def test_a_build_killed_at_each_single_write_leaves_the_old_gallery_or_the_new_one(driven):
    assert driven["writes"]["kills"] >= 40
    assert driven["writes"]["old_then_new"]


def test_a_full_disk_is_reported_whoever_writes_and_the_next_run_finishes(driven):
    assert len(driven["full"]) == 5
    for message in driven["full"]:
        assert "could not be written (File too large); free some space" in message
        assert "run the same again" in message


class FullDisk:
    """Lets a number of durable writes pass, and then refuses each as a full disk does."""

    def __init__(self, monkeypatch):
        self.left = None
        real = os.fsync

        def fsync(descriptor):
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)


def test_a_disk_that_is_full_at_any_write_leaves_the_old_gallery(
    build, pictures, draw, contents, monkeypatch, tmp_path
):
    for number in range(6):
        draw(pictures / "class1" / f"new{number}.png")
    _, undisturbed = build(pictures, into=tmp_path / "project" / "undisturbed")
    expected = contents(undisturbed)
    added = [path.rename(tmp_path / path.name) for path in pictures.rglob("new*.png")]
    _, gallery = build(pictures)
    old = contents(gallery)
    for path in added:
        path.rename(pictures / "class1" / path.name)
    disk = FullDisk(monkeypatch)
    for passed in range(1000):
        disk.left = passed
        try:
            _, gallery = build(pictures, map="pca")
            break
        except GalleryError as error:
            assert "No space left on device" in str(error)
            assert "free some space" in str(error)
        now = contents(Gallery.open(gallery.path))
        if now != old:  # the manifest had its name already when the disk would not confirm it
            assert {name: now[name] for name in expected} == expected
            assert len(now) == len(expected)
            break
    disk.left = None
    _, gallery = build(pictures, map="pca")
    assert passed > 10
    final = contents(gallery)
    assert {name: final[name] for name in expected} == expected


def test_removing_on_a_full_disk_removes_nothing(build, pictures, contents, monkeypatch):
    _, gallery = build(pictures)
    old = contents(gallery)
    disk = FullDisk(monkeypatch)
    for passed in range(100):
        disk.left = passed
        try:
            remove_pictures(gallery.path, ["class0/0.png"])
            break
        except GalleryError as error:
            assert "No space left" in str(error)
        now = contents(Gallery.open(gallery.path))
        if now != old:  # the manifest had its name already when the disk would not confirm it
            break
    disk.left = None
    assert passed > 4
    final = Gallery.open(gallery.path)
    assert final.count == 11
    assert contents(final).keys() == old.keys() - {"class0/0.png"}


def test_only_one_process_changes_a_gallery_at_a_time(build, pictures, draw):
    _, gallery = build(pictures)
    draw(pictures / "class0" / "new.png")
    with locked(gallery.path):
        for change in (lambda: build(pictures), lambda: remove_pictures(gallery.path, ["class0/0.png"])):
            with pytest.raises(GalleryError, match="is being changed by another process"):
                change()
        assert Gallery.open(gallery.path).count == 12
    assert build(pictures)[1].count == 13


def test_a_worker_that_outlives_a_killed_build_does_not_keep_the_lock(build, pictures, tmp_path):
    from avsl_core.gallery.encode import _Closing

    build(pictures)
    with locked(tmp_path / "project" / "gallery") as lock:
        child = os.fork()
        if child == 0:
            closing = _Closing(lock)
            closing._owner = os.getppid()
            closing(0)
            try:
                os.fstat(lock)
            except OSError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(GalleryError, match="another process"):
            build(pictures)


def test_files_of_others_in_the_folder_are_left_alone(build, pictures, draw):
    _, gallery = build(pictures)
    (gallery.path / "fast" / "index").mkdir(parents=True)
    (gallery.path / "fast" / "index" / "data.bin").write_bytes(b"theirs")
    (gallery.path / "notes.txt").write_text("mine")
    draw(pictures / "class0" / "new.png")
    build(pictures)
    remove_pictures(gallery.path, ["class0/0.png"])
    assert (gallery.path / "fast" / "index" / "data.bin").read_bytes() == b"theirs"
    assert (gallery.path / "notes.txt").read_text() == "mine"


def test_folders_of_others_beside_segments_and_chunks_are_left_alone(build, pictures, draw):
    _, gallery = build(pictures)
    for name in ("segments", "pending"):
        (gallery.path / name / "theirs").mkdir(parents=True)
        (gallery.path / name / "theirs" / "file").write_bytes(b"theirs")
    (gallery.path / "map-of-the-town.npy").write_bytes(b"theirs")
    draw(pictures / "class0" / "new.png")
    build(pictures)
    remove_pictures(gallery.path, ["class0/0.png"])
    kept = ["map-of-the-town.npy", "pending/theirs/file", "segments/theirs/file"]
    assert [(gallery.path / name).read_bytes() for name in kept] == [b"theirs"] * 3


@pytest.fixture
def synced(monkeypatch):
    """Paths of what is brought to the disk while a test runs, in order."""
    paths, real = [], os.fsync

    def fsync(descriptor):
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_thumbnails_are_on_the_disk_before_the_chunk_that_says_so(build, pictures, synced):
    _, gallery = build(pictures, chunk=50)
    before = synced[: next(n for n, path in enumerate(synced) if path.name.startswith("chunk.json"))]
    places = {gallery.thumbnail(row).parent for row in range(12)}
    assert {*places, gallery.path / "thumbnails", gallery.path} <= set(before)


def test_what_a_manifest_names_is_on_the_disk_before_it_is(build, pictures, synced):
    _, gallery = build(pictures, map="pca")
    synced.clear()
    remove_pictures(gallery.path, ["class0/0.png"])
    state = Gallery.open(gallery.path).manifest
    manifest = synced.index(gallery.path / "manifest.json.tmp")
    for name in (state.map.file, state.removed):
        assert gallery.path in synced[synced.index(gallery.path / name) : manifest]


def test_a_worker_without_the_lock_closes_no_other_file(build, pictures, tmp_path):
    from avsl_core.gallery.encode import _Closing

    build(pictures)
    with locked(tmp_path / "project" / "gallery") as lock:
        closing = _Closing(lock)
    closing._owner = os.getppid()
    closing(0)  # a number that no file has any more
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    try:
        assert other == lock  # the system gives the lowest number that is free
        closing(0)
    finally:
        os.close(other)  # was still open
