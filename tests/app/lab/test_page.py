"""What the Bird lab answers: pictures, words and score, from a tiny model."""

import itertools
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.lab.bench import LabBench, Spot
from app.lab.figures import draw_outline, draw_spot
from app.lab.page import LabPage
from app.lab.state import LabState
from app.server import build_app
from app.work.turnstile import Turnstile
from avsl_core.aviary.parameters import Part

ROSE = Part("cone", "plain", "rose")
STATE, VIEW, STRIP, VERDICT, LEVELS, SCORE, FAMILY, SPECIES, PART, FORM = range(10)


@pytest.fixture(scope="module")
def bench(checkpoint):
    return LabBench(checkpoint)


@pytest.fixture
def lab(bench):
    return LabPage(bench, itertools.count(1).__next__)


@pytest.fixture
def narrow(checkpoint):
    """A page in front of a model that takes one question and lets nobody wait, and its turnstile."""
    turnstile = Turnstile(slots=1, waiting=0, patience_s=0)
    return LabPage(LabBench(checkpoint, turnstile=turnstile)), turnstile


@pytest.fixture
def start(lab):
    return lab.start()


class TestState:
    def test_the_original_look_is_no_change(self):
        state = LabState("finch", 0).with_part("beak", Part("hook", "plain", "rose"), ROSE)
        assert state.changed == ("beak",)
        assert state.with_part("beak", ROSE, ROSE).changes == ()

    def test_two_ways_to_one_bird_are_one_state(self):
        hook, fan = Part("hook", "plain", "rose"), Part("fan", "plain", "rose")
        one = LabState("finch", 0).with_part("beak", hook, ROSE).with_part("tail", fan, ROSE)
        other = LabState("finch", 0).with_part("tail", fan, ROSE).with_part("beak", hook, ROSE)
        assert one.key == other.key

    def test_each_single_change_counts_once(self):
        state = LabState("finch", 0).with_part("beak", Part("hook", "plain", "rose"), ROSE)
        assert len(state.with_try("on").with_try("elsewhere").tries) == 1
        assert len(state.with_try("on").with_scene(5).with_try("on").tries) == 2

    def test_none_or_several_changes_do_not_count(self):
        state = LabState("finch", 0)
        assert state.with_try("on").tries == ()
        two = state.with_part("beak", Part("hook", "plain", "rose"), ROSE)
        two = two.with_part("tail", Part("fan", "plain", "rose"), ROSE)
        assert two.with_try("on").tries == ()

    def test_another_bird_keeps_the_score_and_drops_the_changes(self):
        state = LabState("finch", 0).with_part("beak", Part("hook", "plain", "rose"), ROSE).with_try("on")
        after = state.with_bird("owl", 7)
        assert (after.changes, len(after.tries)) == ((), 1)
        assert after.without_tries().tries == ()


