"""The Learn page without a browser: what every step says equals what the model measures."""

import base64
import io
import re
from dataclasses import replace
from html import unescape

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.learn.bench import LearnBench
from app.learn.fooled import Trial, trial_words, try_trick
from app.learn.map import flat_places, same_nearest, spread
from app.learn.page import LearnPage
from app.learn.pictures import NAMES, TRICKS, picture_of
from app.learn.seeing import PAIRS
from app.learn.steps import STEPS, step_of
from app.learn.why import PAIR, little_html
from app.work.models import Models
from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import DataError
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.inline import picture_address
from avsl_core.explain.total import total_maps
from avsl_core.images import Preprocess


@pytest.fixture(scope="module")
def models(checkpoint):
    return Models(checkpoint)


@pytest.fixture(scope="module")
def learn(models):
    return LearnPage(models)


@pytest.fixture(scope="module")
def shown(learn):
    """What a step shows in the end, by its number."""
    return {number: list(learn.show(number))[-1] for number in range(1, len(STEPS) + 1)}


class TestTheTour:
    def test_every_step_has_one_short_paragraph_and_shows_something_of_its_own(self, shown):
        assert len(STEPS) == 8
        for number, step in enumerate(STEPS, 1):
            words = re.sub(r"<[^>]+>", "", step.text).split()
            assert 10 < len(words) <= 60, step.title
            assert f'data-live="{number}"' in shown[number]
            assert "avsl-message" not in shown[number]

    @pytest.mark.parametrize("term", ["node", "level", "distance", "embedding"])
    def test_no_word_of_the_trade_is_used_before_it_is_explained(self, shown, term):
        explained = {"distance": 1, "node": 2, "level": 2, "embedding": 3}[term]
        before = "".join(step.title + step.text for step in STEPS[: explained - 1])
        before += "".join(seen(shown[number]) for number in range(1, explained))
        assert not re.search(rf"\b{term}", before, re.IGNORECASE)
        marked = STEPS[explained - 1].text + unescape(shown[explained])
        assert re.search(rf"<strong>{term}s?</strong>", marked)

    def test_the_wait_is_told_picture_by_picture_and_the_next_visitor_does_not_wait(self, checkpoint):
        page = LearnPage(Models(checkpoint))
        first = list(page.show(3))
        assert len(first) == len(NAMES) + 1
        assert all("data-busy" in html and "<progress" in html for html in first[:-1])
        assert f"picture 4 of {len(NAMES)}" in first[3]
        assert list(page.show(3)) == first[-1:]

    def test_what_the_first_visitor_needed_is_shared_with_the_compare_page(self, models, learn, shown):
        assert models.default.encode(picture_of("jay"))[1] is learn.bench.picture("jay")

    def test_addresses_name_steps(self):
        assert [step_of(value) for value in ("1", "8", 5)] == [1, 8, 5]
        assert [step_of(value) for value in ("0", "9", "-1", "2.0", "²", "", None, [3], True)] == [1] * 9

    def test_an_event_that_names_no_step_leads_to_the_first(self, learn):
        for data in ({"step": "x"}, {}, "x", None):
            event = gr.EventData(None, data)
            assert 'data-live="1"' in list(learn._on_go(event))[-1]

    def test_every_picture_has_a_text_alternative_or_a_name_beside_it(self, shown):
        for html in shown.values():
            pictures = re.findall(r'<img [^>]*alt="([^"]*)"', html)
            named = len(re.findall(r'aria-label="[^"]+"[^>]*><img ', html))
            assert sum(not words for words in pictures) == named
            assert len(pictures) == html.count("<img")

    @pytest.mark.parametrize("many", [False, True])
    def test_the_last_step_leads_to_every_page_there_is(self, models, many):
        html = list(LearnPage(models, many=many).show(8))[-1]
        doors = re.findall(r'<a href="([a-z.]+)[^"]*">', html)
        assert doors == [".", *(["many"] if many else []), "explore", "lab"]

    def test_the_handlers_are_private_and_queue_with_the_model(self, models):
        with gr.Blocks() as blocks:
            LearnPage(models).build()
        for handler in blocks.fns.values():
            assert handler.api_visibility == "private"
            assert handler.concurrency_id == "model"

    def test_a_picture_that_is_missing_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"jay\.webp"):
            picture_of("jay", tmp_path)


