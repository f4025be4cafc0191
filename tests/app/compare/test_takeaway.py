import base64
import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import pytest
from PIL import Image

from app.compare.page import ComparePage
from app.compare.takeaway import KINDS, file_stem
from app.compare.takeaway_row import TakeAwayRow
from app.work.examples import ExamplePair, load_pairs
from app.work.keep import Keep, linked_pair
from app.work.models import Models
from app.work.turnstile import Turnstile
from app.work.workbench import PictureFile
from avsl_core import compare
from avsl_core.explain.record import read_record


@pytest.fixture
def keep(tmp_path):
    return Keep(tmp_path / "kept", hours=5)


@pytest.fixture
def pair(files):
    return ExamplePair(
        "A pair", "A lesson.", *(PictureFile(files[name], name) for name in ("one.png", "two.jpg"))
    )


@pytest.fixture
def row(checkpoint, plain_checkpoint, keep):
    """Of two models: unsaved-avsl, the app's own, and unsaved-embedding."""
    return TakeAwayRow(Models(checkpoint, plain_checkpoint), keep)


def delivered(html):
    """Name, type and content of the file that an answer delivers."""
    name, kind = re.search(r'data-file="([^"]+)" data-type="([^"]+)"', html).groups()
    return unescape(name), kind, base64.b64decode(re.search(r'data-body="([^"]+)"', html).group(1))


def linked(html):
    query = unescape(re.search(r'data-query="([^"]+)"', html).group(1))
    return {name: values[0] for name, values in parse_qs(urlsplit(query).query).items()}


def test_the_report_is_a_page_about_the_two_pictures(row, payload):
    name, kind, data = delivered(row.on_report(payload("one.png"), payload("two.jpg")))
    assert (name, kind) == ("one-and-two.html", "text/html")
    assert "one.png and two.jpg" in data.decode()


def test_the_picture_is_a_png_without_metadata(row, payload):
    name, kind, data = delivered(row.on_sheet(payload("one.png"), payload("two.jpg")))
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert (name, kind) == ("one-and-two.png", "image/png")
    assert (picture.size, picture.info) == ((1920, 1080), {})


def test_the_numbers_are_those_of_the_comparison(row, payload, checkpoint):
    name, kind, data = delivered(row.on_record(payload("one.png"), payload("two.jpg")))
    record = read_record(data.decode())
    found = compare(checkpoint, payload("one.png")["path"], payload("two.jpg")["path"])
    assert (name, kind) == ("one-and-two.json", "application/json")
    assert record["pictures"]["a"] == "one.png"
    assert record["model"]["name"] == "unsaved-avsl"
    assert record["distance"] == pytest.approx(found.distance, abs=1e-9)


def test_a_second_method_is_in_the_report_and_in_the_numbers(row, payload):
    given = payload("one.png"), payload("two.jpg"), "unsaved-avsl", "unsaved-embedding"
    record = json.loads(delivered(row.on_record(*given))[2])
    assert [record["method"], record["beside"]["method"]] == ["avsl", "embedding"]
    assert delivered(row.on_report(*given))[2].decode().count('<h2 class="method">') == 2


def test_a_link_leads_back_to_the_pictures_and_methods(row, payload, keep, files):
    html = row.on_link(payload("one.png"), payload("two.jpg"), "unsaved-embedding", "unsaved-avsl")
    link = linked(html)
    assert (link["method"], link["beside"]) == ("unsaved-embedding", "unsaved-avsl")
    kept = linked_pair(keep, link)
    assert [file.name for file in kept] == ["one.png", "two.jpg"]
    assert [file.read() for file in kept] == [files["one.png"].read_bytes(), files["two.jpg"].read_bytes()]
    assert "works for 5 hours" in html


def test_a_link_to_a_preview_keeps_the_original_by_its_name(row, payload, keep, files):
    bench = row.models.default
    preview = bench.preview(PictureFile(files["scan.tif"], "My scan.tif"))
    link = linked(row.on_link(str(preview), payload("two.jpg")))
    first, _ = linked_pair(keep, link)
    assert (first.name, first.read()) == ("My scan.tif", files["scan.tif"].read_bytes())


