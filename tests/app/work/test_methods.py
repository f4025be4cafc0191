"""Choosing a method, two side by side, and what each shows: the Compare page with real tiny models."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import gradio as gr
import pytest
from PIL import Image

import avsl_core.checkpoint
from app.compare.page import ComparePage
from app.look.style import page_css
from app.work.methods import choose, method_choices
from app.work.models import Models
from avsl_core import compare
from avsl_core.errors import CheckpointError

METHODS = ("diml", "cgd", "raml", "adaptation")


@pytest.fixture
def models(checkpoint, plain_checkpoint, shipped, monkeypatch):
    """The app's own tiny AVSL model and an embedding, and those of the other methods to load on demand."""
    monkeypatch.setattr(avsl_core.checkpoint, "_SHIPPED", shipped)
    return Models(checkpoint, plain_checkpoint)


@pytest.fixture
def methods(models, page):
    return ComparePage(models, page.pairs)


@pytest.fixture
def pair(payload):
    return payload("one.png"), payload("two.jpg")


class TestChoices:
    def test_every_model_is_offered_with_its_method_the_apps_own_first(self, models):
        names = [name for _, name in method_choices(models)]
        assert names[:2] == ["unsaved-avsl", "unsaved-embedding"]
        assert names[2:] == sorted(METHODS)
        titles = {name: title for title, name in method_choices(models)}
        assert titles["unsaved-avsl"] == "AVSL (unsaved-avsl): levels, reliability and linkage"
        assert titles["diml"] == "DIML: matching of cells"

    def test_what_others_asked_for_does_not_change_the_order(self, models):
        before = [entry.name for entry in models.entries]
        models.named("raml")
        assert [entry.name for entry in models.entries] == before

    def test_a_damaged_file_is_not_offered_and_not_taken(self, models):
        assert "cut" not in dict(map(reversed, method_choices(models)))
        choice = choose(models, "cut", "cgd")
        assert (choice.method, choice.beside) == ("unsaved-avsl", "cgd")
        assert "cut" in choice.problems[0]

    def test_listing_loads_no_weights(self, models):
        method_choices(models)
        assert len(models._benches) == 2

    @pytest.mark.parametrize("strange", ["nowhere", "../cgd", "/etc/passwd", ["cgd"], {"a": 1}, 7])
    def test_what_is_not_there_is_said_and_the_own_model_stands_in(self, models, strange):
        choice = choose(models, strange, strange)
        assert (choice.method, choice.beside) == ("unsaved-avsl", "")
        assert len(choice.problems) == 2
        assert "no such model" in choice.problems[0]

    def test_a_methods_name_means_its_first_model(self, models):
        assert choose(models, "embedding").method == "unsaved-embedding"

    def test_the_same_twice_is_once(self, models):
        assert choose(models, "cgd", "cgd").beside == ""

    def test_visitors_who_ask_at_once_share_one_model(self, models):
        with ThreadPoolExecutor(8) as pool:
            benches = list(pool.map(lambda _: models.named("cgd"), range(8)))
        assert len(set(map(id, benches))) == 1
        assert len(models._benches) == 3

    def test_two_files_of_one_name_are_told_apart(self, checkpoint, other_checkpoints, shipped, tmp_path):
        from avsl_core.checkpoint import load_checkpoint, save_checkpoint

        own = load_checkpoint(save_checkpoint(checkpoint, tmp_path / "cgd.safetensors"))
        models = Models(own, load_checkpoint(shipped / "cgd.safetensors"))
        assert models.name(models.default) == "cgd"
        other = next(name for name in models.names if name.startswith("cgd-"))
        assert models.named(other).checkpoint.model.method == "cgd"
        assert models.named("cgd") is models.default

    def test_a_shipped_file_that_cannot_be_loaded_does_not_say_where_it_lies(self, models, shipped):
        with pytest.raises(CheckpointError, match=r"^cut: not a readable") as raised:
            models.named("cut")
        assert str(shipped) not in str(raised.value)


