import shutil

import pytest

from app.explore.shelf import Demo, Shelf, calling, default_folder, folder_name
from app.work.models import Models
from avsl_core.errors import CheckpointError, GalleryError
from avsl_core.gallery import BuildOptions, build_gallery


def test_the_demo_comes_first_and_galleries_follow_by_name(shelf, index):
    shutil.copytree(index, shelf.folder / "zebra")
    shutil.copytree(index, shelf.folder / "Ant" / "index")
    (shelf.folder / "nothing").mkdir()
    (shelf.folder / ".demo-0123").mkdir()
    assert list(shelf.titles()) == ["demo", "Ant", "zebra"]
    assert shelf.titles()["demo"] == "Collection"


def test_a_gallery_is_opened_once(shelf):
    assert shelf.open("demo").searcher is shelf.open("demo").searcher


def test_a_gallery_that_was_changed_is_opened_anew(shelf, checkpoint, collection, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(collection, pictures)
    build_gallery(checkpoint, pictures, shelf.folder / "mine")
    assert shelf.open("mine").gallery.count == 15
    shutil.copy(collection.parent / "pictures" / "a" / "0.png", pictures / "a" / "again.png")
    (pictures / "b" / "more.png").write_bytes((collection / "b" / "1.png").read_bytes() + b"\0")
    build_gallery(checkpoint, pictures, shelf.folder / "mine")
    assert shelf.open("mine").gallery.count == 16


@pytest.mark.parametrize("key", ["", "nowhere", "..", "../galleries", "/etc", ".demo-1", "a/b", "a\0b"])
def test_only_known_galleries_can_be_opened(shelf, key):
    shelf.folder.mkdir()
    with pytest.raises(GalleryError, match="no such gallery"):
        shelf.open(key)


def test_a_gallery_of_another_model_says_what_to_do(checkpoint, plain_checkpoint, collection, tmp_path):
    build_gallery(plain_checkpoint, collection, tmp_path / "galleries" / "plain")
    shelf = Shelf(Models(checkpoint), tmp_path / "galleries", None)
    with pytest.raises(
        GalleryError, match=r"plain: was made by a model called unsaved-embedding.*build it again"
    ):
        shelf.open("plain")


def test_each_gallery_is_opened_with_the_model_that_made_it(checkpoint, plain_checkpoint, shelf, collection):
    shelf = Shelf(Models(checkpoint, plain_checkpoint), shelf.folder, shelf.demo)
    build_gallery(plain_checkpoint, collection, shelf.folder / "plain")
    assert shelf.open("plain").bench.checkpoint is plain_checkpoint
    assert shelf.open("demo").bench.checkpoint is checkpoint


@pytest.mark.parametrize("there", ["missing", "foreign"])
def test_a_demo_that_does_not_fit_the_model_is_built_anew(
    checkpoint, plain_checkpoint, collection, index, tmp_path, there
):
    ready = tmp_path / "nowhere" if there == "missing" else index
    shelf = Shelf(Models(plain_checkpoint), tmp_path / "g", Demo(plain_checkpoint, "Demo", ready, collection))
    assert shelf.demo_missing()
    with pytest.raises(GalleryError, match="yet to be built"):
        shelf.open("demo")
    shelf.build_demo()
    assert not shelf.demo_missing()
    assert shelf.open("demo").gallery.count == 15
    assert list(shelf.titles()) == ["demo"]


def test_of_a_gallery_that_changes_only_the_last_state_is_kept(shelf, checkpoint, collection, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(collection, pictures)
    other = shelf.open("demo")
    for number in range(4):
        (pictures / "b" / f"more{number}.png").write_bytes(
            (collection / "b" / "1.png").read_bytes() + bytes(number + 1)
        )
        build_gallery(checkpoint, pictures, shelf.folder / "mine")
        shelf.open("mine")
    assert shelf.open("demo") is other
    assert len(shelf._open) == 2


def test_a_damaged_gallery_is_called_by_its_name_not_by_its_place(shelf, index):
    shutil.copytree(index, shelf.folder / "mine" / "index")
    next((shelf.folder / "mine" / "index").glob("segments/*/digests.npy")).unlink()
    with pytest.raises(GalleryError, match=r"^mine") as raised:
        shelf.open("mine").gallery.digests  # noqa: B018 - whichever of the two finds it
    assert str(shelf.folder) not in str(raised.value)


def test_advice_for_the_command_line_is_not_shown(tmp_path):
    with pytest.raises(GalleryError) as raised, calling(tmp_path, "Mine"):
        raise GalleryError(f"{tmp_path}/manifest.json: damaged; run `index` with --fast, or else")
    assert str(raised.value) == "Mine/manifest.json: damaged; build it again"


def test_classes_without_pictures_are_left_out(shelf, checkpoint, collection, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(collection, pictures)
    build_gallery(checkpoint, pictures, shelf.folder / "mine")
    shutil.rmtree(pictures / "b")
    build_gallery(checkpoint, pictures, shelf.folder / "mine", options=BuildOptions(prune=True))
    assert list(shelf.open("mine").classes) == ["a", "c"]


def test_names_become_folders_that_stay_where_they_belong():
    assert folder_name("../../etc/passwd") == "etc passwd"
    assert folder_name("  Vögel & 2026.tar.gz ") == "Vögel 2026.tar.gz"
    assert folder_name("...") == folder_name("/\\:*?") == ""
    assert len(folder_name("x" * 300)) == 60


def test_the_users_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "avsl" / "galleries"


def test_models_are_known_by_name_and_by_fingerprint(checkpoint, plain_checkpoint):
    models = Models(checkpoint, plain_checkpoint, checkpoint)
    assert models.names[:2] == ["unsaved-avsl", "unsaved-embedding"]
    plain = models.named("unsaved-embedding")
    assert models.marked(models.mark(plain)) is plain
    for stranger in ("/etc/passwd", "nothing", ["unsaved-avsl"], None):
        with pytest.raises(CheckpointError, match="no such model here"):
            models.named(stranger)
    assert models.marked(None) is models.marked("0" * 32) is models.default
