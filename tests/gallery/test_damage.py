"""What is missing, damaged, foreign or too new is refused with the name of the file."""

import json

import pytest

from avsl_core.errors import GalleryError
from avsl_core.gallery import Gallery, remove_pictures


def only(gallery, pattern):
    found = list(gallery.path.glob(pattern))
    assert len(found) == 1
    return found[0]


FILES = ["vectors.npy", "gates.npy", "limits.npy", "digests.npy", "items-*", "offsets-*", "classes-*"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_segment_that_was_cut_short_is_named(build, pictures, name):
    _, gallery = build(pictures)
    file = only(gallery, f"segments/*/{name}")
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    with pytest.raises(GalleryError, match=rf"{file.name}: damaged \(it has .* bytes instead of .*\)"):
        Gallery.open(gallery.path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_segment_that_is_gone_is_named(build, pictures, name):
    _, gallery = build(pictures)
    file = only(gallery, f"segments/*/{name}")
    file.unlink()
    with pytest.raises(GalleryError, match=rf"{file.name}: damaged \(it is missing\)"):
        Gallery.open(gallery.path)


@pytest.mark.parametrize("pattern", ["removed-*.npy", "map-*.npy"])
def test_a_missing_file_of_the_gallery_itself_is_named(build, pictures, pattern):
    _, gallery = build(pictures, map="pca")
    remove_pictures(gallery.path, ["class0/0.png"])
    file = only(gallery, pattern)
    file.unlink()
    with pytest.raises(GalleryError, match=file.name):
        Gallery.open(gallery.path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": "other"}', '"\\ud800"', "[" * 9999])
def test_a_manifest_that_is_none_is_refused(build, pictures, content):
    _, gallery = build(pictures)
    (gallery.path / "manifest.json").write_text(content)
    with pytest.raises(GalleryError, match=r"manifest\.json: (damaged|not the manifest of a gallery)"):
        Gallery.open(gallery.path)


@pytest.mark.parametrize("key", ["checkpoint", "segments", "generation", "dtype"])
def test_a_manifest_with_wrong_values_is_refused(build, pictures, key):
    _, gallery = build(pictures)
    path = gallery.path / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {key: 7}))
    with pytest.raises(GalleryError, match=rf"manifest\.json: damaged .*{key}"):
        Gallery.open(gallery.path)


def test_a_newer_version_says_so(build, pictures):
    _, gallery = build(pictures)
    path = gallery.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2}))
    with pytest.raises(GalleryError, match="version 2 of the format, this library reads version 1; update"):
        Gallery.open(gallery.path)
    with pytest.raises(GalleryError, match="version 2"):
        build(pictures)


def test_a_segment_outside_the_gallery_is_refused(build, pictures):
    _, gallery = build(pictures)
    path = gallery.path / "manifest.json"
    values = json.loads(path.read_text())
    values["segments"][0]["id"] = "../../elsewhere"
    path.write_text(json.dumps(values))
    with pytest.raises(GalleryError, match=r"manifest\.json: damaged"):
        Gallery.open(gallery.path)


def test_a_damaged_chunk_of_an_unfinished_build_is_encoded_again(build, pictures, encodings):
    from avsl_core.gallery import BuildCancelled

    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    chunks = sorted((pictures.parent / "gallery" / "pending").iterdir())
    (chunks[0] / "chunk.json").write_text("{")
    (chunks[1] / "vectors.npy").write_bytes(b"")
    before = encodings()
    _, gallery = build(pictures)
    assert encodings() - before == 12
    assert gallery.count == 12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such gallery; make one with `index`"),
        (lambda path: path.mkdir(), "not a gallery"),
        (lambda path: path.write_text("file"), "not a gallery"),
    ],
    ids=["missing", "empty folder", "file"],
)
def test_what_is_no_gallery_is_refused(tmp_path, make, message):
    make(tmp_path / "thing")
    with pytest.raises(GalleryError, match=message):
        Gallery.open(tmp_path / "thing")
