"""Kills builds in the middle, in children of one process that has imported everything already.

    python crash_driver.py PROJECT FOLDER

Indexes FOLDER/base, keeps a copy, puts FOLDER/more in its place, lets children bring the gallery up to date
and ends them with SIGKILL: at random moments, and just before each call that makes something durable; then
lets the disk be full instead. Each time the gallery must be exactly the old or exactly the new one
afterwards, and the next run must finish. Prints one JSON object.
"""

import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [sys.argv[1], f"{sys.argv[1]}/tests"]

import torch  # noqa: E402
from conftest import build_avsl  # noqa: E402
from gallery.conftest import Numbers  # noqa: E402

from avsl_core.checkpoint import Checkpoint  # noqa: E402
from avsl_core.errors import GalleryError  # noqa: E402
from avsl_core.gallery import BuildOptions, Gallery, build_gallery  # noqa: E402
from avsl_core.images import Preprocess  # noqa: E402

torch.set_num_threads(1)
gc.freeze()  # a collection in a child would copy every page that it looks at
# What a process has handed to the system outlives it: waiting for the disk would only take time here.
os.fsync = lambda descriptor: None
FOLDER = Path(sys.argv[2])
GALLERY = FOLDER / "gallery"
CHECKPOINT = Checkpoint(build_avsl(), Preprocess(size=64, resize=64))
OPTIONS = BuildOptions(chunk=2, map="pca", prune=True, batch_size=2)


def main():
    (FOLDER / "pictures").symlink_to(FOLDER / "base")
    update()
    old = contents()
    shutil.copytree(GALLERY, FOLDER / "old")
    (FOLDER / "pictures").unlink()
    (FOLDER / "pictures").symlink_to(FOLDER / "more")
    started = time.monotonic()
    update()
    seconds = time.monotonic() - started
    new = contents()
    assert old != new
    result = {
        "moments": at_moments(old, new, seconds),
        "writes": at_writes(old, new),
        "full": on_full_disk(old, new),
    }
    sys.stdout.write(json.dumps(result))


def at_moments(old, new, seconds):
    rng = random.Random(0)
    kills = completed = 0
    start_again()
    while kills < 30:
        child = fork(update)
        time.sleep(rng.uniform(0.0, 0.6 * seconds))
        os.kill(child, signal.SIGKILL)
        kills += was_killed(child)
        now = contents()
        check(now, old, new)
        if now == new:
            completed += 1
            start_again()
    update()
    check(contents(), new)
    tidy()
    return {"kills": kills, "completed": completed}


def on_full_disk(old, new):
    """No file may grow beyond a number of bytes, as when the disk is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    messages = []
    for most, workers in ((20, 0), (100, 1), (300, 0), (500, 0), (800, 0)):
        start_again()
        reader, writer = os.pipe()
        child = fork(lambda most=most, workers=workers, pipe=writer: refused(most, workers, pipe))
        os.close(writer)
        with os.fdopen(reader) as pipe:
            messages.append(pipe.read())
        assert not was_killed(child)
        check(contents(), old)
        update()
        check(contents(), new)
        tidy()
    return messages


def refused(most, workers, pipe):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        options = replace(OPTIONS, workers=workers, chunk=50)
        build_gallery(CHECKPOINT, FOLDER / "pictures", GALLERY, options=options)
    except GalleryError as error:
        os.write(pipe, str(error).encode())


def at_writes(old, new):
    states = []
    for call in range(1, 10_000):
        start_again()
        if not was_killed(fork(lambda call=call: killed_at(call))):
            return {"kills": len(states), "old_then_new": states == sorted(states)}
        now = contents()
        check(now, old, new)
        states.append(now == new)
        update()
        check(contents(), new)
        tidy()
    raise AssertionError("the build never ended")


def killed_at(call):
    """Update, and die at the given one of the calls that make something durable."""
    counted = 0

    def dying(real):
        def function(*arguments, **options):
            nonlocal counted
            counted += 1
            if counted == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return function

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
        setattr(os, name, dying(getattr(os, name)))
    update()


def update():
    build_gallery(CHECKPOINT, FOLDER / "pictures", GALLERY, options=OPTIONS)


def contents():
    gallery = Gallery.open(GALLERY, checkpoint=CHECKPOINT)
    alive = [row for row in range(len(gallery)) if gallery.live is None or gallery.live[row]]
    rows = gallery.gather(torch.tensor(alive))
    found = []
    for place, row in enumerate(alive):
        item = gallery.item(row)
        assert gallery.thumbnail(row).stat().st_size > 0
        numbers = [
            *rows.vectors[place].tolist(),
            *rows.gates[place].tolist(),
            *gallery.coordinates[row].tolist(),
        ]
        found.append([item.name, item.copies, item.digest, Numbers(numbers)])
    return found


def check(now, *allowed):
    assert now in allowed, f"neither old nor new: {[item[0] for item in now]}"


def tidy():
    """Nothing is left over, and what is not the gallery's own is still there."""
    known = {"lock", "manifest.json", "segments", "thumbnails", "fast"}
    names = {entry.name for entry in GALLERY.iterdir() if not entry.name.startswith(("map-", "removed-"))}
    assert names == known, names
    manifest = Gallery.open(GALLERY).manifest
    assert {entry.name for entry in (GALLERY / "segments").iterdir()} == {s.id for s in manifest.segments}
    assert len(list(GALLERY.glob("map-*"))) == 1


def start_again():
    shutil.rmtree(GALLERY)
    shutil.copytree(FOLDER / "old", GALLERY)
    (GALLERY / "fast").mkdir()


def fork(work):
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    return child


def was_killed(child):
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"a build failed with {status}"
    return status != 0


main()
