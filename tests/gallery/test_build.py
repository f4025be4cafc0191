"""Building: from any source, again and again, encoding nothing twice."""

import os
import shutil
import tarfile
import zipfile

import pytest
import torch

from avsl_core.errors import ConfigError, DataError, GalleryError
from avsl_core.gallery import BuildCancelled, BuildOptions, Gallery, add_pictures
from avsl_core.precision import effective_precision


def names(gallery):
    alive = [row for row in range(len(gallery)) if gallery.live is None or gallery.live[row]]
    return [gallery.item(row).name for row in alive]


def change(path, draw, seed):
    draw(path, seed=seed)
    os.utime(path, ns=(0, 1_000_000_000 + path.stat().st_mtime_ns))


def test_a_folder_is_indexed_in_natural_order(build, pictures):
    report, gallery = build(pictures)
    assert (report.added, report.unchanged, report.duplicates, report.skipped) == (12, 0, (), ())
    assert report.pictures == gallery.count == len(gallery) == 12
    assert names(gallery)[:5] == [
        "class0/0.png",
        "class0/3.png",
        "class0/6.png",
        "class0/9.png",
        "class1/1.png",
    ]


def test_files_of_equal_content_are_one_picture(build, pictures, encodings):
    shutil.copy(pictures / "class0" / "0.png", pictures / "class2" / "again.png")
    shutil.copy(pictures / "class0" / "0.png", pictures / "class0" / "0 copy.png")
    report, gallery = build(pictures)
    assert set(report.duplicates) == {
        ("class0/0.png", "class0/0 copy.png"),
        ("class2/again.png", "class0/0 copy.png"),
    }
    assert gallery.count == encodings() == 12
    item = gallery.item(gallery.find("class2/again.png"))
    assert (item.name, item.copies) == ("class0/0 copy.png", ("class0/0.png", "class2/again.png"))