def test_the_name_of_one_visitor_never_stands_in_what_another_takes_away(row, payload, files, tmp_path):
    bench = row.models.default
    shown = str(bench.preview(PictureFile(files["scan.tif"], "My scan.tif")))
    bench.preview(PictureFile(shutil.copy(files["scan.tif"], tmp_path / "secret.tif"), "Your secret.tif"))
    name, _, data = delivered(row.on_report(shown, payload("two.jpg")))
    assert name == "my-scan-and-two.html"
    assert b"My scan.tif" in data and b"secret" not in data
    record = json.loads(delivered(row.on_record(shown, payload("two.jpg")))[2])
    assert record["pictures"]["a"] == "My scan.tif"


def test_what_is_taken_away_waits_for_its_turn(checkpoint, keep, payload):
    turnstile = Turnstile(slots=1, waiting=0, patience_s=0)
    row = TakeAwayRow(Models(checkpoint, turnstile=turnstile), keep)
    given = payload("one.png"), payload("two.jpg")
    assert "data-body" in row.on_record(*given)
    with turnstile.turn(), ThreadPoolExecutor(1) as other:
        assert "Too many people" in other.submit(row.on_record, *given).result()


def test_an_example_has_a_link_that_always_holds(checkpoint, keep, pair, payload):
    row = TakeAwayRow(Models(checkpoint), keep, [pair])
    html = row.on_link(str(pair.a.path), str(pair.b.path))
    assert linked(html) == {"example": "0", "method": "unsaved-avsl"}
    assert "always works" in html
    assert not keep.folder.exists()


def test_the_link_of_every_example_opens_that_example(checkpoint, keep):
    pairs = load_pairs()
    page = ComparePage(Models(checkpoint), pairs, keep=keep)
    row = TakeAwayRow(page.models, keep, pairs)
    for pair in pairs:
        link = linked(row.on_link(str(pair.a.path), str(pair.b.path)))
        opened = page.on_open(gr.Request(request=None, query_params=link))
        assert opened[:2] == [str(pair.a.path), str(pair.b.path)]
        assert pair.lesson in unescape(opened[2])


def test_the_other_way_round_is_another_pair_than_the_example(checkpoint, keep, pair):
    row = TakeAwayRow(Models(checkpoint), keep, [pair])
    assert "a" in linked(row.on_link(str(pair.b.path), str(pair.a.path)))


@pytest.mark.parametrize("action", ["on_report", "on_sheet", "on_record", "on_link"])
def test_without_two_pictures_it_says_what_is_missing(row, payload, action):
    assert "Give two pictures first" in getattr(row, action)(payload("one.png"), None)


@pytest.mark.parametrize("action", ["on_report", "on_link"])
def test_a_broken_picture_is_explained_and_never_kept(row, payload, keep, action):
    html = getattr(row, action)(payload("broken.jpg"), payload("one.png"))
    assert "broken.jpg" in html and 'role="alert"' in html
    assert not keep.folder.exists()


def test_an_upload_that_is_gone_is_explained(row, payload, tmp_path):
    gone = {"path": str(tmp_path / "gone.png"), "orig_name": "gone.png"}
    assert "choose the picture again" in row.on_sheet(gone, payload("one.png"))


def test_an_unknown_method_falls_back_to_the_own_one(row, payload):
    record = json.loads(delivered(row.on_record(payload("one.png"), payload("two.jpg"), "../x"))[2])
    assert record["model"]["name"] == "unsaved-avsl"


def test_names_leak_no_folders_and_no_markup(row, payload):
    evil = payload("one.png") | {"orig_name": '/home/me/<img src=x onerror="alert(1)">.png'}
    html = row.on_report(evil, payload("two.jpg"))
    name, _, data = delivered(html)
    assert re.fullmatch(r"[\w-]+\.html", name)
    assert b"/home/me" not in data and b"<img src=x" not in data


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (("a.JPG", "b c.tar.gz"), "a-and-b-c-tar"),
        (("\u9ce5.png", "...."), "\u9ce5-and-picture"),
        (("x" * 99 + ".png", "../../etc/passwd"), "x" * 30 + "-and-etc-passwd"),
    ],
)
def test_files_are_named_after_both_pictures(names, stem):
    assert file_stem(names) == stem


def test_all_kinds_of_files_are_known():
    assert set(KINDS) == {"report", "sheet", "record"}
