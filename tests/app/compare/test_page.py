import re
import shutil
from html import unescape
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from app.compare.page import ComparePage
from app.compare.results import message_html
from app.explore.bench import ExploreBench
from app.explore.shelf import Shelf
from app.look.printable import unbroken
from app.server import build_app
from app.work.examples import ExamplePair
from app.work.keep import Keep
from app.work.models import Models
from avsl_core import compare
from avsl_core.explain.sentence import plain_words
from avsl_core.gallery import build_gallery


def distance_in(html):
    return float(re.search(r'id="distance" data-value="([^"]+)"', html).group(1))


def test_two_pictures_give_verdict_distance_panel_and_maps(page, payload):
    *_, message, verdict, touch, steps, _ = page.on_pictures(payload("one.png"), payload("two.jpg"))
    assert message == ""
    assert distance_in(verdict) > 0
    assert touch.count("<img") == 2
    assert steps.count("<canvas") == 2 * (1 + 3)  # total and three levels


def test_bars_add_up_to_the_distance(page, payload):
    _, _, _, verdict, _, steps, _ = page.on_pictures(payload("one.png"), payload("two.jpg"))
    parts = [float(v) for v in re.findall(r'<tr data-name="[^"]+" data-value="([^"]+)"', steps)]
    assert sum(parts) == pytest.approx(distance_in(verdict), rel=1e-12)


def test_bars_and_maps_print_the_same_figures(page, payload):
    steps = page.on_pictures(payload("one.png"), payload("two.jpg"))[5]
    bars = re.findall(r'<td class="value">([\d.]+)<', steps)
    figures = re.findall(r'<span class="value">([\d.]+)<', steps)
    assert [bars[-1], *bars[:-1]] == figures


def test_every_picture_has_a_text_alternative(page, payload):
    html = "".join(page.on_pictures(payload("one.png"), payload("two.jpg"))[4:6])
    assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', html)) == html.count("<img")
    drawn = re.findall(r'<canvas role="img"[^>]*aria-label="[^"]{20,}"', html)
    assert len(drawn) == html.count("<canvas") - 2  # the panel's two lie on pictures that are described


def test_words_come_before_distance(page, payload):
    verdict = page.on_pictures(payload("one.png"), payload("two.jpg"))[3]
    places = [verdict.index(mark) for mark in ("avsl-words", "avsl-plain", 'id="distance"')]
    assert places == sorted(places)


def test_the_answer_says_in_plain_words_what_the_explanation_says(page, payload):
    a, b = payload("one.png"), payload("two.jpg")
    sentences = plain_words(page._comparison(a, b, "").explanation).sentences
    verdict = unescape(page.on_pictures(a, b)[3])
    assert all(f"<p>{unbroken(sentence)}</p>" in verdict for sentence in sentences)


def test_the_answer_explains_its_words(page, payload):
    verdict = page.on_pictures(payload("one.png"), payload("two.jpg"))[3]
    assert "A level is one of the depths" in verdict
    assert 'href="./learn?step=2"' in verdict
    assert "the pairs of pictures that this model was tested with" in verdict


def test_the_same_picture_twice_is_said_once_and_rests_on_no_pairs(page, payload):
    shown = page.on_pictures(payload("one.png"), payload("one.png"))
    answer = shown[3] + shown[4] + shown[5] + shown[6]
    assert shown[3].count("distance is zero") == 1
    assert "These are the pairs" not in shown[3]
    assert "pulls together 0.000" in answer
    assert "-0.0" not in answer


def test_no_line_ends_between_a_number_and_its_percent_sign(page, payload):
    verdict = page.on_pictures(payload("one.png"), payload("two.jpg"))[3]
    assert re.search(r"\d\u00a0%", verdict)
    assert not re.search(r">[^<]*\d %[^<]*<", verdict)


def test_a_comparison_is_light_and_drawn_once(page, payload, monkeypatch):
    given = payload("one.png"), payload("two.jpg")
    first = page.on_pictures(*given)
    assert sum(map(len, first[2:])) < 1_500_000
    monkeypatch.setattr("app.compare.page.touch_html", lambda *_, **__: pytest.fail("drawn again"))
    assert page.on_swap(*reversed(given))[3:] == first[3:]


def test_swapping_exchanges_pictures_and_keeps_the_distance(page, payload, files):
    before = page.on_pictures(payload("one.png"), payload("two.jpg"))
    a, b, _, verdict, touch, *_ = page.on_swap(payload("one.png"), payload("two.jpg"))
    assert (a, b) == (str(files["two.jpg"]), str(files["one.png"]))
    assert distance_in(verdict) == pytest.approx(distance_in(before[3]), rel=1e-9)
    assert touch != before[4]


def test_one_picture_alone_waits_for_the_other(page, payload):
    *_, message, verdict, touch, steps, numbers = page.on_pictures(payload("one.png"), None)
    assert (message, touch, steps, numbers) == ("", "", "", "")
    assert "as soon as both pictures are there" in verdict