class TestAccounts:
    @pytest.mark.parametrize("method", METHODS)
    def test_a_method_gives_its_own_distance_and_parts(self, methods, pair, files, other_checkpoints, method):
        message, verdict, _, steps, *_ = methods.on_method(*pair, method)
        expected = compare(other_checkpoints[method], files["one.png"], files["two.jpg"])
        assert message == ""
        assert distance_in(verdict) == pytest.approx(expected.distance, rel=1e-6)
        parts = re.findall(r'<tr data-name="([^"]+)" data-value="([^"]+)"', steps)
        names = [component.name for component in expected.explanation.components]
        assert [name for name, _ in parts] == names + ([] if expected.explanation.exact else ["residual"])
        assert sum(float(value) for _, value in parts) == pytest.approx(distance_in(verdict), rel=1e-9)

    @pytest.mark.parametrize("method", METHODS)
    def test_what_the_total_map_is_said_to_add_up_to_is_what_it_adds_up_to(self, methods, pair, method):
        steps = methods.on_method(*pair, method)[3]
        printed = re.findall(r'<td class="value">(-?[\d.]+)<', steps)
        figures = [float(v) for v in re.findall(r'<span class="value">(-?[\d.]+)<', steps)]
        if method == "adaptation":
            figures.pop(1)  # before the adaptation
        assert figures[0] == pytest.approx(sum(figures[1:]), abs=1e-9)
        whole = float(printed[-1]) - (float(printed[-2]) if method == "raml" else 0)
        assert figures[0] == pytest.approx(whole, abs=1e-9)

    def test_matching_shows_its_matches_as_lines_and_as_a_table(self, methods, pair):
        maps = methods.on_method(*pair, "diml")[3].split('data-step="maps"')[1]
        lines = maps.count('class="match"')
        assert 1 <= lines <= 12
        assert maps.count('<th scope="row">') == lines
        assert "What counts in the match" in maps

    def test_adaptation_shows_the_pair_before_and_after(self, methods, pair, files, other_checkpoints):
        steps = methods.on_method(*pair, "adaptation")[3]
        expected = compare(other_checkpoints["adaptation"], files["one.png"], files["two.jpg"]).explanation
        before = [float(v) for v in re.findall(r'data-before="([^"]+)"', steps)]
        assert sum(before) == pytest.approx(expected.before.total, rel=1e-9)
        assert "Everything before the adaptation" in steps

    def test_what_the_gap_in_resolution_adds_is_called_by_its_name(self, methods, pair):
        _, verdict, _, steps, *_ = methods.on_method(*pair, "raml")
        assert "Resolution gap" in steps
        assert "0 is no difference" not in verdict

    @pytest.mark.parametrize("method", ["unsaved-avsl", "cgd", "adaptation"])
    def test_identical_pictures_are_at_0_where_the_page_says_so(self, methods, payload, method):
        verdict = methods.on_method(payload("one.png"), payload("one.png"), method)[1]
        assert "0 is no difference" in verdict
        assert distance_in(verdict) == pytest.approx(0, abs=1e-6)

    def test_the_expert_part_follows_the_first_method(self, methods, pair):
        visible = [
            methods.expert.on_compared(*pair, name)[0]["visible"] for name in ("unsaved-avsl", *METHODS)
        ]
        assert visible == [True, False, False, False, False]

    @pytest.mark.parametrize("method", METHODS)
    def test_every_picture_and_drawing_has_words(self, methods, pair, method):
        maps = "".join(methods.on_method(*pair, method)[2:4])
        assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', maps)) == maps.count("<img")
        assert len(re.findall(r'<svg [^>]*aria-label="[^"]{20,}"', maps)) == maps.count("<svg")

    def test_the_drawings_style_is_on_the_page_and_so_in_the_saved_one(self, methods):
        assert ".avsl-flow .line" in page_css(methods.pairs)


