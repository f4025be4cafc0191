import gc
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.explore.shelf import default_folder as galleries_folder
from app.work.keep import Keep, KeptError, default_folder, display_name, linked_pair
from app.work.workbench import PictureFile, content_key

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def keep(tmp_path):
    return Keep(tmp_path / "kept", hours=2)


@pytest.fixture
def upload(tmp_path):
    """upload(content, name): what a visitor gave."""

    def make(content=b"a picture", name="jay.webp"):
        path = tmp_path / f"{content_key(content)}.upload"
        path.write_bytes(content)
        return PictureFile(path, name)

    return make


def pictures(keep):
    return sorted(path for path in keep.folder.iterdir() if len(path.name) == 32 and not path.suffix)


def age(keep, key, hours):
    then = time.time() - 3600 * hours
    os.utime(keep.folder / key, (then, then))
    os.utime(keep.folder / f"{key}.name", (then, then))


def test_a_picture_comes_back_with_its_content_and_name(keep, upload):
    found = keep.get(keep.put(upload(b"content", "My jay.webp")))
    assert (found.path.read_bytes(), found.name) == (b"content", "My jay.webp")


def test_a_picture_outlives_its_upload(keep, upload):
    file = upload()
    key = keep.put(file)
    file.path.unlink()
    assert keep.get(key).read() == b"a picture"


def test_the_same_picture_has_the_same_key_and_is_kept_once(keep, upload):
    assert keep.put(upload()) == keep.put(upload())
    assert len(pictures(keep)) == 1


def test_the_name_of_one_visitor_is_never_shown_to_another(keep, upload):
    mine, yours = keep.put(upload(name="mine.jpg")), keep.put(upload(name="yours.jpg"))
    assert (keep.get(mine).name, keep.get(yours).name) == ("mine.jpg", "yours.jpg")


def test_who_has_the_picture_cannot_find_out_that_it_was_compared(keep, upload, tmp_path):
    key = keep.put(upload(b"known to many"))
    assert key != content_key(b"known to many")
    assert key != Keep(tmp_path / "other").put(upload(b"known to many"))