def test_a_broken_picture_is_named_and_taken_away_and_no_old_result_stays(page, payload):
    a, _, message, verdict, *drawn = page.on_pictures(payload("broken.jpg"), payload("two.jpg"))
    assert a is None
    assert "<strong>broken.jpg</strong>" in message
    assert 'role="alert"' in message
    assert "distance" not in verdict
    assert drawn == ["", "", ""]


def test_two_broken_pictures_are_both_reported(page, payload):
    message = page.on_pictures(payload("broken.jpg"), payload("broken.jpg"))[2]
    assert message.count('role="alert"') == 2


def test_a_format_that_browsers_do_not_show_gets_a_preview(page, payload):
    a, _, _, verdict, *_ = page.on_pictures(payload("scan.tif"), payload("one.png"))
    assert a.endswith(".webp")
    assert distance_in(verdict) > 0


def test_a_message_without_a_picture_can_be_sent_whatever_is_in_it():
    assert b">lost \\udcf6</div>" in message_html("lost \udcf6").encode()


def test_a_preview_that_cannot_be_written_is_explained_and_the_picture_stays(page, payload):
    page.models.default._previews.cleanup()  # nothing can be written there any more
    a, _, message, *_ = page.on_pictures(payload("scan.tif"), payload("one.png"))
    assert a == gr.skip()
    assert "failed on our side" in message


def test_experts_see_the_strongest_node_of_the_highest_level_first(page, payload):
    opened, level, node, details = page.expert.on_expand(payload("one.png"), payload("two.jpg"))
    assert opened
    assert level["value"] == 2
    assert node["value"] == node["choices"][0][1]
    assert f"Level 3, node {node['value']}" in details
    assert details.count("<svg") == 2  # the lowest level has no gate


def test_experts_can_choose_another_level_and_node(page, payload):
    given = payload("one.png"), payload("two.jpg")
    node, details = page.expert.on_level(*given, 1)
    assert f"Level 2, node {node['value']}" in details
    chosen = node["choices"][3][1]
    assert f"Level 2, node {chosen}" in page.expert.on_node(*given, 1, chosen)


def test_a_levels_maps_lead_to_its_nodes(page, payload):
    opened, part, level, _, details = page.expert.on_nodes(payload("one.png"), payload("two.jpg"), "", 0)
    assert (opened, part["open"], level["value"]) == (True, True, 0)
    assert "Level 1, node" in details


@pytest.mark.parametrize("level", [-1, 3, 99])
def test_a_level_that_there_is_not_leads_to_the_highest(page, payload, level):
    assert page.expert.on_nodes(payload("one.png"), payload("two.jpg"), "", level)[2]["value"] == 2


def test_the_expert_part_of_a_new_comparison_is_drawn_only_when_it_is_open(page, payload):
    given = payload("one.png"), payload("two.jpg")
    assert page.expert.on_compared(*given, "", False)[3] == ""
    assert "Level 3, node" in page.expert.on_compared(*given, "", True)[3]


def test_a_method_without_gates_has_no_expert_part(plain_checkpoint, page, payload):
    plain = ComparePage(Models(plain_checkpoint), page.pairs)
    part, *_, details = plain.expert.on_compared(payload("one.png"), payload("two.jpg"))
    assert (part["visible"], details) == (False, "")
    assert plain.expert.on_expand(payload("one.png"), payload("two.jpg"))[3] == ""
    verdict = plain.on_pictures(payload("one.png"), payload("two.jpg"))[3]
    assert "No pairs of pictures that this model was tested with" in verdict
    assert distance_in(verdict) > 0


