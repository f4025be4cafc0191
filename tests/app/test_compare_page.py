import re
import shutil
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from app.compare_page import ComparePage
from app.explore_bench import ExploreBench
from app.models import Models
from app.server import build_app
from app.shelf import Shelf
from avsl_core import compare
from avsl_core.gallery import build_gallery


def distance_in(html):
    return float(re.search(r'id="distance" data-value="([^"]+)"', html).group(1))


def test_two_pictures_give_verdict_distance_and_maps(page, payload):
    *_, message, verdict, maps = page.on_pictures(payload("one.png"), payload("two.jpg"), False)
    assert message == ""
    assert distance_in(verdict) > 0
    assert maps.count("<img") == 2 * (1 + 3)  # total and three levels


def test_bars_add_up_to_the_distance(page, payload):
    verdict = page.on_pictures(payload("one.png"), payload("two.jpg"), False)[3]
    parts = [float(v) for v in re.findall(r'<tr data-name="[^"]+" data-value="([^"]+)"', verdict)]
    assert sum(parts) == pytest.approx(distance_in(verdict), rel=1e-12)


def test_bars_and_maps_print_the_same_figures(page, payload):
    *_, verdict, maps = page.on_pictures(payload("one.png"), payload("two.jpg"), False)
    bars = re.findall(r'<td class="value">([\d.]+)<', verdict)
    figures = re.findall(r'<span class="value">([\d.]+)<', maps)
    assert [bars[-1], *bars[:-1]] == figures


def test_every_picture_has_a_text_alternative(page, payload):
    maps = page.on_pictures(payload("one.png"), payload("two.jpg"), False)[4]
    assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', maps)) == maps.count("<img")


def test_verdict_comes_before_distance_and_distance_before_bars(page, payload):
    verdict = page.on_pictures(payload("one.png"), payload("two.jpg"), False)[3]
    places = [verdict.index(mark) for mark in ("avsl-words", 'id="distance"', "<table")]
    assert places == sorted(places)


def test_swapping_exchanges_pictures_and_keeps_the_distance(page, payload, files):
    before = page.on_pictures(payload("one.png"), payload("two.jpg"), False)
    a, b, _, verdict, maps = page.on_swap(payload("one.png"), payload("two.jpg"), False)
    assert (a, b) == (str(files["two.jpg"]), str(files["one.png"]))
    assert distance_in(verdict) == pytest.approx(distance_in(before[3]), rel=1e-9)
    assert maps != before[4]


def test_one_picture_alone_waits_for_the_other(page, payload):
    *_, message, verdict, maps = page.on_pictures(payload("one.png"), None, False)
    assert (message, maps) == ("", "")
    assert "as soon as both pictures are there" in verdict


def test_a_broken_picture_is_named_and_taken_away_and_no_old_result_stays(page, payload):
    a, _, message, verdict, maps = page.on_pictures(payload("broken.jpg"), payload("two.jpg"), False)
    assert a is None
    assert "<strong>broken.jpg</strong>" in message
    assert 'role="alert"' in message
    assert "distance" not in verdict
    assert maps == ""


def test_two_broken_pictures_are_both_reported(page, payload):
    message = page.on_pictures(payload("broken.jpg"), payload("broken.jpg"), False)[2]
    assert message.count('role="alert"') == 2


def test_a_format_that_browsers_do_not_show_gets_a_preview(page, payload):
    a, *_, verdict, _ = page.on_pictures(payload("scan.tif"), payload("one.png"), False)
    assert a.endswith(".webp")
    assert distance_in(verdict) > 0


def test_one_scale_for_all_levels_changes_the_drawings_and_says_so(page, payload):
    own = page.on_scale(payload("one.png"), payload("two.jpg"), False)
    shared = page.on_scale(payload("one.png"), payload("two.jpg"), True)
    assert "All figures share one colour scale" in shared
    assert own != shared


def test_experts_see_the_strongest_node_of_the_highest_level_first(page, payload):
    expert, level, node, details = page.on_results(payload("one.png"), payload("two.jpg"))
    assert expert["visible"]
    assert level["value"] == 2
    assert node["value"] == node["choices"][0][1]
    assert f"Level 3, node {node['value']}" in details
    assert details.count("<svg") == 2  # the lowest level has no gate


def test_experts_can_choose_another_level_and_node(page, payload):
    node, details = page.on_level(payload("one.png"), payload("two.jpg"), 1)
    assert f"Level 2, node {node['value']}" in details
    chosen = node["choices"][3][1]
    assert f"Level 2, node {chosen}" in page.on_node(payload("one.png"), payload("two.jpg"), 1, chosen)


def test_a_method_without_gates_has_no_expert_part(plain_checkpoint, page, payload):
    plain = ComparePage(Models(plain_checkpoint), page.pairs)
    expert, *_, details = plain.on_results(payload("one.png"), payload("two.jpg"))
    assert (expert["visible"], details) == (False, "")
    verdict = plain.on_pictures(payload("one.png"), payload("two.jpg"), False)[3]
    assert "no validation pairs" in verdict
    assert distance_in(verdict) > 0