class TestWhatMeasures:
    def test_the_apps_own_model_guides_the_tour_if_it_is_an_avsl_model(self, checkpoint):
        bench = LearnBench(Models(checkpoint))
        assert bench.guide.checkpoint is checkpoint

    def test_else_a_shipped_one_does_and_the_links_say_so(self, plain_checkpoint):
        page = LearnPage(Models(plain_checkpoint))
        assert page.bench.models.name(page.bench.guide) == "default"
        assert "./?example=2&amp;method=default" in list(page.show(8))[-1]

    def test_without_any_the_page_says_what_to_do(self, plain_checkpoint, monkeypatch):
        monkeypatch.setattr("app.work.models.shipped_checkpoints", dict)
        html = list(LearnPage(Models(plain_checkpoint)).show(1))[-1]
        assert "there is none here; start the app with one" in html
        assert "data-again" in html

    def test_a_model_of_two_levels_shows_every_step(self, new_avsl):
        page = LearnPage(Models(Checkpoint(new_avsl(3, levels=(2, 4)), Preprocess(size=64, resize=64))))
        for number in range(1, len(STEPS) + 1):
            assert "avsl-message" not in list(page.show(number))[-1]


class TestSteps:
    def test_the_guess_is_judged_by_the_two_distances(self, learn, shown):
        measured = [learn.bench.compare(pair.a, pair.b).distance for pair in PAIRS]
        printed = [float(v) for v in re.findall(r'class="learn-number" data-value="([^"]+)"', shown[1])]
        assert printed == measured
        closer = int(re.search(r'data-closer="(\d)"', shown[1]).group(1))
        assert measured[closer] == min(measured)
        assert f"{PAIRS[closer].title.lower()} closer: {min(measured):.3f} against" in shown[1]

    def test_the_answer_is_not_there_to_be_seen_before_the_guess(self, shown):
        assert len(re.findall(r'<p class="learn-number"[^>]* hidden>', shown[1])) == 2
        assert "Choose one of the two." in seen(shown[1])
        assert "machine finds" not in seen(shown[1])

    def test_every_level_shows_the_nodes_that_answer_most_pointedly(self, learn, shown):
        encoding = learn.bench.nodes("jay")
        panels = re.findall(r'data-panel="(\d)".*?(?=data-panel|$)', shown[2], re.DOTALL)
        assert panels == ["1", "2", "3"]
        for level, part in enumerate(re.split(r"data-panel=", shown[2])[1:]):
            named = [int(node) for node in re.findall(r"<figcaption>Node (\d+)", part)]
            assert named == encoding.certainties[level][0].topk(4).indices.tolist()

    def test_the_map_names_the_nearest_and_the_farthest_picture_of_each(self, learn, shown):
        names = list(NAMES)
        distances = learn.bench.distances()
        for row, name in enumerate(names):
            for other in (names[i] for i in range(len(names)) if i != row):
                measured = learn.bench.compare(name, other).distance
                assert measured == pytest.approx(distances[row, names.index(other)], abs=1e-5)
        sentences = re.findall(r'data-say="([^"]*nearest is[^"]*)" data-near="(\d+)"', shown[3])
        assert len(sentences) == len(names)
        for row, (sentence, near) in enumerate(sentences):
            others = np.delete(distances[row], row)
            assert f"at {others.min():.3f};" in sentence
            assert f"at {others.max():.3f}." in sentence
            assert distances[row, int(near)] == others.min()

    def test_the_levels_that_can_be_switched_off_add_up_to_the_distance(self, learn, shown):
        printed = [float(value) for value in re.findall(r'data-printed="([^"]+)"', shown[4])]
        total = float(re.search(r'data-total="([^"]+)"', shown[4]).group(1))
        assert sum(printed) == pytest.approx(total, abs=1e-9)
        assert total == pytest.approx(learn.bench.compare(*PAIR).distance, abs=5e-4)

    def test_orange_less_blue_is_the_distance(self, learn, shown):
        orange, blue, left = (
            float(value)
            for value in re.search(r"adds ([\d.]+), blue takes ([\d.]+) away: ([\d.]+) is", shown[5]).groups()
        )
        maps = total_maps(learn.bench.compare(*PAIR).explanation)
        assert orange == pytest.approx(sum(float(m.clamp_min(0).sum()) for m in maps), abs=1e-3)
        assert blue == pytest.approx(-sum(float(m.clamp_max(0).sum()) for m in maps), abs=1e-3)
        assert orange - blue == pytest.approx(left, abs=1e-9)
        assert left == pytest.approx(learn.bench.compare(*PAIR).distance, abs=5e-4)

    def test_places_are_drawn_level_by_level_as_on_the_other_pages(self, learn, shown):
        comparison = learn.bench.compare(*PAIR)
        parts = comparison.explanation.components
        scale = shared_scale(total_maps(comparison.explanation))
        first, second = heatmaps(shown[5])["both"]
        side = picture_in(first).shape[0]
        for drawn, encoded, maps in (
            (first, comparison.a, [part.map_a for part in parts]),
            (second, comparison.b, [part.map_b for part in parts]),
        ):
            assert drawn == picture_address(draw_signed(encoded.crop, maps, scale, side=side))

    def test_every_place_has_the_colour_that_it_has_alone(self, shown):
        drawn = {key: [picture_in(one) for one in both] for key, both in heatmaps(shown[5]).items()}
        for both, apart, together in zip(drawn["both"], drawn["apart"], drawn["together"], strict=True):
            assert np.abs(apart - together).max() > 40
            assert np.minimum(np.abs(both - apart), np.abs(both - together)).max() < 40  # stored with loss

    def test_the_nodes_that_can_be_followed_are_unlike_in_how_sure_they_are(self, learn, shown):
        gates = learn.bench.compare(*PAIR).explanation.levels["level3"].gate
        titles = re.findall(r"<span>Node (\d+), P ([^<]+)</span>", shown[6])
        assert len(titles) == 3
        values = [float(gates[int(node)]) for node, _ in titles]
        assert values == sorted(values)
        for (_, words), value in zip(titles, values, strict=True):
            if 0.01 <= value <= 0.99:
                assert words == f"{100 * value:.0f}\u00a0%"

    def test_a_node_is_followed_down_to_the_lowest_level(self, shown):
        chains = shown[6].split('class="learn-chain"')[1:]
        for chain in chains:
            assert re.findall(r"Level (\d), node", chain) == ["3", "2", "1"]
            follow = re.findall(r"node (\d+) matters most there", chain)
            assert re.findall(r"Level [12], node (\d+)</strong>", chain) == follow

    def test_the_last_step_leads_to_the_pair_of_the_tour_and_to_the_other_pages(self, shown):
        assert re.findall(r'href="([^"]+)"', shown[8]) == ["./?example=2", "explore", "lab"]