def test_a_bad_file_is_reported_and_left_out(build, pictures):
    (pictures / "class1" / "text.jpg").write_text("no picture")
    (pictures / "class1" / "empty.png").touch()
    whole = (pictures / "class1" / "1.png").read_bytes()
    (pictures / "class1" / "cut.png").write_bytes(whole[: len(whole) // 2])
    report, gallery = build(pictures)
    assert dict(report.skipped).keys() == {"class1/text.jpg", "class1/empty.png", "class1/cut.png"}
    assert all("\n" not in reason and str(pictures) not in reason for _, reason in report.skipped)
    assert gallery.count == 12


def test_a_file_that_vanishes_meanwhile_is_reported(build, pictures):
    def vanish(progress):
        (pictures / "class2" / "11.png").unlink(missing_ok=True)

    report, gallery = build(pictures, progress=vanish)
    assert [name for name, _ in report.skipped] == ["class2/11.png"]
    assert gallery.count == 11


def test_no_readable_picture_at_all_is_an_error_that_leaves_no_gallery(build, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_text("text")
    with pytest.raises(GalleryError, match=r"no picture among 1 files.*a\.jpg: not a picture"):
        build(tmp_path / "bad")
    with pytest.raises(GalleryError, match="not a gallery"):
        Gallery.open(tmp_path / "project" / "gallery")


def test_workers_make_the_same_gallery(build, pictures, tmp_path, contents):
    (pictures / "class1" / "text.jpg").write_text("no picture")
    alone, one = build(pictures)
    together, many = build(pictures, into=tmp_path / "other", workers=2, batch_size=2)
    assert contents(one) == contents(many)
    assert alone.skipped == together.skipped


def test_a_list_of_paths_is_indexed_in_its_order(build, pictures, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"project/pictures/class2/5.png\n\n{pictures}/class0/0.png\nproject/none.png\n")
    report, gallery = build(listed)
    assert [gallery.item(row).path for row in range(2)] == [
        pictures / "class2" / "5.png",
        pictures / "class0" / "0.png",
    ]
    assert [reason for _, reason in report.skipped] == ["no such file; check the path"]
    assert gallery.item(0).class_name is None


def test_a_sequence_of_paths_is_a_source(build, pictures):
    _, gallery = build([pictures / "class1" / "1.png", str(pictures / "class0" / "3.png")])
    assert names(gallery) == ["class1/1.png", "class0/3.png"]


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_an_archive_is_a_source(build, pictures, tmp_path, ending):
    archive = tmp_path / f"set{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for file in pictures.rglob("*.png"):
                zipped.write(file, f"wrapped/{file.relative_to(pictures)}")
    else:
        with tarfile.open(archive, "w:gz" if "gz" in ending else "w") as tar:
            tar.add(pictures, "wrapped")
    report, gallery = build(archive)
    assert report.added == 12
    assert gallery.classes == ("class0", "class1", "class2")
    assert gallery.item(0).path.is_file()


def test_an_archive_above_the_limits_is_refused(build, pictures, tmp_path):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in pictures.rglob("*.png"):
            zipped.write(file, file.relative_to(pictures))
    with pytest.raises(DataError, match="more than the 11 files allowed"):
        build(archive, max_archive_files=11)
    with pytest.raises(DataError, match="more than the 100 bytes allowed"):
        build(archive, max_archive_bytes=100)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\0\1", "neither a folder, an archive nor a text file"), (b"\n \n", "no paths in it")],
)
def test_a_file_that_lists_nothing_is_refused(build, tmp_path, content, message):
    (tmp_path / "odd.dat").write_bytes(content)
    with pytest.raises(DataError, match=message):
        build(tmp_path / "odd.dat")


def test_a_source_that_is_not_there_leaves_no_folder(build, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        build(tmp_path / "nowhere")
    assert not (tmp_path / "project").exists()


def test_a_folder_of_something_else_is_not_made_a_gallery(build, pictures, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    with pytest.raises(GalleryError, match=r"not empty \(it has 'chapter1.tex'\); give a new folder"):
        build(pictures, into=tmp_path / "thesis")
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_a_gallery_inside_its_source_does_not_index_its_own_thumbnails(build, pictures):
    build(pictures, into=pictures / "gallery")
    report, gallery = build(pictures, into=pictures / "gallery")
    assert (report.added, report.unchanged, gallery.count) == (0, 12, 12)


def test_building_again_encodes_nothing_and_changes_nothing(build, pictures, encodings):
    _, first = build(pictures)
    before = encodings()
    report, second = build(pictures)
    assert encodings() == before
    assert (report.added, report.unchanged) == (0, 12)
    assert second.generation == first.generation


def test_only_new_pictures_are_encoded(build, pictures, draw, encodings, contents):
    _, first = build(pictures)
    old = contents(first)
    draw(pictures / "class1" / "new.png")
    draw(pictures / "class3" / "newer.png")
    report, second = build(pictures)
    assert (report.added, report.unchanged, encodings()) == (2, 12, 14)
    assert second.generation != first.generation
    now = contents(second)
    assert {name: now[name] for name in old} == old
    assert now["class3/newer.png"][0] == "class3"


def test_a_changed_file_is_encoded_again(build, pictures, draw, encodings, contents):
    _, first = build(pictures)
    old = contents(first)
    change(pictures / "class1" / "4.png", draw, seed="another")
    report, second = build(pictures)
    now = contents(second)
    assert (report.added, report.removed, encodings()) == (1, 1, 13)
    assert now.keys() == old.keys()
    assert [name for name in now if now[name] != old[name]] == ["class1/4.png"]


def test_a_touched_file_is_read_but_not_encoded(build, pictures, encodings):
    _, first = build(pictures)
    before, old = encodings(), names(first)
    os.utime(pictures / "class1" / "4.png", (1, 1))
    report, second = build(pictures)
    assert (report.added, report.unchanged, report.removed, encodings()) == (0, 12, 0, before)
    assert names(second) == old
    assert build(pictures)[1].generation == second.generation


def test_a_file_that_is_gone_stays_unless_pruned(build, pictures):
    build(pictures)
    (pictures / "class0" / "6.png").unlink()
    report, gallery = build(pictures)
    assert (report.removed, gallery.count) == (0, 12)
    report, gallery = build(pictures, prune=True)
    assert (report.removed, gallery.count) == (1, 11)
    assert gallery.find("class0/6.png") is None


def test_pruning_leaves_pictures_of_other_folders_alone(build, pictures, tmp_path, draw):
    draw(tmp_path / "others" / "a.png")
    build(pictures)
    build(tmp_path / "others")
    (pictures / "class0" / "6.png").unlink()
    _, gallery = build(pictures, prune=True)
    assert gallery.find(tmp_path / "others" / "a.png") is not None
    assert gallery.count == 12


def test_a_moved_file_keeps_its_row_and_takes_its_new_class(build, pictures, encodings):
    _, first = build(pictures)
    before = encodings()
    row = first.find("class0/6.png")
    (pictures / "class0" / "6.png").rename(pictures / "class2" / "moved.png")
    report, second = build(pictures, prune=True)
    assert encodings() == before
    assert (report.added, report.removed, report.duplicates) == (0, 0, ())
    assert second.find("class2/moved.png") == row
    assert second.item(row).class_name == "class2"
    assert second.classes[second.class_codes[row]] == "class2"


def test_a_picture_below_an_indexed_folder_keeps_that_folders_names(build, pictures, draw, checkpoint):
    _, gallery = build(pictures)
    new = draw(pictures / "class1" / "late.png")
    report = add_pictures(checkpoint, gallery.path, [new], options=BuildOptions(map="none"))
    assert report.added == 1
    item = Gallery.open(gallery.path).item(12)
    assert (item.name, item.class_name) == ("class1/late.png", "class1")


def test_pictures_are_not_added_to_a_gallery_that_is_not_there(checkpoint, pictures, tmp_path):
    with pytest.raises(GalleryError, match="no such gallery"):
        add_pictures(checkpoint, tmp_path / "none", pictures)


def test_a_gallery_keeps_its_number_type(build, pictures, draw):
    build(pictures, dtype="fp16")
    draw(pictures / "class1" / "new.png")
    _, gallery = build(pictures)
    assert gallery.dtype == "fp16"
    with pytest.raises(GalleryError, match="holds fp16 numbers, not fp32; give --dtype fp16"):
        build(pictures, dtype="fp32")


def test_progress_tells_rate_and_time_left(build, pictures):
    (pictures / "class1" / "text.jpg").write_text("no picture")
    told = []
    build(pictures, progress=told.append, batch_size=4)
    assert (told[0].done, told[0].total, told[0].seconds_left) == (0, 13, None)
    assert (told[-1].done, told[-1].skipped, told[-1].seconds_left) == (13, 1, 0)
    assert all(step.rate > 0 for step in told[1:])
    assert [step.done for step in told] == sorted(step.done for step in told)


def test_a_cancelled_build_goes_on_where_it_stopped(build, pictures, tmp_path, encodings, contents):
    _, undisturbed = build(pictures, into=tmp_path / "undisturbed")
    start = encodings()
    told = []
    with pytest.raises(BuildCancelled, match="goes on where it stopped"):
        build(pictures, batch_size=5, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    with pytest.raises(GalleryError, match="unfinished; run the same"):
        Gallery.open(tmp_path / "project" / "gallery")
    again = []
    report, gallery = build(pictures, progress=again.append)
    assert encodings() - start == 12
    assert (again[0].done, again[0].total) == (10, 12)
    assert report.added == 12
    assert contents(gallery) == contents(undisturbed)
    assert not (gallery.path / "pending").exists()


def test_an_interrupted_update_leaves_the_old_state(build, pictures, draw, contents):
    _, gallery = build(pictures)
    old = contents(gallery)
    for number in range(8):
        draw(pictures / "class1" / f"new{number}.png")

    def interrupt(progress):
        if progress.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(pictures, progress=interrupt)
    assert contents(Gallery.open(gallery.path)) == old
    assert build(pictures)[1].count == 20


def test_finished_chunks_are_not_used_for_files_that_changed_since(build, pictures, draw, encodings):
    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    start = encodings()
    change(pictures / "class0" / "3.png", draw, seed="another")
    _, gallery = build(pictures)
    assert encodings() - start == 2 + 5
    assert gallery.count == 12


@pytest.mark.parametrize("what", ["checkpoint", "dtype", "precision"])
def test_finished_chunks_are_not_used_for_another_build(build, pictures, new_avsl, checkpoint, what):
    from dataclasses import replace

    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    again = []
    other = replace(checkpoint, model=new_avsl(seed=9)) if what == "checkpoint" else checkpoint
    options = {"dtype": {"dtype": "fp16"}, "precision": {"precision": "fp16"}}.get(what, {})
    build(pictures, progress=again.append, using=other, **options)
    assert (again[0].done, again[0].total) == (0, 12)


def test_a_finished_chunk_that_refers_to_a_picture_that_is_gone_gives_way_to_its_replacement(
    build, pictures, draw, encodings
):
    shutil.copy(pictures / "class0" / "0.png", pictures / "class1" / "5 again.png")  # in the second chunk
    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    pending = pictures.parent / "gallery" / "pending"
    (second,) = (chunk for chunk in pending.iterdir() if "again" in (chunk / "chunk.json").read_text())
    second.rename(pending / ("f" * 16))  # whatever order chunks are read in, the old one comes last
    start = encodings()
    change(pictures / "class0" / "0.png", draw, seed="another")
    report, gallery = build(pictures)
    assert encodings() - start == 13
    assert (report.added, gallery.count) == (13, 13)
    assert gallery.item(gallery.find("class1/5 again.png")).copies == ()


def test_a_chunk_of_another_key_is_left_for_its_own_build(build, pictures, encodings):
    for precision in ("none", "fp16"):
        told = []
        with pytest.raises(BuildCancelled):
            build(
                pictures,
                precision=precision,
                progress=told.append,
                cancelled=lambda told=told: told[-1].done >= 5,
            )
    before = encodings()
    build(pictures)
    assert encodings() - before == 7


@pytest.mark.parametrize("name", ["segments", "pending", "thumbnails"])
def test_a_folder_of_others_with_a_gallerys_names_is_refused_and_left_alone(build, pictures, tmp_path, name):
    theirs = tmp_path / "video" / name / "part0001.ts"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(GalleryError, match=f"is not a gallery and not empty .it has '{name}'"):
        build(pictures, into=tmp_path / "video")
    assert theirs.read_bytes() == b"theirs"
    assert [entry.name for entry in (tmp_path / "video").iterdir()] == [name]


def test_pruning_by_a_picture_or_a_list_is_refused(build, pictures, tmp_path):
    _, gallery = build(pictures)
    listed = tmp_path / "list.txt"
    listed.write_text(f"{pictures}/class0/0.png\n")
    for source in (pictures / "class0" / "0.png", listed, [pictures / "class0" / "0.png"]):
        with pytest.raises(ConfigError, match="pruning needs a folder or an archive"):
            build(source, prune=True)
    assert Gallery.open(gallery.path).generation == gallery.generation


@pytest.mark.parametrize(("prune", "left"), [(False, 12), (True, 11)])
def test_a_file_that_was_damaged_since_keeps_its_picture_unless_pruned(build, pictures, prune, left):
    build(pictures)
    (pictures / "class1" / "4.png").write_text("no picture any more")
    report, gallery = build(pictures, prune=prune)
    assert [name for name, _ in report.skipped] == ["class1/4.png"]
    assert (report.removed, gallery.count) == (12 - left, left)


def test_a_gallery_among_its_pictures_is_no_source_by_whatever_path(build, pictures, tmp_path):
    (tmp_path / "link").symlink_to(pictures)
    for source, into in (
        (pictures, pictures / "gallery"),
        (tmp_path / "link", pictures / "gallery"),
        (pictures, tmp_path / "link" / "gallery"),
    ):
        report, gallery = build(source, into=into)
        assert (gallery.count, report.skipped) == (12, ())


def test_lines_of_a_list_end_where_an_editor_ends_them(build, pictures, tmp_path):
    odd = pictures / "class0" / "a\u2028b\x0cc.png"
    (pictures / "class0" / "0.png").rename(odd)
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"{odd}\r\n{pictures}/class0/3.png \r\n".encode())
    report, gallery = build(listed)
    assert (report.skipped, names(gallery)) == ((), [odd.name, "3.png"])


@pytest.mark.parametrize("again", [False, True], ids=["new", "update"])
def test_a_source_that_cannot_be_read_is_named_and_not_the_gallery(build, pictures, tmp_path, again):
    if again:
        build(pictures)
    with pytest.raises(DataError, match=r"x: cannot be read \(File name too long\)"):
        build(tmp_path / ("x" * 300))


def test_pictures_whose_numbers_are_not_finite_are_left_out(build, pictures, checkpoint, new_embedding):
    from dataclasses import replace

    model = new_embedding(seed=3)
    model.projections[0].fill_(float("nan"))
    with pytest.raises(GalleryError, match="not finite"):
        build(pictures, using=replace(checkpoint, model=model))


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": "fp8"}, {"map": "tsne"}, {"chunk": 0}, {"workers": -1}, {"max_archive_bytes": 0}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"gallery {next(iter(wrong))} is"):
        BuildOptions(**wrong)


def test_trunk_precision_changes_numbers_a_little(build, pictures, tmp_path):
    _, full = build(pictures)
    _, rough = build(pictures, into=tmp_path / "rough", precision="fp16")
    a, b = full.read(0, 12).vectors, rough.read(0, 12).vectors
    assert not torch.equal(a, b)
    torch.testing.assert_close(a, b, atol=0.1, rtol=0.1)


def test_chunks_made_in_the_precision_that_bf16_comes_to_here_are_used(build, pictures):
    told = []
    with pytest.raises(BuildCancelled):
        build(
            pictures,
            precision=effective_precision("bf16", torch.device("cpu")),
            progress=told.append,
            cancelled=lambda: told[-1].done >= 10,
        )
    again = []
    build(pictures, precision="bf16", progress=again.append)
    assert again[0].done >= 10
