"""A gallery as another method sees it: the same pictures, by real tiny models, on the Explore page."""

import re
import shutil
import threading
from urllib.parse import parse_qsl

import gradio as gr
import pytest
import torch

import avsl_core.checkpoint
from app.explore.bench import ExploreBench
from app.explore.builds import BuildDesk, BuildLimits
from app.explore.page import ExplorePage
from app.explore.shelf import Demo, Shelf
from app.explore.state import ExploreState, Step
from app.work.models import Models
from avsl_core.errors import CheckpointError, GalleryError
from avsl_core.gallery import build_gallery

STATE, MESSAGE, QUERY, TRAIL, RESULTS, MARKS, GALLERY, METHOD, CLASSES, MODE, MAP, QUICK = range(12)
START = ExploreState("demo", (Step(row=0), Step(row=7)))


@pytest.fixture
def shelf(checkpoint, collection, index, tmp_path, shipped, monkeypatch):
    """The collection as the demo of the tiny AVSL model; models of the other methods to load on demand."""
    monkeypatch.setattr(avsl_core.checkpoint, "_SHIPPED", shipped)
    return Shelf(
        Models(checkpoint), tmp_path / "galleries", Demo(checkpoint, "Collection", index, collection)
    )


@pytest.fixture
def desk(shelf):
    return BuildDesk(shelf, BuildLimits(allow_folders=True))


@pytest.fixture
def explore(shelf, desk):
    return ExplorePage(ExploreBench(shelf), desk)


@pytest.fixture
def held(shelf):
    """The CGD model, waiting in the middle of a picture."""
    reached, go = threading.Event(), threading.Event()

    def wait(*_):
        reached.set()
        go.wait(120)

    hook = shelf.models.named("cgd").checkpoint.model.trunk.register_forward_hook(wait)
    yield reached, go
    go.set()
    hook.remove()


class TestSwitching:
    @pytest.mark.parametrize("method", ["cgd", "diml", "raml", "adaptation"])
    def test_the_neighbours_are_those_of_the_method(self, explore, shelf, other_checkpoints, method):
        shown = switch(explore, START, method)
        view = shelf.open("demo", method)
        model = other_checkpoints[method].model
        assert view.bench.checkpoint.model.method == method
        query, rows = view.gallery.gather(torch.tensor([7])), view.gallery.read(0, 15)
        order = [row for row in model.measure().distances(query, rows).argsort().tolist() if row != 7]
        if method != "raml":  # there the query is looked at by the other network
            assert cards(shown) == order[:12]
        assert len(cards(shown)) == 12
        assert shown[METHOD]["value"] == method
        assert shown[STATE].method == method

    def test_the_chosen_picture_and_the_way_to_it_stay(self, explore, shelf, index):
        shown = switch(explore, START, "cgd")
        before, after = shelf.open("demo").gallery, shelf.open("demo", "cgd").gallery
        digests = [before.item(step.row).digest for step in START.trail]
        assert [after.item(step.row).digest for step in shown[STATE].trail] == digests
        back = switch(explore, shown[STATE], "unsaved-avsl")
        assert back[STATE] == START
        assert back[STATE].method == ""

    def test_sliders_and_bars_follow_the_methods_parts(self, explore):
        shown = switch(explore, START, "diml")
        sliders = shown[QUICK + 1 :]
        assert [slider["visible"] for slider in sliders] == [True, True, False, False, False, False]
        assert sliders[1]["label"] == "Structure, what the matched cells lack in likeness"
        assert shown[QUICK]["choices"][0][0] == "All parts"
        assert re.search(
            r'aria-label="Whole [\d.]+, \d+ percent of a typical pair; Structure', shown[RESULTS]
        )

    def test_weights_are_the_other_methods_no_longer(self, explore):
        shown = switch(explore, START.with_weights([0, 0, 1]), "cgd")
        assert shown[STATE].weights == ()

    def test_classes_stay_and_are_the_same(self, explore):
        shown = switch(explore, START.with_classes(["b"]), "cgd")
        assert shown[STATE].classes == ("b",)
        assert len(cards(shown)) == 4
        assert shown[CLASSES]["choices"] == ["a", "b", "c"]

    def test_an_upload_stays(self, explore, payload):
        state = explore.on_upload(START, payload("one.png"))[STATE]
        assert switch(explore, state, "cgd")[STATE].query == state.query

    def test_further_steps_stay_with_the_method(self, explore):
        state = switch(explore, START, "cgd")[STATE]
        for shown in (explore.on_row(state, 3), explore.on_quick(state, "1"), explore.on_more(state)):
            assert shown[STATE].method == "cgd"

    def test_it_is_looked_at_once(self, explore, shelf):
        switch(explore, START, "cgd")
        assert list(explore.on_method(START, "cgd"))[1:-1] == []
        assert len(list(shelf.folder.iterdir())) == 1
        assert list(shelf.titles()) == ["demo"]

    def test_progress_is_told_and_a_stop_offered(self, explore):
        told = list(explore.on_method(START, "cgd"))
        assert "Collection by CGD" in told[1][0]
        assert told[1][2]["visible"]
        assert not told[-1][2]["visible"]
        assert told[-2][0] == ""


