"""What a gallery gives back of what was put in."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.comparison import encode_picture
from avsl_core.encoding import encode_pictures
from avsl_core.errors import GalleryError
from avsl_core.gallery import Gallery, remove_pictures
from avsl_core.gallery.segment import SegmentWriter
from avsl_core.models import Rows
from avsl_core.search.source import BLOCK_ROWS


def encoded(checkpoint, gallery):
    paths = [gallery.item(row).path for row in range(len(gallery))]
    model = checkpoint.model
    return model.rows(encode_pictures(model, checkpoint.preprocess, paths, role="gallery"))


@pytest.mark.parametrize("chosen", ["checkpoint", "plain_checkpoint"])
def test_rows_are_what_the_model_encodes(request, build, pictures, chosen):
    checkpoint = request.getfixturevalue(chosen)
    _, gallery = build(pictures, using=checkpoint)
    stored, expected = gallery.read(0, len(gallery)), encoded(checkpoint, gallery)
    torch.testing.assert_close(stored.vectors, expected.vectors, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(stored.gates, expected.gates, rtol=1e-4, atol=1e-5)
    assert stored.vectors.dtype == torch.float32
    checkpoint.model.measure().check(stored)


def test_a_row_is_what_encoding_that_picture_alone_gives(build, pictures, checkpoint):
    _, gallery = build(pictures)
    one = checkpoint.model.rows(encode_picture(checkpoint, gallery.item(7).path, role="gallery").encoding)
    torch.testing.assert_close(gallery.read(7, 8).vectors, one.vectors, rtol=1e-4, atol=1e-5)


def test_half_precision_rounds_and_halves_the_files(build, pictures, tmp_path):
    _, full = build(pictures)
    _, half = build(pictures, into=tmp_path / "half", dtype="fp16")
    assert (full.dtype, half.dtype) == ("fp32", "fp16")
    everything = full.read(0, len(full))
    stored = half.read(0, len(half))
    torch.testing.assert_close(stored.vectors, everything.vectors.half().float(), rtol=2e-3, atol=1e-5)
    torch.testing.assert_close(stored.gates, everything.gates.half().float(), rtol=2e-3, atol=1e-5)
    assert stored.vectors.dtype == torch.float32
    assert 2 * vector_bytes(half) == vector_bytes(full)


def vector_bytes(gallery):
    files = gallery.path.glob("segments/*/vectors.npy")
    return sum(np.load(file).nbytes for file in files)


@pytest.mark.parametrize("segment_rows", [4, 65_536])
def test_rows_are_gathered_in_the_order_asked_for(build, pictures, segment_rows):
    _, gallery = build(pictures, segment_rows=segment_rows)
    everything = gallery.read(0, len(gallery))
    wanted = torch.tensor([11, 0, 5, 5, 3, 8, 0])
    gathered = gallery.gather(wanted)
    assert torch.equal(gathered.vectors, everything.vectors[wanted])
    assert torch.equal(gathered.gates, everything.gates[wanted])


def test_no_rows_can_be_gathered_and_read(build, pictures, checkpoint):
    _, gallery = build(pictures)
    measure = checkpoint.model.measure()
    for rows in (gallery.gather(torch.empty(0, dtype=torch.int64)), gallery.read(3, 3)):
        assert rows.vectors.shape == (0, measure.dimensions)
        assert rows.gates.shape == (0, measure.gates)


@pytest.mark.parametrize("row", [-1, 12])
def test_a_row_that_is_not_there_is_an_error(build, pictures, row):
    _, gallery = build(pictures)
    for ask in (gallery.item, gallery.thumbnail, lambda r: gallery.gather(torch.tensor([r]))):
        with pytest.raises(IndexError):
            ask(row)


def test_a_removed_row_has_no_item(build, pictures):
    _, gallery = build(pictures)
    remove_pictures(gallery.path, ["class0/3.png"])
    after = Gallery.open(gallery.path)
    with pytest.raises(IndexError, match="row 1 was removed"):
        after.item(1)
    assert after.item(2).name == "class0/6.png"


@pytest.mark.parametrize(
    ("key", "value"), [("roots", []), ("classes", ["class0"])], ids=["no such root", "no such class"]
)
def test_an_item_with_a_number_of_nothing_is_damaged(build, pictures, key, value):
    _, gallery = build(pictures)
    path = gallery.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    damaged = Gallery.open(gallery.path)
    with pytest.raises(GalleryError, match="a root or class that is not there"):
        damaged.item(11)
    with pytest.raises(GalleryError, match="a root or class that is not there"):
        damaged.find("class2/11.png")


def test_reading_goes_across_segments(build, pictures):
    _, gallery = build(pictures, segment_rows=5)
    everything = gallery.gather(torch.arange(12))
    assert torch.equal(gallery.read(3, 12).vectors, everything.vectors[3:])
    assert [len(block) for block in gallery.blocks()] == [5, 5, 2]


def test_blocks_cover_all_rows_and_their_limits_hold(build, pictures):
    _, gallery = build(pictures, segment_rows=5, dtype="fp16")
    stop = 0
    for block in gallery.blocks():
        assert block.start == stop
        stop = block.stop
        gates = gallery.read(block.start, block.stop).gates
        assert torch.equal(block.low, gates.amin(dim=0))
        assert torch.equal(block.high, gates.amax(dim=0))
    assert stop == len(gallery)


def test_limits_of_a_large_segment_are_block_by_block(tmp_path):
    rows = 2 * BLOCK_ROWS + 100
    gates = np.random.default_rng(0).random((rows, 3), dtype=np.float32)
    writer = SegmentWriter(tmp_path / "segment", rows, 2, 3, np.dtype(np.float32))
    for start in range(0, rows, 5000):  # batches that do not end where blocks end
        part = gates[start : start + 5000]
        writer.append(np.zeros((len(part), 2), np.float32), part, np.zeros((len(part), 16), np.uint8))
    writer.close()
    limits = np.load(tmp_path / "segment" / "limits.npy")
    blocks = [gates[start : start + BLOCK_ROWS] for start in range(0, rows, BLOCK_ROWS)]
    expected = np.stack([[block.min(axis=0), block.max(axis=0)] for block in blocks])
    assert np.array_equal(limits, expected)


def test_an_item_says_what_and_where_a_picture_is(build, pictures, draw):
    draw(pictures / "class0" / "wide.jpg", size=(90, 50))
    _, gallery = build(pictures)
    row = gallery.find("class0/wide.jpg")
    item = gallery.item(row)
    assert item.row == row
    assert item.path == pictures / "class0" / "wide.jpg"
    assert (item.name, item.class_name, item.copies) == ("class0/wide.jpg", "class0", ())
    assert (item.width, item.height) == (90, 50)


def test_the_size_of_a_large_turned_photograph_is_that_of_the_whole_upright_picture(build, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned").mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 900, 3), dtype=np.uint8))
    picture.save(tmp_path / "turned" / "photo.jpg", exif=exif)
    _, gallery = build(tmp_path / "turned")
    assert (gallery.item(0).width, gallery.item(0).height) == (300, 900)


def test_classes_are_the_folders_of_the_source(build, pictures, draw):
    draw(pictures / "loose.png")
    _, gallery = build(pictures)
    assert gallery.classes == ("class0", "class1", "class2")
    named = [gallery.item(row).class_name for row in range(len(gallery))]
    assert [gallery.classes[code] if code >= 0 else None for code in gallery.class_codes] == named
    assert named[gallery.find("loose.png")] is None


def test_pictures_are_found_by_name_path_and_digest(build, pictures, monkeypatch):
    _, gallery = build(pictures)
    for row in (0, 5, 11):
        item = gallery.item(row)
        assert gallery.find(item.name) == row
        assert gallery.find(item.path) == row
        assert gallery.find(item.digest) == row
    monkeypatch.chdir(pictures / "class1")
    assert gallery.find("4.png") == gallery.find("class1/4.png")
    assert gallery.find("class1/none.png") is None
    assert gallery.find("0" * 32) is None


def test_names_that_are_no_text_are_kept(build, tmp_path, draw):
    draw(tmp_path / "odd" / "a.png")
    name = b"\xff \n.png"
    (tmp_path / "odd" / "a.png").rename(tmp_path / "odd" / os.fsdecode(name))
    _, gallery = build(tmp_path / "odd")
    assert os.fsencode(gallery.item(0).path.name) == name
    assert gallery.item(0).path.exists()


def test_thumbnails_are_small_whole_pictures(build, pictures, draw):
    draw(pictures / "class0" / "wide.png", size=(900, 300))
    _, gallery = build(pictures)
    path = gallery.thumbnail(gallery.find("class0/wide.png"))
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("WEBP", (256, 85))
    assert all(gallery.thumbnail(row).is_file() for row in range(len(gallery)))


def test_a_gallery_refuses_another_checkpoint_and_says_what_to_do(
    build, pictures, checkpoint, plain_checkpoint, new_avsl
):
    from dataclasses import replace
    from pathlib import Path

    _, gallery = build(pictures)
    other = replace(checkpoint, model=new_avsl(seed=5), path=Path("elsewhere/other.safetensors"))
    gallery.check(replace(checkpoint, path=Path("renamed.safetensors")))
    with pytest.raises(
        GalleryError, match=r"made by checkpoint 'unsaved-avsl'.*not by 'other'.*--checkpoint"
    ):
        gallery.check(other)
    with pytest.raises(GalleryError, match="index the pictures again"):
        Gallery.open(gallery.path, checkpoint=plain_checkpoint)
    with pytest.raises(GalleryError, match="made by checkpoint"):
        build(pictures, using=other)


def test_the_stamp_says_how_rows_are_made_up(build, pictures, checkpoint):
    _, gallery = build(pictures)
    measure = checkpoint.model.measure()
    stamp = gallery.stamp
    assert (stamp.method, stamp.parts, stamp.widths, stamp.gates) == (
        "avsl",
        measure.parts,
        measure.widths,
        measure.gates,
    )


def test_a_gallery_finds_its_pictures_after_both_have_moved(build, pictures, tmp_path, encodings):
    build(pictures)
    (tmp_path / "project").rename(tmp_path / "moved")
    before = encodings()
    gallery = Gallery.open(tmp_path / "moved" / "gallery")
    assert gallery.item(0).path == tmp_path / "moved" / "pictures" / gallery.item(0).name
    assert gallery.item(0).path.is_file()
    report, _ = build(tmp_path / "moved" / "pictures", into=tmp_path / "moved" / "gallery")
    assert (report.added, report.unchanged, encodings()) == (0, 12, before)


def test_a_gallery_that_moves_alone_still_finds_pictures_from_elsewhere(build, pictures, tmp_path):
    build(pictures, into=tmp_path / "far" / "gallery")
    (tmp_path / "far").rename(tmp_path / "farther")
    gallery = Gallery.open(tmp_path / "farther" / "gallery")
    assert gallery.item(3).path.is_file()


def test_many_threads_may_read_one_gallery(build, pictures):
    from concurrent.futures import ThreadPoolExecutor

    _, gallery = build(pictures, segment_rows=3)
    everything = gallery.read(0, 12)

    def look(seed):
        rows = torch.randint(12, (20,), generator=torch.Generator().manual_seed(seed))
        found = gallery.gather(rows)
        return torch.equal(found.vectors, everything.vectors[rows]) and gallery.find("class0/0.png") == 0

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(40)))


def test_more_segments_than_are_mapped_at_once_can_be_read(build, pictures, monkeypatch):
    monkeypatch.setattr("avsl_core.gallery.store._MAPPED", 2)
    _, gallery = build(pictures, segment_rows=1)
    rows = torch.arange(11, -1, -1)
    assert torch.equal(gallery.gather(rows).vectors, gallery.read(0, 12).vectors[rows])
    assert isinstance(gallery.read(0, 1), Rows)