class TestPage:
    def test_without_a_change_the_birds_are_identical(self, lab, start):
        shown = lab.on_reset(start, False, "beak")
        assert "the same to the pixel" in shown[VERDICT]
        assert distance_in(shown[VERDICT]) == 0
        assert "Nothing is changed yet" in shown[VIEW]
        assert shown[LEVELS] == ""

    def test_a_change_moves_the_distance_and_the_bars_add_up_to_it(self, lab, start):
        shown = change(lab, start, "tail", palette="royal")
        assert distance_in(shown[VERDICT]) > 0
        parts = [float(v) for v in re.findall(r'<tr data-name="[^"]+" data-value="([^"]+)"', shown[VERDICT])]
        assert sum(parts) == pytest.approx(distance_in(shown[VERDICT]), rel=1e-9)
        assert "Tail: leaf became royal" in shown[VIEW]
        assert shown[LEVELS].count("<img") == 6

    def test_only_the_changed_part_of_the_picture_changes(self, lab, bench, start):
        state = change(lab, start, "tail", palette="royal")[STATE]
        first, second = bench.result(state).pictures
        moved = (first.encoded.crop != second.encoded.crop).any(axis=2)
        assert moved.any()
        assert moved[first.masks["tail"] | second.masks["tail"]].mean() > 0.5
        assert not moved[first.masks["beak"]].any()

    def test_the_strongest_spot_is_named_and_scored(self, lab, bench, start):
        shown = change(lab, start, "wing", palette="snow", texture="plain")
        result = bench.result(shown[STATE])
        assert shown[STATE].tries[0].place == result.place
        hit = result.pictures[result.spot.picture].masks["wing"][
            int(result.spot.y * 64), int(result.spot.x * 64)
        ]
        assert (result.place == "on") == hit
        assert f'data-hits="{int(hit)}" data-tries="1"' in shown[SCORE]
        assert "marks the strongest spot" in shown[VIEW]

    def test_several_changes_are_shown_but_not_scored(self, lab, start):
        one = change(lab, start, "wing", palette="snow")
        two = change(lab, one[STATE], "tail", palette="royal")
        assert len(two[STATE].tries) == 1
        assert "2 parts differ now: tail and wing. The score counts changes of one part." in two[VIEW]

    def test_of_several_changed_parts_one_can_be_kept(self, lab, start):
        two = change(lab, change(lab, start, "wing", palette="snow")[STATE], "tail", palette="royal")
        assert re.findall('data-only="([a-z]+)"', two[VIEW]) == ["tail", "wing"]
        shown = lab.on_only(two[STATE], False, "tail")
        assert shown[STATE].changed == ("tail",)
        assert [done.part for done in shown[STATE].tries] == ["wing", "tail"]
        assert "data-only" not in shown[VIEW]

    @pytest.mark.parametrize("part", ["beak", "no part", ""])
    def test_a_part_that_is_not_changed_cannot_be_kept(self, lab, start, part):
        state = change(lab, change(lab, start, "wing", palette="snow")[STATE], "tail", palette="royal")[STATE]
        assert lab.on_only(state, False, part)[STATE].changes == state.changes

    def test_the_opening_change_counts(self, lab):
        shown = lab.on_open(False)
        assert shown[STATE].changed == ("beak",)
        assert [done.part for done in shown[STATE].tries] == ["beak"]
        assert 'data-tries="1"' in shown[SCORE]

    def test_the_first_change_counts_whichever_part_it_is_of(self, lab):
        shown = change(lab, lab.on_open(False)[STATE], "tail", palette="royal")
        assert shown[STATE].changed == ("tail",)
        assert [done.part for done in shown[STATE].tries] == ["beak", "tail"]

    def test_the_second_change_of_a_visitor_leaves_the_first_one_there(self, lab):
        one = change(lab, lab.on_open(False)[STATE], "tail", palette="royal")
        assert change(lab, one[STATE], "wing", palette="snow")[STATE].changed == ("tail", "wing")

    def test_the_opening_change_can_be_gone_on_with(self, lab):
        shown = change(lab, lab.on_open(False)[STATE], "beak", form="hook")
        (changed,) = shown[STATE].changes
        assert changed == ("beak", Part("hook", "plain", "scarlet"))

    def test_the_outline_of_the_change_can_be_drawn(self, lab, start):
        state = change(lab, start, "wing", palette="snow")[STATE]
        without, outlined = lab.on_outline(state, False), lab.on_outline(state, True)
        assert without[VIEW] != outlined[VIEW]
        assert "true place of wing" in outlined[VIEW]
        assert "true place of wing" in outlined[LEVELS]

    def test_a_change_that_cannot_be_seen_says_so_and_does_not_count(self, lab, bench):
        bare = next(name for name, s in bench.species.items() if s.bird.parts["crest"].form == "none")
        shown = change(lab, LabState(bare, 0), "crest", texture="barred")
        assert "cannot be seen" in shown[VIEW]
        assert shown[STATE].tries == ()

    def test_where_the_model_has_too_much_to_do_the_birds_stay_and_that_is_said(self, narrow):
        lab, turnstile = narrow
        before = lab.on_open(False)[STATE]
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            busy = other.submit(change, lab, before, "wing", palette="snow").result()
        assert "Too many people" in busy[VERDICT] and 'role="alert"' in busy[VERDICT]
        assert all(stays(busy[i]) for i in (VIEW, STRIP, LEVELS, SCORE))
        # What was chosen stays chosen, and is shown with the next result.
        shown = lab.on_outline(busy[STATE], False)
        assert "wing" in shown[VIEW] and "Too many" not in shown[VERDICT]

    def test_where_the_model_has_too_much_to_do_the_same_choice_can_be_tried_again(self, narrow):
        lab, turnstile = narrow
        before = lab.on_open(False)[STATE]
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            busy = other.submit(change, lab, before, "wing", palette="snow").result()
            still = other.submit(lab.on_again, busy[STATE], False).result()
        assert all("data-again>Try again</button>" in shown[VERDICT] for shown in (busy, still))
        shown = lab.on_again(still[STATE], False)
        assert "data-again" not in shown[VERDICT]
        assert "wing" in shown[VIEW] and [done.part for done in shown[STATE].tries] == ["beak", "wing"]

    def test_what_went_wrong_for_another_reason_offers_no_second_try(self, lab, start):
        assert "data-again" not in lab.on_species(start, False, "dodo")[VERDICT]

    def test_where_the_model_has_too_much_to_do_the_menus_are_there_to_try_again(self, checkpoint):
        turnstile = Turnstile(slots=1, waiting=0, patience_s=0)
        lab = LabPage(LabBench(checkpoint, turnstile=turnstile))
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            opened = other.submit(lab.on_open, False).result()
            owl = other.submit(lab.on_family, opened[STATE], False, "owl").result()
        assert opened[FORM]["value"] and opened[FORM]["choices"]
        assert (owl[STATE].species, owl[SPECIES]["value"]) == (lab.families["owl"][0],) * 2

    def test_what_no_page_sends_is_answered_calmly(self, lab, start):
        shown = lab.on_species(start, False, "dodo")
        assert "failed on our side" in shown[VERDICT]
        assert all(stays(update) for i, update in enumerate(shown) if i != VERDICT)

    def test_the_menus_follow_the_part(self, lab, start):
        form, texture, palette = lab.on_part(start, "crest")
        look = lab.bench.species[start.species].bird.parts["crest"]
        assert (form["value"], texture, palette) == (look.form, look.texture, look.palette)
        assert ("Spike", "spike") in form["choices"]

    def test_a_form_of_the_part_before_is_passed_over(self, lab, start):
        shown = lab.on_change(start, False, "beak", "streamer", "plain", "rose")
        assert all(map(stays, shown))

    def test_surprises_change_one_part_each(self, lab, start):
        states = [lab.on_surprise(start, False)[STATE] for _ in range(6)]
        assert all(len(state.changes) == 1 for state in states)
        assert len({state.changed for state in states}) > 1

    def test_another_scene_keeps_the_change(self, lab, start):
        state = change(lab, start, "wing", palette="snow")[STATE]
        after = lab.on_other_scene(state, False)[STATE]
        assert after.changes == state.changes
        assert (after.scene, after.wild) != (state.scene, state.wild)

    def test_another_family_starts_with_its_first_species(self, lab, start):
        shown = lab.on_family(start, False, "owl")
        assert shown[STATE].species == lab.families["owl"][0]
        assert "Nothing is changed yet" in shown[VIEW]

    def test_a_forgotten_state_starts_anew(self, lab):
        shown = lab.on_change(None, False, "beak", "hook", "plain", "rose")
        assert shown[STATE].species == lab.start().species

    def test_one_visitor_does_not_see_the_score_of_another(self, lab, start):
        change(lab, start, "wing", palette="snow")
        assert lab.on_reset(lab.start(), False, "beak")[STATE].tries == ()

    def test_the_score_can_be_reset(self, lab, start):
        state = change(lab, start, "wing", palette="snow")[STATE]
        state, words = lab.on_forget(state)
        assert state.tries == ()
        assert "No change scored yet" in words

    def test_every_picture_has_a_text_alternative(self, lab, start):
        shown = change(lab, start, "wing", palette="snow")
        html = shown[VIEW] + shown[LEVELS]
        assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', html)) == html.count("<img")