class TestAddresses:
    def test_an_address_brings_the_method_back(self, explore):
        link = switch(explore, START, "cgd")[STATE].link()
        state = ExploreState.from_link(dict(parse_qsl(link)))
        shown = explore.open(state)
        assert (shown[STATE], shown[MESSAGE]) == (state, "")
        assert shown[METHOD]["value"] == "cgd"

    def test_an_address_whose_method_has_yet_to_look_has_it_look(self, explore):
        request = type("Request", (), {"query_params": {"gallery": "demo", "trail": "3", "method": "diml"}})()
        told = list(explore.on_rebuild(request))
        assert "Collection by DIML" in told[0][0]
        assert explore.on_open(request)[STATE].method == "diml"

    @pytest.mark.parametrize("method", ["nowhere", "../cgd", "cut"])
    def test_a_method_that_cannot_be_had_is_said_and_the_galleries_own_opens(self, explore, method):
        request = type("Request", (), {"query_params": {"gallery": "demo", "trail": "3", "method": method}})()
        list(explore.on_rebuild(request))
        shown = explore.on_open(request)
        assert 'role="alert"' in shown[MESSAGE]
        assert len(cards(shown)) == 12
        assert (shown[STATE].method, shown[METHOD]["value"]) == ("", "unsaved-avsl")

    def test_a_card_leads_to_the_comparison_by_the_same_method_and_back(self, explore, shelf):
        shown = switch(explore, START, "cgd")
        href = re.search(r'class="compare" href="\./\?([^"]+)"', shown[RESULTS]).group(1)
        link = dict(parse_qsl(href.replace("&amp;", "&")))
        assert link["method"] == "cgd"
        pair = explore.bench.pair(link["gallery"], link["a"], link["b"], link["g"])
        distance = shelf.models.named("cgd").compare(pair.a, pair.b).distance
        assert distance == pytest.approx(distances(shown)[0], abs=1e-5)
        back = ExploreState.from_link(
            {"gallery": "demo", "trail": link["a"], "g": link["g"], "method": "cgd"}
        )
        again = explore.open(back)
        assert (again[MESSAGE], again[STATE].query) == ("", shown[STATE].query)