class TestTricks:
    def test_what_came_of_a_trick_follows_the_numbers(self):
        trick = TRICKS[0]
        fooled, not_fooled = Trial(trick, changed=0.5, other=0.2), Trial(trick, changed=0.2, other=0.5)
        assert trial_words(fooled).startswith("<strong>Fooled.</strong>")
        assert "(0.200) than the same heron in a mirror (0.500)" in trial_words(fooled)
        assert trial_words(not_fooled).startswith("<strong>Not fooled.</strong>")
        assert "The same heron in a mirror (0.200) is no farther" in trial_words(not_fooled)

    def test_equal_distances_fool_nobody(self):
        assert not Trial(TRICKS[0], changed=0.3, other=0.3).fooled

    def test_the_page_says_of_every_trick_what_was_measured(self, learn, shown):
        trials = [try_trick(learn.bench, trick) for trick in TRICKS]
        for trial in trials:
            assert trial_words(trial) in unescape(shown[7])
        count = sum(trial.fooled for trial in trials)
        assert f"Fooled by {count or 'none'} of these {len(TRICKS)}" in shown[7].replace("by 0 ", "by none ")

    def test_a_trick_changes_the_picture(self, learn):
        for trick in TRICKS:
            before, after = learn.bench.picture(trick.picture), learn.bench.changed(trick)
            assert not np.array_equal(before.crop, after.crop)

    def test_the_shipped_model_is_fooled_by_every_one_of_them(self):
        # They were chosen for that; when a better model ships, other tricks are wanted here.
        from avsl_core.checkpoint import load_checkpoint

        bench = LearnBench(Models(load_checkpoint("default")))
        assert [try_trick(bench, trick).fooled for trick in TRICKS] == [True] * len(TRICKS)