class TestFigures:
    def test_an_outline_surrounds_its_region_and_leaves_it_as_it_is(self):
        grey = np.full((60, 60, 3), 120, np.uint8)
        mask = np.zeros((60, 60), bool)
        mask[20:40, 20:40] = True
        drawn = draw_outline(grey, mask)
        assert (drawn[24:36, 24:36] == 120).all()
        assert drawn[18, 30].max() < 60
        assert drawn[16, 30].min() > 150
        assert (drawn[:10] == 120).all()

    def test_an_empty_region_has_no_outline(self):
        grey = np.full((60, 60, 3), 120, np.uint8)
        assert (draw_outline(grey, np.zeros((60, 60), bool)) == grey).all()

    def test_a_ring_leaves_its_middle_free(self):
        grey = np.full((60, 60, 3), 120, np.uint8)
        drawn = draw_spot(grey, Spot(0, 0.5, 0.5, None))
        assert (drawn[30, 30] == 120).all()
        assert (drawn != 120).any()


def test_the_lab_may_have_a_model_of_its_own(checkpoint, plain_checkpoint):
    blocks = build_app(checkpoint, lab_checkpoint=plain_checkpoint)
    assert [page[1] for page in blocks.pages] == ["Home", "Learn", "Explore", "Bird lab"]


def test_without_skia_the_lab_says_what_to_install_and_the_rest_works(checkpoint_file):
    # In a process of its own: what is imported once cannot be taken away.
    code = (
        "import sys; sys.modules['skia'] = None\n"
        "from app.server import build_app\n"
        "from avsl_core.checkpoint import load_checkpoint\n"
        "blocks = build_app(load_checkpoint(sys.argv[1]))\n"
        "shown = {b.elem_id: b.value for b in blocks.blocks.values() if getattr(b, 'elem_id', None)"
        " and hasattr(b, 'value')}\n"
        "print(shown['lab-missing'], 'compare' in shown)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint_file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "apt-get install libegl1" in done.stdout
    assert done.stdout.strip().endswith("True")


def change(lab, state, part, **look):
    """Choose another look of a part in the menus."""
    before = lab.bench.birds(state)[1].parts[part]
    chosen = {"form": before.form, "texture": before.texture, "palette": before.palette} | look
    return lab.on_change(state, False, part, chosen["form"], chosen["texture"], chosen["palette"])


def distance_in(html):
    return float(re.search(r'id="lab-distance" data-value="([^"]+)"', html).group(1))


def stays(update):
    """Whether an output is left as it is."""
    return isinstance(update, dict) and update["__type__"] == "update" and len(update) == 1