class TestTrouble:
    @pytest.mark.parametrize("method", ["nowhere", "cut", None, ["cgd"], 3])
    def test_a_method_that_is_not_there_leaves_the_page_as_it_is(self, explore, method):
        told = list(explore.on_method(START, method))
        assert any("role=" in str(update[0]) for update in told)
        shown = explore.on_seen(START, method)
        assert shown[METHOD]["value"] == "unsaved-avsl"
        assert len(shown[RESULTS]) == 1

    def test_pictures_that_are_gone_cannot_be_looked_at_which_is_said(
        self, explore, shelf, checkpoint, collection, tmp_path
    ):
        shutil.copytree(collection, tmp_path / "own")
        build_gallery(checkpoint, tmp_path / "own", shelf.folder / "mine")
        shutil.rmtree(tmp_path / "own")
        told = list(explore.on_method(ExploreState("mine"), "cgd"))
        assert "mine</strong>: its pictures are no longer where the gallery found them" in told[-2][0]
        shown = explore.on_seen(ExploreState("mine"), "cgd")
        assert shown[METHOD]["value"] == "unsaved-avsl"
        assert [path.name for path in shelf.folder.iterdir()] == ["mine"]

    def test_what_is_gone_or_new_or_changed_is_left_out_and_counted(
        self, explore, shelf, checkpoint, collection, tmp_path
    ):
        own = tmp_path / "own"
        shutil.copytree(collection, own)
        build_gallery(checkpoint, own, shelf.folder / "mine")
        (own / "a" / "0.png").unlink()
        (own / "a" / "1.png").write_bytes((own / "a" / "2.png").read_bytes() + b"\0")
        (own / "a" / "new.png").write_bytes((own / "a" / "2.png").read_bytes() + b"\0\0")
        shown = switch(explore, ExploreState("mine", (Step(row=0),)), "cgd")
        assert shelf.open("mine", "cgd").gallery.count == 13
        assert "2 pictures are not as the gallery found them" in shown[MESSAGE]
        assert "The one that was shown is among them" in shown[MESSAGE]
        assert len(cards(shown)) == 12

    def test_a_gallery_that_changed_is_looked_at_anew(self, explore, shelf, checkpoint, collection, tmp_path):
        own = tmp_path / "own"
        shutil.copytree(collection, own)
        build_gallery(checkpoint, own, shelf.folder / "mine")
        switch(explore, ExploreState("mine"), "cgd")
        (own / "a" / "new.png").write_bytes((own / "a" / "2.png").read_bytes() + b"\0")
        build_gallery(checkpoint, own, shelf.folder / "mine")
        with pytest.raises(GalleryError, match="has yet to be looked at"):
            shelf.open("mine", "cgd")
        switch(explore, ExploreState("mine"), "cgd")
        assert shelf.open("mine", "cgd").gallery.count == 16
        assert len(list(shelf.folder.glob(".seen-*"))) == 1

    def test_a_look_that_is_stopped_leaves_nothing(self, explore, shelf, desk, held):
        reached, go = held
        job = desk.view("demo", "cgd")
        assert reached.wait(120)
        assert not shelf.is_seen("demo", "cgd")
        explore.on_stop(job.key)
        go.set()
        assert job.done.wait(120)
        assert "stopped" in job.problem
        assert list(shelf.folder.iterdir()) == []

    def test_a_method_that_is_chosen_already_leaves_what_is_said(self, explore):
        shown = explore.on_seen(switch(explore, START, "cgd")[STATE], "cgd")
        assert len(shown) == len(explore.open(None))
        assert all(update == gr.skip() for update in shown)

    def test_visitors_who_want_the_same_look_share_it_and_others_wait(self, desk, held, shelf):
        reached, go = held
        first = desk.view("demo", "cgd")
        assert reached.wait(120)
        assert desk.view("demo", "cgd") is first
        with pytest.raises(GalleryError, match="Collection by CGD, is being built right now"):
            desk.view("demo", "diml")
        go.set()
        assert first.done.wait(120)
        assert (first.problem, shelf.is_seen("demo", "cgd")) == (None, True)

    def test_one_visitor_switching_is_not_another(self, explore):
        switch(explore, START, "cgd")
        shown = explore.on_row(START, 3)
        assert (shown[STATE].method, shown[MESSAGE]) == ("", "")
        assert explore.open(None)[METHOD]["value"] == "unsaved-avsl"

    def test_only_known_models_and_galleries_can_be_looked_at(self, shelf, desk):
        with pytest.raises(GalleryError, match="no such gallery"):
            desk.view("../x", "cgd")
        with pytest.raises(CheckpointError, match="no such model"):
            desk.view("demo", "/etc/passwd")


def switch(explore, state, method):
    """What the page does when another method is chosen."""
    list(explore.on_method(state, method))
    return explore.on_seen(state, method)


def cards(shown):
    return [int(row) for row in re.findall(r'<li data-row="(\d+)"', shown[RESULTS])]


def distances(shown):
    return [float(value) for value in re.findall(r'<strong data-value="([^"]+)"', shown[RESULTS])]