def test_names_from_outside_are_escaped(page, files):
    evil = {"path": str(files["broken.jpg"]), "orig_name": "<script>x.jpg"}
    assert "<script>" not in page.on_pictures(evil, None, False)[2]


def test_the_app_builds_with_the_pairs_that_come_with_it(checkpoint):
    blocks = build_app(checkpoint)
    assert isinstance(blocks, gr.Blocks)
    assert blocks.title == "How alike are two pictures, and why?"


class TestLinks:
    @pytest.fixture
    def linked(self, page, plain_checkpoint, shelf, collection):
        """The Compare page of one model, with a gallery that another one made."""
        build_gallery(plain_checkpoint, collection, shelf.folder / "plain")
        explore = ExploreBench(Shelf(page.models, shelf.folder, shelf.demo))
        linked = ComparePage(page.models, page.pairs, explore)
        with gr.Blocks():
            linked.build()
        return linked

    def test_a_link_is_compared_at_once_by_the_model_of_its_gallery(
        self, linked, plain_checkpoint, collection, index
    ):
        a, b, message, verdict, _, origin, method, beside, note = linked.on_open(
            False, request(gallery="plain", a="0", b="7")
        )
        assert all(Image.open(shown).size == (64, 64) for shown in (a, b))
        expected = compare(plain_checkpoint, collection / "a" / "0.png", collection / "b" / "2.png").distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert message == ""
        assert "unsaved-embedding" in origin
        assert "explore?gallery=plain&amp;trail=0" in origin
        assert (method["value"], beside["value"]) == ("unsaved-embedding", "")
        assert 'data-link="method=unsaved-embedding"' in note
        swapped = linked.on_swap(a, b, False, method["value"])
        assert distance_in(swapped[3]) == pytest.approx(expected, rel=1e-6)
        assert not linked.on_results(a, b, method["value"])[0]["visible"]

    def test_a_link_may_name_another_method_than_that_of_its_gallery(self, linked, checkpoint, collection):
        link = request(gallery="plain", a="0", b="7", method="unsaved-avsl", beside="unsaved-embedding")
        *_, verdict, _, _, method, beside, _ = linked.on_open(False, link)
        expected = compare(checkpoint, collection / "a" / "0.png", collection / "b" / "2.png").distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert (method["value"], beside["value"]) == ("unsaved-avsl", "unsaved-embedding")

    def test_an_example_keeps_the_method_and_forgets_the_gallery(self, linked, plain_checkpoint, page):
        *_, verdict, _, origin = linked._on_example(0)(False, "unsaved-embedding")
        pair = page.pairs[0]
        expected = compare(plain_checkpoint, pair.a.path, pair.b.path).distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert origin == ""

    @pytest.mark.parametrize(
        "link", [{"gallery": "x", "a": "0", "b": "1"}, {"gallery": "plain", "a": "../x", "b": "99"}]
    )
    def test_a_link_to_nothing_says_so_and_the_first_example_is_shown(self, linked, link):
        _, _, message, verdict, _, origin, method, *_ = linked.on_open(False, request(**link))
        assert 'role="alert"' in message
        assert distance_in(verdict) > 0
        assert (method["value"], origin) == ("unsaved-avsl", "")

    def test_a_linked_picture_does_not_tell_where_it_was_taken(
        self, linked, shelf, checkpoint, collection, tmp_path
    ):
        shutil.copytree(collection, tmp_path / "own")
        exif = Image.Exif()
        exif[0x010E] = "at my house"
        Image.open(collection / "a" / "0.png").save(tmp_path / "own" / "a" / "0.jpg", exif=exif)
        (tmp_path / "own" / "a" / "0.png").unlink()
        build_gallery(checkpoint, tmp_path / "own", shelf.folder / "own")
        shown, *_ = linked.on_open(False, request(gallery="own", a="0", b="7"))
        assert b"at my house" in (tmp_path / "own" / "a" / "0.jpg").read_bytes()
        assert b"at my house" not in Path(shown).read_bytes()

    def test_a_link_that_fails_on_our_side_says_so(self, linked):
        linked.links.shelf.open("plain").bench._previews.cleanup()  # nothing can be written there any more
        message, verdict = linked.on_open(False, request(gallery="plain", a="0", b="7"))[2:4]
        assert "cannot be followed" in message
        assert distance_in(verdict) > 0

    def test_a_link_to_an_older_state_of_the_gallery_says_so(self, linked):
        shown = linked.on_open(False, request(gallery="plain", a="0", b="7", g="000000-ab"))
        assert "has changed" in shown[2]

    def test_without_a_link_the_first_example_is_shown(self, linked, page):
        shown = linked.on_open(False, request())
        assert shown[:2] == [str(page.pairs[0].a.path), str(page.pairs[0].b.path)]


def request(**values):
    return gr.Request(request=None, query_params=values)