def test_names_from_outside_are_escaped(page, files):
    evil = {"path": str(files["broken.jpg"]), "orig_name": "<script>x.jpg"}
    assert "<script>" not in page.on_pictures(evil, None)[2]


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
        a, b, message, verdict, *_, origin, method, beside, note = linked.on_open(
            request(gallery="plain", a="0", b="7")
        )
        assert all(Image.open(shown).size == (64, 64) for shown in (a, b))
        expected = compare(plain_checkpoint, collection / "a" / "0.png", collection / "b" / "2.png").distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert message == ""
        assert "unsaved-embedding" in origin
        assert "explore?gallery=plain&amp;trail=0" in origin
        assert (method["value"], beside["value"]) == ("unsaved-embedding", "")
        assert 'data-link="method=unsaved-embedding"' in note
        swapped = linked.on_swap(a, b, method["value"])
        assert distance_in(swapped[3]) == pytest.approx(expected, rel=1e-6)
        assert not linked.expert.on_compared(a, b, method["value"])[0]["visible"]

    def test_a_link_may_name_another_method_than_that_of_its_gallery(self, linked, checkpoint, collection):
        link = request(gallery="plain", a="0", b="7", method="unsaved-avsl", beside="unsaved-embedding")
        _, _, _, verdict, *_, method, beside, _ = linked.on_open(link)
        expected = compare(checkpoint, collection / "a" / "0.png", collection / "b" / "2.png").distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert (method["value"], beside["value"]) == ("unsaved-avsl", "unsaved-embedding")

    def test_an_example_keeps_the_method_and_forgets_the_gallery(self, linked, plain_checkpoint, page):
        _, _, _, verdict, *_, origin = linked._on_example(0)("unsaved-embedding")
        pair = page.pairs[0]
        expected = compare(plain_checkpoint, pair.a.path, pair.b.path).distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert origin == ""

    @pytest.mark.parametrize(
        "link", [{"gallery": "x", "a": "0", "b": "1"}, {"gallery": "plain", "a": "../x", "b": "99"}]
    )
    def test_a_link_to_nothing_says_so_and_the_first_example_is_shown(self, linked, link):
        _, _, message, verdict, *_, origin, method, _, _ = linked.on_open(request(**link))
        assert 'role="alert"' in message
        assert distance_in(verdict) > 0
        assert (method["value"], origin) == ("unsaved-avsl", "")

    def test_only_a_link_that_leads_nowhere_leaves_what_it_tells_of_the_pictures_aside(self, linked):
        lost, found = ({"gallery": name, "a": "0", "b": "7"} for name in ("x", "plain"))
        assert "data-linked" not in linked.on_open(request(**lost))[4]
        assert "data-linked" in linked.on_open(request(**found))[4]

    def test_a_linked_picture_does_not_tell_where_it_was_taken(
        self, linked, shelf, checkpoint, collection, tmp_path
    ):
        shutil.copytree(collection, tmp_path / "own")
        exif = Image.Exif()
        exif[0x010E] = "at my house"
        Image.open(collection / "a" / "0.png").save(tmp_path / "own" / "a" / "0.jpg", exif=exif)
        (tmp_path / "own" / "a" / "0.png").unlink()
        build_gallery(checkpoint, tmp_path / "own", shelf.folder / "own")
        shown, *_ = linked.on_open(request(gallery="own", a="0", b="7"))
        assert b"at my house" in (tmp_path / "own" / "a" / "0.jpg").read_bytes()
        assert b"at my house" not in Path(shown).read_bytes()

    def test_a_link_that_fails_on_our_side_says_so(self, linked):
        linked.links.shelf.open("plain").bench._previews.cleanup()  # nothing can be written there any more
        message, verdict = linked.on_open(request(gallery="plain", a="0", b="7"))[2:4]
        assert "cannot be followed" in message
        assert distance_in(verdict) > 0

    def test_a_link_to_an_older_state_of_the_gallery_says_so(self, linked):
        shown = linked.on_open(request(gallery="plain", a="0", b="7", g="000000-ab"))
        assert "has changed" in shown[2]

    def test_without_a_link_the_first_example_is_shown(self, linked, page):
        shown = linked.on_open(request())
        assert shown[:2] == [str(page.pairs[0].a.path), str(page.pairs[0].b.path)]


class TestOwnLinks:
    @pytest.fixture
    def kept(self, page, tmp_path):
        """The page with a place for the pictures of links, and a link to two that lie there."""
        page.keep = Keep(tmp_path / "kept")
        pair = page.pairs[0]
        page.link = {"a": page.keep.put(pair.a), "b": page.keep.put(pair.b)}
        return page

    def test_a_link_brings_its_pictures_back_with_the_methods(self, kept, plain_checkpoint, files):
        link = request(**kept.link, method="unsaved-embedding", beside="unsaved-avsl")
        a, b, message, verdict, *_, origin, method, beside, _ = kept.on_open(link)
        expected = compare(plain_checkpoint, files["one.png"], files["two.jpg"]).distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-6)
        assert (message, origin) == ("", "")
        assert (method["value"], beside["value"]) == ("unsaved-embedding", "unsaved-avsl")
        assert kept.keep.folder not in {Path(a).parent, Path(b).parent}  # copies are shown

    def test_a_link_whose_pictures_are_gone_says_so_and_the_first_example_is_shown(self, kept):
        shown = kept.on_open(request(a="0" * 32, b=kept.link["b"]))
        assert "no longer kept" in shown[2]
        assert distance_in(shown[3]) > 0

    def test_a_link_names_an_example(self, page, payload):
        page.pairs.append(ExamplePair("Other", "The other way round.", page.pairs[0].b, page.pairs[0].a))
        shown = page.on_open(request(example="1"))
        assert shown[:2] == [str(page.pairs[1].a.path), str(page.pairs[1].b.path)]
        assert "The other way round." in shown[2]

    @pytest.mark.parametrize("example", ["7", "-1", "x", "1" * 40, "\u0661"])
    def test_an_example_that_there_is_not_is_the_first(self, page, example):
        assert page.on_open(request(example=example))[0] == str(page.pairs[0].a.path)


def request(**values):
    return gr.Request(request=None, query_params=values)