class TestTheMap:
    def test_places_keep_distances_that_fit_into_a_plane(self):
        points = np.random.default_rng(0).normal(size=(9, 2))
        squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        places = flat_places(squared)
        again = ((places[:, None] - places[None]) ** 2).sum(axis=2)
        np.testing.assert_allclose(again, squared, atol=1e-9)
        assert same_nearest(squared, places) == 9

    def test_pictures_do_not_cover_each_other_and_stay_on_the_drawing(self):
        places = np.random.default_rng(1).normal(size=(13, 2)) * [3, 1]
        places[1] = places[0]
        drawn = spread(places)
        apart = np.abs(drawn[:, None] - drawn[None]).max(axis=2)[~np.eye(13, dtype=bool)]
        assert apart.min() > 124
        assert (drawn > 62).all()
        assert (drawn < [938, 658]).all()

    def test_pictures_that_are_all_alike_have_places_too(self):
        assert np.isfinite(spread(flat_places(np.zeros((4, 4))))).all()


def seen(html):
    """The text that is to be seen: without what lies hidden, or in attributes."""
    shown = re.sub(r"<p [^>]*hidden>.*?</p>", "", html)
    return re.sub(r"<[^>]+>", " ", shown)


def made_up(comparison, *shares):
    parts = zip(comparison.explanation.components, shares, strict=True)
    components = tuple(replace(part, value=share * comparison.distance) for part, share in parts)
    return replace(comparison, explanation=replace(comparison.explanation, components=components))


def test_a_lowest_level_that_adds_nearly_nothing_is_said_to(learn):
    comparison = learn.bench.compare(*PAIR)
    words = little_html(made_up(comparison, 0.004, 0.096, 0.9), 3)
    assert "adds nearly nothing: 0.4\u00a0% of the distance" in words
    assert "adds nearly nothing: less than 0.01\u00a0%" in little_html(made_up(comparison, 1e-6, 0.1, 0.9), 3)


def test_of_a_lowest_level_that_counts_nothing_is_said(learn):
    assert little_html(made_up(learn.bench.compare(*PAIR), 0.3, 0.3, 0.4), 3) == ""


@pytest.mark.parametrize("step", [4, 6])
def test_the_steps_say_of_the_lowest_level_what_the_numbers_say(learn, shown, step):
    expected = little_html(learn.bench.compare(*PAIR), learn.bench.model.levels)
    assert ("learn-little" in shown[step]) == bool(expected)
    assert expected in shown[step]


def heatmaps(html):
    """Addresses of the pictures of each panel, by its key."""
    panels = (view.split('"', 1) for view in html.split('data-panel="')[1:])
    return {key: re.findall(r'src="([^"]+)"', view) for key, view in panels}


def picture_in(address):
    data = base64.b64decode(address.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)