def test_workers_that_share_a_folder_share_its_keys(keep, upload):
    key = keep.put(upload())
    other = Keep(keep.folder)
    assert other.get(key).read() == b"a picture"
    assert other.put(upload()) == key


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path, upload):
    file = upload()
    code = (
        "import sys; from pathlib import Path\n"
        "from app.work.keep import Keep; from app.work.workbench import PictureFile\n"
        "print(Keep(Path(sys.argv[1])).put(PictureFile(Path(sys.argv[2]), 'jay.webp')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "shared"), str(file.path)]
    workers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    keys = {worker.communicate(timeout=300)[0].strip() for worker in workers}
    assert len(keys) == 1
    assert Keep(tmp_path / "shared").get(keys.pop()).read() == b"a picture"


def test_threads_that_put_at_once_leave_whole_pictures(keep, upload):
    files = [upload(bytes([n]) * 100_000) for n in range(8)]
    keys: list[str] = []
    threads = [threading.Thread(target=lambda f=f: keys.append(keep.put(f))) for f in files * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 8
    assert {keep.get(key).read() for key in keys} == {file.read() for file in files}
    assert not list(keep.folder.glob("*.tmp"))


def test_nobody_else_on_the_machine_can_read_what_is_kept(keep, upload):
    key = keep.put(upload())
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (keep.folder, keep.get(key).path)]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize(
    "key",
    ["", "../../../etc/passwd", "f" * 31, "F" * 32, "f" * 32 + "\n", ".secret", None, ["f" * 32], "f/" * 16],
)
def test_what_is_no_key_never_reaches_the_disk(keep, upload, key):
    keep.put(upload())
    with pytest.raises(KeptError, match="this link is damaged"):
        keep.get(key)


def test_an_unknown_key_says_what_to_do(keep):
    with pytest.raises(KeptError, match=r"no longer kept: .* after 2 hours; choose the pictures again"):
        keep.get("0" * 32)


def test_a_picture_expires_whether_or_not_it_was_swept(keep, upload):
    key = keep.put(upload())
    age(keep, key, 2.1)
    with pytest.raises(KeptError, match="no longer kept"):
        keep.get(key)
    keep.sweep()
    assert [path.name for path in keep.folder.iterdir()] == [".secret"]


def test_putting_a_picture_again_keeps_it_for_longer(keep, upload):
    key = keep.put(upload())
    age(keep, key, 1.9)
    keep.put(upload())
    age_now = time.time() - (keep.folder / key).stat().st_mtime
    assert age_now < 60
    assert keep.sweep() == 0


def test_an_expired_picture_can_be_put_again(keep, upload):
    key = keep.put(upload())
    age(keep, key, 5)
    assert keep.put(upload()) == key
    assert keep.get(key).read() == b"a picture"


def test_the_oldest_make_room(upload, tmp_path):
    keep = Keep(tmp_path / "kept", max_bytes=2500)
    keys = []
    for number in range(3):
        keys.append(keep.put(upload(bytes([number]) * 1000)))
        age(keep, keys[-1], 0.3 - number / 10)
    keep.sweep()
    assert keep.get(keys[1]).read()[0] == 1
    assert keep.get(keys[2]).read()[0] == 2
    with pytest.raises(KeptError):
        keep.get(keys[0])


def test_beyond_the_limit_nothing_older_stays_however_small(upload, tmp_path):
    keep = Keep(tmp_path / "kept", max_bytes=2500)
    for size, hours in ((10, 3), (2000, 2), (1000, 1)):
        key = keep.put(upload(b"x" * size))
        age(keep, key, hours)
    keep.sweep()
    assert [path.name for path in pictures(keep)] == [key]


def test_a_picture_that_is_put_again_while_others_are_looked_at_stays(keep, upload):
    class Slow(Keep):
        def _entries(self):
            if threading.current_thread() is threading.main_thread():  # its own sweeper sees nothing
                yield from super()._entries()
                keep.put(upload())  # by another process, after the ages were read

    key = keep.put(upload())
    age(keep, key, 5)
    assert Slow(keep.folder, hours=2).sweep() == 0
    assert keep.get(key).read() == b"a picture"


def test_a_picture_that_is_put_again_while_it_is_deleted_keeps_its_name(keep, upload, monkeypatch):
    key = keep.put(upload())
    age(keep, key, 5)
    unlink = Path.unlink

    def and_put_again(path, missing_ok=False):
        unlink(path, missing_ok=missing_ok)
        if path.name == key:
            monkeypatch.undo()
            keep.put(upload())  # by another process, before the name goes

    monkeypatch.setattr(Path, "unlink", and_put_again)
    keep.sweep()
    assert keep.get(key).name == "jay.webp"


def test_a_picture_that_has_lost_its_name_gets_it_back_when_put_again(keep, upload):
    key = keep.put(upload())
    (keep.folder / f"{key}.name").unlink()
    assert keep.put(upload()) == key
    assert keep.get(key).name == "jay.webp"


def test_what_exceeds_all_room_is_refused(upload, tmp_path):
    keep = Keep(tmp_path / "kept", max_bytes=10)
    with pytest.raises(KeptError, match=r"jay\.webp: too large to be kept"):
        keep.put(upload(b"x" * 11))


def test_leftovers_of_a_process_that_was_ended_go_as_well(keep, upload):
    key = keep.put(upload())
    left = [keep.folder / f".{'a' * 32}.tmp", keep.folder / f"{'b' * 32}.name"]
    for path in left:
        path.write_bytes(b"half")
        os.utime(path, (1, 1))
    keep.sweep()
    assert not any(path.exists() for path in left)
    assert keep.get(key).name == "jay.webp"


def test_expired_pictures_are_deleted_while_nobody_comes(tmp_path, upload):
    keep = Keep(tmp_path / "kept", hours=1 / 3600)
    keep.put(upload())
    for _ in range(1200):
        if not pictures(keep):
            break
        time.sleep(0.1)
    assert pictures(keep) == []


def test_a_forgotten_keep_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    keep = Keep(tmp_path / "kept")
    (sweeper,) = [t for t in threading.enumerate() if t not in before and t.name == "avsl-keep"]
    del keep
    gc.collect()
    sweeper.join(120)
    assert not sweeper.is_alive()


def test_a_full_or_closed_disk_is_explained_without_naming_its_folder(tmp_path, upload):
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(KeptError, match=r"jay\.webp: cannot be kept right now") as caught:
        Keep(tmp_path / "kept").put(upload())
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(("hours", "max_bytes"), [(0, 1), (-1, 1), (1, 0)])
def test_keeping_nothing_is_refused(tmp_path, hours, max_bytes):
    with pytest.raises(KeptError, match="keeps nothing"):
        Keep(tmp_path, hours=hours, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/me/secret/jay.webp", "jay.webp"),
        (r"C:\Users\me\jay.webp", "jay.webp"),
        ("\u202egpj.yaj", "gpj.yaj"),
        ("a\n\tb\x00.png", "a b.png"),
        ("ko\u0308nig.jpg", "k\u00f6nig.jpg"),
        ("o\u200d\u0308.jpg", "\u00f6.jpg"),
        ("x" * 79 + " y", "x" * 79),
        ("x" * 300, "x" * 80),
        ("", "picture"),
    ],
)
def test_names_are_shown_without_folders_and_tricks(name, shown):
    assert display_name(name) == shown
    assert display_name(shown) == shown


def test_a_link_leads_to_its_two_pictures(keep, upload):
    a, b = keep.put(upload(b"1", "a.jpg")), keep.put(upload(b"2", "b.jpg"))
    pair = linked_pair(keep, {"a": a, "b": b, "method": "diml"})
    assert [file.name for file in pair] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("link", [{}, {"example": "3"}, {"gallery": "demo", "a": "1", "b": "2"}])
def test_other_links_name_no_kept_pictures(keep, link):
    assert linked_pair(keep, link) is None


def test_half_a_link_is_damaged(keep, upload):
    with pytest.raises(KeptError, match="damaged"):
        linked_pair(keep, {"a": keep.put(upload())})


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (1 / 3600, "1 second"),
        (0.025, "90 seconds"),
        (0.5, "30 minutes"),
        (1, "60 minutes"),
        (1.75, "105 minutes"),
        (2.9, "2 hours"),
        (24, "24 hours"),
        (72, "3 days"),
        (84, "3 days"),
    ],
)
def test_how_long_a_link_holds_is_said_in_words(tmp_path, hours, words):
    assert Keep(tmp_path, hours=hours).words == words


def test_pictures_are_kept_beside_the_galleries():
    assert default_folder().parent == galleries_folder().parent
    assert default_folder() != galleries_folder()