class TestBeside:
    def test_two_accounts_stand_side_by_side_with_their_verdicts(
        self, methods, pair, files, other_checkpoints
    ):
        message, verdict, touch, steps, *_ = methods.on_method(*pair, "unsaved-avsl", "cgd")
        own, beside = re.findall(r'id="(distance[^"]*)" data-value="([^"]+)"', verdict)
        assert (message, own[0], beside[0]) == ("", "distance", "distance-beside")
        expected = compare(other_checkpoints["cgd"], files["one.png"], files["two.jpg"]).distance
        assert float(beside[1]) == pytest.approx(expected, rel=1e-6)
        assert verdict.count('class="avsl-words"') == 2
        assert "on a scale of its own" in verdict
        assert touch.count("<img") == 2  # the first method's
        assert "as AVSL sees them" in touch
        assert steps.count("<canvas") == 2 * (1 + 3) + 2 * (1 + 3)

    def test_one_alone_says_nothing_of_scales(self, methods, pair):
        assert "on a scale of its own" not in methods.on_method(*pair, "cgd")[1]

    def test_swapping_and_new_pictures_keep_both(self, methods, pair):
        for html in (
            methods.on_swap(*pair, "cgd", "diml")[3],
            methods.on_pictures(*pair, "cgd", "diml")[3],
            methods._on_example(0)("cgd", "diml")[3],
        ):
            assert "distance-beside" in html

    def test_when_the_second_cannot_be_had_the_first_still_shows(self, methods, pair):
        message, verdict, *_, beside, _ = methods.on_method(*pair, "cgd", "cut")
        assert "<strong>cut</strong>" in message
        assert distance_in(verdict) > 0
        assert beside["value"] == ""

    def test_the_menus_and_the_address_say_what_is_shown(self, methods, pair):
        *_, method, beside, note = methods.on_method(*pair, "cgd", "diml")
        assert (method["value"], beside["value"]) == ("cgd", "diml")
        assert 'data-link="method=cgd&beside=diml"' in unescape(note)
        assert "<strong>CGD</strong> shows" in note
        assert "<strong>DIML</strong> shows" in note

    def test_an_address_brings_both_back(self, methods):
        request = gr.Request(request=None, query_params={"method": "raml", "beside": "cgd"})
        _, _, _, verdict, *_, method, beside, _ = methods.on_open(request)
        assert (method["value"], beside["value"]) == ("raml", "cgd")
        assert "RAML" in verdict
        assert "distance-beside" in verdict

    def test_an_address_that_names_nothing_opens_with_the_own_model_and_says_so(self, methods):
        request = gr.Request(request=None, query_params={"method": "<b>x</b>", "beside": "/etc/passwd"})
        _, _, message, verdict, *_, method, beside, _ = methods.on_open(request)
        assert message.count("no such model here") == 2
        assert "<b>x" not in message
        assert distance_in(verdict) > 0
        assert (method["value"], beside["value"]) == ("unsaved-avsl", "")


class TestPreviews:
    def test_every_method_looks_at_the_original_of_a_preview(
        self, methods, payload, files, other_checkpoints
    ):
        shown, *_ = methods.on_pictures(payload("scan.tif"), payload("one.png"))
        verdict = methods.on_method(shown, payload("one.png"), "cgd")[1]
        expected = compare(other_checkpoints["cgd"], files["scan.tif"], files["one.png"]).distance
        assert distance_in(verdict) == pytest.approx(expected, rel=1e-9)

    def test_when_the_original_is_gone_the_preview_stands_for_it(self, methods, payload, files, tmp_path):
        upload = shutil.copy(files["scan.tif"], tmp_path / "scan.tif")
        shown, *_ = methods.on_pictures(str(upload), payload("one.png"))
        (tmp_path / "scan.tif").unlink()
        assert Image.open(shown).format == "WEBP"
        assert distance_in(methods.on_method(shown, payload("one.png"), "cgd")[1]) > 0


def distance_in(html):
    return float(re.search(r'id="distance" data-value="([^"]+)"', html).group(1))
