"""Thumbnails that were lost come back, and those that nobody needs go."""

import os

from PIL import Image

from avsl_core.gallery import remove_pictures


def test_a_lost_thumbnail_is_made_again_by_the_next_build(build, pictures, encodings):
    _, gallery = build(pictures)
    lost = [gallery.thumbnail(row) for row in (2, 7)]
    whole = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    before = encodings()
    report, after = build(pictures)
    assert [path.read_bytes() for path in lost] == whole
    assert (report.unchanged, encodings(), after.generation) == (12, before, gallery.generation)


def test_a_thumbnail_is_not_made_from_another_content(build, pictures):
    _, gallery = build(pictures)
    lost, path = gallery.thumbnail(3), gallery.item(3).path
    lost.unlink()
    status = path.stat()
    Image.new("RGB", (8, 8)).save(path)
    path.write_bytes(path.read_bytes().ljust(status.st_size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # passes for the file that was indexed
    assert build(pictures)[0].unchanged == 12
    assert not lost.exists()


def test_thumbnails_without_a_picture_are_swept_when_pruning(build, pictures):
    _, gallery = build(pictures)
    folder = gallery.thumbnail(0).parent
    orphan, half = folder / f"{folder.name}{'0' * 30}.webp", folder / f".{'0' * 32}.webp.12ab.tmp"
    mine = folder / "notes.txt"
    for file in (orphan, half, mine):
        file.touch()
    build(pictures)
    assert orphan.exists()
    build(pictures, prune=True)
    assert (orphan.exists(), half.exists(), mine.exists()) == (False, False, True)
    assert all(gallery.thumbnail(row).is_file() for row in range(12))


def test_thumbnails_without_a_picture_are_swept_when_rows_are_dropped(build, pictures):
    _, gallery = build(pictures)
    orphan = gallery.thumbnail(0).with_name(f".{'0' * 32}.webp.12ab.tmp")
    orphan.touch()
    remove_pictures(gallery.path, ["class0/0.png"])
    assert orphan.exists()
    remove_pictures(gallery.path, ["class0/3.png", "class0/6.png", "class0/9.png"])
    assert not orphan.exists()
    assert len(list(gallery.path.glob("thumbnails/*/*"))) == 8
