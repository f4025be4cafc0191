"""Hostile and unlucky files through the visitors' own door: each gets an answer, and nothing gives way."""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.app import hostile
from tests.app.conftest import ROOT, wait_for
from tests.app.hostile_archives import archives
from tests.app.live import Site
from tests.ports import free_port

# Written down, because making the files to ask them takes seconds that only these tests should wait for.
GROUPS = [
    "allowed",
    "bmp",
    "bomb",
    "both",
    "called",
    "chunk",
    "cut",
    "declared",
    "flip",
    "foreign",
    "gif",
    "heif",
    "jpeg",
    "mode",
    "name",
    "png",
    "posing",
]
GROUPS += ["avif", "segment", "size", "tiff", "webp"]
PACKED = ["tar", "tar.gz", "tgz", "zip"]
BATCH = 20
SECONDS = 120.0  # the longest that an answer may take, however busy the machine is
MEMORY = 700  # megabytes that the server may have grown by in the end
_LEAKS = re.compile(
    r"Traceback|site-packages|\.py\b|object at 0x|<_io\.|<PIL|<class|Errno|0x[0-9a-f]{8}"
    r"|Exception\b|Error\(|\bNone\b"
)


class Running:
    """The app in a process of its own."""

    def __init__(self, checkpoint, folder):
        port = free_port()
        self.galleries = folder / "galleries"
        command = [sys.executable, "-m", "app", "--checkpoint", str(checkpoint), "--port", str(port)]
        command += ["--galleries", str(self.galleries), "--max-archive-mb", "8", "--max-archive-files", "200"]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
        self.process.stderr = self.log.open("rb")
        self.site = Site(f"http://127.0.0.1:{port}", SECONDS)

    def open(self):
        """Wait for it, and see what its pages are made of."""
        wait_for(self.site.address, self.process)
        self.config = self.site.config()
        self.event = self.site.event(self.config, "picture-a", "input")
        self.explore = self.site.config("explore")
        self.good = self.site.upload([("a.png", hostile.plain()), ("b.jpg", hostile.plain("JPEG", "L"))])

    def compare(self, path, name, other=None):
        """What the Compare page says of a picture beside a good one."""
        given = {"picture-a": handed(path, name), "picture-b": handed(other or self.good[1], "good.jpg")}
        return self.site.call(self.config, self.event, given)

    def build(self, path, name, title):
        """What the Explore page says of an archive."""
        event = self.site.event(self.explore, "explore-start", "click")
        given = {"explore-archive": handed(path, name), "explore-folder": "", "explore-name": title}
        return self.site.call(self.explore, event, given)

    def children(self):
        """The command lines of the processes that it started."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = " ".join(path.read_text(encoding="ascii") for path in listed).split()
        return [Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8") for pid in pids]

    def megabytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def handed(path, name):
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def app(checkpoint_file, tmp_path_factory):
    running = Running(checkpoint_file, tmp_path_factory.mktemp("hostile"))
    try:
        running.open()
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=120)
        running.process.stderr.close()


@pytest.fixture(autouse=True)
def unharmed(app):
    """Afterwards the same process compares two good pictures, and has not grown."""
    before = app.megabytes()
    yield
    values, said = app.compare(app.good[0], "good.png")
    assert said is None
    assert "avsl-card" in values["verdict"]
    assert "avsl-message" not in values["message"]
    assert app.process.poll() is None
    assert app.megabytes() < before + MEMORY


def test_no_group_is_left_out():
    assert sorted(GROUPS) == sorted({sample.label.split("-")[0] for sample in hostile.pictures()})
    assert sorted(PACKED) == sorted({sample.label.split("-")[0] for sample in archives()})
    assert len(hostile.pictures()) > 400
    assert len(archives()) > 100


def test_pictures_are_decoded_apart_from_the_app(app):
    assert sum("decoding/child.py" in command for command in app.children()) == 2


@pytest.mark.parametrize("group", GROUPS)
def test_every_picture_is_compared_or_refused_in_plain_words(app, group):
    samples = [sample for sample in hostile.pictures() if sample.label.split("-")[0] == group]
    faults = []
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        places = app.site.upload([(sendable(sample.name), sample.data) for sample in batch])
        for sample, place in zip(batch, places, strict=True):
            began = time.monotonic()
            values, said = app.compare(place, sample.name)
            outcome = hostile.REFUSED if "avsl-message" in str(values.get("message")) else hostile.COMPARED
            wrong = troubles(app, values, said)
            if sample.outcome not in (hostile.EITHER, outcome):
                wrong.append(f"{outcome}: {values.get('message')}")
            if outcome == hostile.COMPARED and "avsl-card" not in str(values.get("verdict")):
                wrong.append("neither a comparison nor a message")
            if time.monotonic() - began > SECONDS:
                wrong.append(f"took {time.monotonic() - began:.0f} s")
            faults += [(sample.label, *wrong)] if wrong else []
    assert faults == []


@pytest.mark.parametrize("group", PACKED)
def test_every_archive_becomes_a_gallery_or_is_refused_in_plain_words(app, group, tmp_path_factory):
    samples = [sample for sample in archives() if sample.label.split("-")[0] == group]
    faults = []
    for number, sample in enumerate(samples):
        (place,) = app.site.upload([(sendable(sample.name), sample.data)])
        values, said = app.build(place, sample.name, f"{group} {number}")
        text = str(values.get("explore-progress"))
        outcome = hostile.COMPARED if "explore-report" in text else hostile.REFUSED
        wrong = troubles(app, values, said)
        if sample.outcome not in (hostile.EITHER, outcome):
            wrong.append(f"{outcome}: {text}")
        if "raise that limit" in text or "give that folder" in text:
            wrong.append("advises what no visitor can do")
        if outcome == hostile.REFUSED and "avsl-message" not in text:
            wrong.append(f"neither a gallery nor a message: {text}")
        faults += [(sample.label, *wrong)] if wrong else []
    assert faults == []
    strangers = [
        path for path in app.galleries.rglob("*") if path.is_symlink() or path.name.startswith(".building")
    ]
    assert strangers == []
    assert not Path("/tmp/avsl-out.png").exists()
    assert not list(app.galleries.parent.glob("out.png"))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../etc/passwd",
        "/proc/self/environ",
        "http://127.0.0.1:9/x.png",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_made_up_place_is_not_read(app, path):
    values, said = app.compare(path, "mine.png")
    assert (
        not values
        or "avsl-card" not in str(values.get("verdict"))
        or "avsl-waiting" in str(values["verdict"])
    )
    assert troubles(app, values, None) == []
    assert _LEAKS.search(said or "") is None


def test_a_file_that_is_called_as_the_folder_above_stays_outside(app):
    answer = app.site.client.post("/gradio_api/upload", files=[("files", ("..", hostile.plain()))])
    assert answer.status_code == 400
    assert _LEAKS.search(answer.text) is None


def test_a_place_beside_the_uploads_is_not_read(app):
    values, _ = app.compare(f"{app.good[0]}/../../../../etc/passwd", "mine.png")
    assert "avsl-verdict" not in str(values)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("page.html", b"<!doctype html><script>alert(document.domain)</script>"),
        ("page.htm", b"<html><script>alert(1)</script></html>"),
        ("page.xhtml", b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>'),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        (
            "feed.xml",
            b'<?xml version="1.0"?><x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
        ),
        ("code.js", b"alert(1)"),
        ("page.jpg", b"<!doctype html><script>alert(1)</script>"),
        ("noending", b"<!doctype html><script>alert(1)</script>"),
        ("both.html", hostile.plain() + b"<script>alert(1)</script>"),
    ],
)
def test_an_upload_that_is_fetched_back_does_not_run_in_the_pages_origin(app, name, data):
    (place,) = app.site.upload([(name, data)])
    answer = app.site.client.get(f"/gradio_api/file={place}")
    if answer.status_code != 200:
        return
    kind = answer.headers.get("content-type", "").split(";")[0]
    saved = answer.headers.get("content-disposition", "").startswith("attachment")
    caged = "sandbox" in answer.headers.get("content-security-policy", "")
    picture = kind.startswith("image/") and kind != "image/svg+xml"
    assert saved or caged or picture
    # Without this a browser may take an answer for what its content looks like.
    assert answer.headers.get("x-content-type-options") == "nosniff"


def sendable(name):
    """A name as a browser can send it; the event tells the name itself all the same."""
    plain = name.encode("utf-8", "replace").decode()
    return "x" if plain in ("", "..") else plain


def troubles(app, values, said):
    """What a visitor must not be shown."""
    found = [] if said is None else [f"failed: {said}"]
    texts = [value for value in values.values() if isinstance(value, str)]
    for text in texts:
        shown = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", text)
        leak = _LEAKS.search(shown)
        if leak is not None:
            found.append(f"shows {shown[max(0, leak.start() - 80) : leak.end() + 40]}")
        found += [
            f"shows a place: {place}"
            for place in (str(ROOT), sys.prefix, str(app.galleries), f"{tempfile.gettempdir()}/gradio")
            if place in shown
        ]
        if re.search(r"<script|<img src=x", shown):
            found.append("shows a name as markup")
    return found
