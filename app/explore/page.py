"""The Explore page: a picture's nearest neighbours in a gallery, and from neighbour to neighbour."""

import dataclasses
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.compare.calmly import Handler, calmly
from app.compare.results import AGAIN_SCRIPT, message_html
from app.explore.bench import ExploreBench, is_changed, titles_of
from app.explore.build_panel import WATCH, BuildPanel
from app.explore.builds import BuildDesk
from app.explore.controls import (
    ALL,
    SLIDERS,
    mode_update,
    quick_choice,
    quick_choices,
    slider_label,
    slider_values,
)
from app.explore.map import map_html, marks_html
from app.explore.methods import Looks, missing_html
from app.explore.results import query_html, results_html, trail_html
from app.explore.script import FOLD_SCRIPT, MAP_SCRIPT, RESULTS_SCRIPT
from app.explore.shelf import OpenGallery
from app.explore.state import ExploreState, Step
from app.work.events import QUIET_MODEL_EVENT
from app.work.turnstile import BusyError
from app.work.uploads import picture_file
from avsl_core.errors import AvslError, GalleryError
from avsl_core.explain.levels import part_titles

__all__ = ["ExplorePage"]

log = logging.getLogger(__name__)

_INTRO = (
    '<header class="avsl-head"><h1>What looks most alike, and why?</h1><p>Every picture of a gallery, '
    "ordered by how far it looks from one of them, or from yours. Click a neighbour to go on from there; "
    "compare any two to see where their distance comes from.</p></header>"
)
_FOLD = '<button type="button" class="explore-fold" aria-expanded="false">{}</button>'
_WEIGHING = (
    f'<h2><span>What counts</span>{_FOLD.format("What counts")}</h2><p class="note">Let a part of the '
    "distance count more or less, and the order follows. A level or layer is a depth of the network, not a "
    "kind of difference.</p>"
)
_MODEL: dict[str, Any] = {**QUIET_MODEL_EVENT, "trigger_mode": "always_last"}

_FAILED = "This failed on our side: try again, or something else; the log of the app says more"
_CHANGED = "The gallery has changed since this address was made: go on from the picture shown here"
_NOTHING = "Every level is at 0, so nothing counts: raise one of them, or choose all of them again"

Update = Any  # what Gradio takes as the new state of a component


def _calm(further: int = 0) -> Callable[[Handler], Handler]:
    """With so many outputs of the event after those of every answer."""
    return calmly(6 + further, 1, _FAILED)


class ExplorePage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        bench: Galleries and answers.
        desk: Where galleries are built.
        seeds: Where every surprise takes its seed from.
    """

    def __init__(
        self, bench: ExploreBench, desk: BuildDesk, seeds: Callable[[], int] = lambda: secrets.randbits(31)
    ) -> None:
        self.bench, self.desk, self.seeds = bench, desk, seeds
        self.looks = Looks(desk)

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
        self.state = gr.State(None)
        titles = self._first_titles()
        with gr.Row(elem_id="explore-choose"):
            self.gallery = gr.Dropdown([], label="Gallery", elem_id="explore-gallery", filterable=False)
            gr.HTML(_FOLD.format("Method and classes"), elem_id="explore-menus-fold", js_on_load=FOLD_SCRIPT)
            self.method = gr.Dropdown([], label="Method", elem_id="explore-method", filterable=False)
            self.classes = gr.Dropdown(
                [], label="Only these classes", multiselect=True, elem_id="explore-classes"
            )
            surprise = gr.Button("Surprise me", elem_id="explore-surprise")
            self.upload = gr.UploadButton("Upload a picture", variant="primary", elem_id="explore-upload")
        self.message = gr.HTML("", elem_id="explore-message", js_on_load=AGAIN_SCRIPT)
        self.job = gr.State(None)
        self.stop = gr.Button("Stop", elem_id="explore-stop-view", size="sm", visible=False)
        with gr.Row(elem_id="explore"):
            with gr.Column(elem_id="explore-side"):
                self.query = gr.HTML("", elem_id="explore-query")
                with gr.Column(elem_id="explore-weights"):
                    gr.HTML(_WEIGHING, elem_id="explore-weights-fold", js_on_load=FOLD_SCRIPT)
                    self.quick = gr.Radio(
                        quick_choices(titles), value=ALL, label="Levels that count", elem_id="explore-quick"
                    )
                    self.sliders = [
                        gr.Slider(
                            0,
                            2,
                            1,
                            step=0.05,
                            label=slider_label(titles, index),
                            visible=1 < len(titles) > index,
                            elem_id=f"explore-level-{index + 1}",
                            buttons=[],
                        )
                        for index in range(SLIDERS)
                    ]
                    self.mode = gr.Radio([], label="Search", elem_id="explore-mode", visible=False)
            with gr.Column(elem_id="explore-main"):
                self.trail = gr.HTML("", elem_id="explore-trail", js_on_load=RESULTS_SCRIPT)
                self.results = gr.HTML(
                    '<p class="explore-status">Opening the gallery ...</p>',
                    elem_id="explore-results",
                    js_on_load=RESULTS_SCRIPT,
                )
            with gr.Column(elem_id="explore-map"):
                gr.HTML("<h2>The whole gallery</h2>")
                with gr.Column(elem_id="explore-layers"):
                    self.map = gr.HTML("", elem_id="explore-dots", js_on_load=MAP_SCRIPT)
                    self.marks = gr.HTML("", elem_id="explore-marks")
        panel = BuildPanel(self.desk)
        self._connect(surprise, panel, panel.build())

    def _connect(self, surprise: gr.Button, panel: BuildPanel, built: list[Any]) -> None:
        answer = [self.state, self.message, self.query, self.trail, self.results, self.marks]
        weighing = [self.quick, *self.sliders]
        everything = [*answer, self.gallery, self.method, self.classes, self.mode, self.map, *weighing]
        building = [self.message, self.job, self.stop]
        blocks = gr.context.Context.root_block
        assert blocks is not None
        # Made anew beside the queue of the model: searching goes on meanwhile.
        made = blocks.load(self.on_rebuild, None, building, **WATCH)
        made.then(self.on_open, None, everything, **_MODEL)
        self.gallery.input(self.on_gallery, [self.state, self.gallery], everything, **_MODEL)
        wanted = [self.state, self.method]
        looked = self.method.input(self.on_method, wanted, building, **WATCH)
        looked.then(self.on_seen, wanted, everything, **{**_MODEL, "preprocess": False})
        self.stop.click(self.on_stop, [self.job], [self.stop], **WATCH)
        for event in built:
            event.then(self.on_built, [self.state, panel.opened], everything, **_MODEL)
        for source in (self.results, self.map):
            source.pick(self._on_pick, [self.state], answer, **_MODEL)
        self.message.again(self.on_again, [self.state], answer, **_MODEL)
        self.trail.step(self._on_step, [self.state], answer, **_MODEL)
        self.results.more(self.on_more, [self.state], answer, **_MODEL)
        surprise.click(self.on_surprise, [self.state], answer, **_MODEL)
        self.upload.upload(self.on_upload, [self.state, self.upload], answer, preprocess=False, **_MODEL)
        self.classes.input(self.on_classes, [self.state, self.classes], answer, **_MODEL)
        self.mode.input(self.on_mode, [self.state, self.mode], answer, **_MODEL)
        self.quick.input(self.on_quick, [self.state, self.quick], [*answer, *self.sliders], **_MODEL)
        gr.on(
            [slider.input for slider in self.sliders],
            self.on_weights,
            [self.state, *self.sliders],
            [*answer, self.quick],
            **_MODEL,
        )

    def on_rebuild(self, request: gr.Request) -> Iterator[list[Update]]:
        """Build what the page is to open with if it is missing, telling how far it has come."""
        state = ExploreState.from_link(dict(request.query_params))
        shelf = self.bench.shelf
        if (state is None or state.gallery not in shelf.titles()) and shelf.demo_missing():
            yield from self._rebuild()
        elif state is not None and state.method:
            yield from self.looks.look(state.gallery, state.method)
        yield [gr.skip(), None, gr.update(visible=False)]

    def on_method(self, state: ExploreState | None, method: object) -> Iterator[list[Update]]:
        """Let another method see the gallery, unless it has, telling how far it has come.

        The menu tells a choice twice at once: the second time must not hide the button to stop the first.
        """
        yield ["", gr.skip(), gr.skip()]
        yield from self.looks.look(self._known(state).gallery, method)
        yield [gr.skip(), None, gr.update(visible=False)]

    def on_stop(self, key: str | None) -> Update:
        """Ask the look by another method to stop."""
        self.desk.cancel(key)
        return gr.update(value="Stopping ...", interactive=False)

    def on_seen(self, state: ExploreState | None, method: object) -> list[Update]:
        """The gallery as another method sees it; the method as it was where that came to nothing.

        Nothing where it is the one on the page: the menu tells a choice twice, and the second time comes when
        the first has been answered.
        """
        state = self._known(state)
        problem = message_html(_FAILED)
        try:
            name = self.looks.name(method)
            if self.bench.shelf.is_seen(state.gallery, name):
                if name == self.bench.shelf.models.name(self.bench.open(state).bench):
                    return [gr.skip()] * (12 + SLIDERS)
                there = self.bench.seen_by(state, name)
                opened = self.bench.open(there)
                missing = missing_html(opened, state, there)
                return self._everything(self.bench.known(there, opened), opened, missing)
            problem = gr.skip()  # why, is said already
        except AvslError as error:
            problem = message_html(str(error))
        except Exception:
            log.exception("switching the method failed")
        return [
            gr.skip(),
            problem,
            *([gr.skip()] * 5),
            self.looks.shown(state),
            *([gr.skip()] * (4 + SLIDERS)),
        ]

    def on_open(self, request: gr.Request) -> list[Update]:
        """The gallery and query that the address names; the demo's first picture if it names none."""
        return self.open(ExploreState.from_link(dict(request.query_params)))

    def open(self, state: ExploreState | None) -> list[Update]:
        """A gallery with all its menus; another one if that cannot be opened."""
        titles = self.bench.shelf.titles()
        wanted = [] if state is None else [state]
        if state is not None and state.method:  # as its own method sees it, if all else fails
            wanted.append(dataclasses.replace(state, method="", trail=(), weights=()))
        problems: list[str] = []
        for tried in [*wanted, *(ExploreState(key) for key in titles)]:
            try:
                return self._open(tried, problems)
            except AvslError as error:
                problems.append(message_html(str(error)))
            except Exception:
                log.exception("opening a gallery failed")
                problems.append(message_html(_FAILED))
        text = "".join(problems) or message_html("No gallery yet: build one from your own pictures below")
        return [None, text, "", "", "", "", *([gr.skip()] * (5 + 1 + SLIDERS))]

    @_calm(6 + SLIDERS)
    def on_gallery(self, state: ExploreState | None, key: str) -> list[Update]:
        """Another gallery."""
        try:
            opened = self.bench.shelf.open(key)
            return self._everything(self.bench.known(ExploreState(key), opened), opened)
        except AvslError as error:
            back = gr.skip() if state is None else state.gallery
            return [
                gr.skip(),
                message_html(str(error)),
                *([gr.skip()] * 4),
                back,
                *([gr.skip()] * (5 + SLIDERS)),
            ]

    def on_built(self, state: ExploreState | None, key: str | None) -> list[Update]:
        """The gallery that was just built; nothing if none was."""
        if key is None:
            return [gr.skip()] * (6 + 5 + 1 + SLIDERS)
        return self.on_gallery(state, key)

    @_calm()
    def on_row(self, state: ExploreState | None, row: int, generation: str = "") -> list[Update]:
        """A picture of the gallery becomes the query.

        Args:
            state: What is on the page.
            row: The picture's number.
            generation: The state of the gallery that the number is of; empty for any.
        """
        state = self._known(state)
        opened = self.bench.open(state)
        if generation not in ("", opened.gallery.generation) or not opened.has(row):
            raise GalleryError(f"{opened.title}: the gallery has changed; load the page again")
        return self._answer(state.with_query(Step(row=row)))

    @_calm()
    def on_step(self, state: ExploreState | None, step: int) -> list[Update]:
        """Back to a step of the trail."""
        return self._answer(self._known(state).back_to(step))

    @_calm()
    def on_more(self, state: ExploreState | None) -> list[Update]:
        """More neighbours."""
        return self._answer(self._known(state).with_more())

    @_calm()
    def on_surprise(self, state: ExploreState | None) -> list[Update]:
        """A picture drawn at random, of the chosen classes if some are chosen."""
        state = self._known(state)
        opened = self.bench.open(state)
        rows = self.bench.rows(opened, state.classes)
        return self.on_row(state, int(rows[self.seeds() % len(rows)]))

    @_calm()
    def on_upload(self, state: ExploreState | None, payload: Any) -> list[Update]:
        """The visitor's own picture becomes the query."""
        state, file = self._known(state), picture_file(payload)
        if file is None:
            return [gr.skip()] * 6
        step = self.bench.add_upload(file, self.bench.open(state).bench)
        return self._answer(state.with_query(step))

    @_calm()
    def on_again(self, state: ExploreState | None) -> list[Update]:
        """What is chosen in the menus, for which there was no answer before."""
        return self._chosen(self._known(state))

    @_calm()
    def on_classes(self, state: ExploreState | None, classes: list[str] | None) -> list[Update]:
        """Only neighbours of some classes; nothing anew where the menu was left as it was."""
        state, chosen = self._known(state), tuple(classes or ())
        return [gr.skip()] * 6 if chosen == state.classes else self._chosen(state.with_classes(chosen))

    @_calm()
    def on_mode(self, state: ExploreState | None, mode: str) -> list[Update]:
        """Exact or fast."""
        return self._chosen(self._known(state).with_mode("fast" if mode == "fast" else "exact"))

    @_calm(SLIDERS)
    def on_quick(self, state: ExploreState | None, choice: str) -> list[Update]:
        """All levels, or one alone."""
        state = self._known(state)
        parts = self.bench.open(state).searcher.measure.parts
        weights = [1.0 if choice in (ALL, str(i)) else 0.0 for i in range(len(parts))]
        return [*self._chosen(state.with_weights(weights)), *slider_values(weights)]

    @_calm(1)
    def on_weights(self, state: ExploreState | None, *values: float) -> list[Update]:
        """Every level as much as its slider says."""
        state = self._known(state)
        parts = self.bench.open(state).searcher.measure.parts
        weights = [*values[: len(parts)], *([1.0] * (len(parts) - len(values)))]
        return [*self._chosen(state.with_weights(weights)), quick_choice(weights)]

    def _on_pick(self, state: ExploreState | None, event: gr.EventData) -> list[Update]:
        return self.on_row(state, _number(event, "row"), _text(event, "generation"))

    def _on_step(self, state: ExploreState | None, event: gr.EventData) -> list[Update]:
        return self.on_step(state, _number(event, "step"))

    def _open(self, state: ExploreState, problems: list[str]) -> list[Update]:
        """A gallery as an address has it."""
        if state.method:
            state = dataclasses.replace(state, method=self.looks.name(state.method))
        opened = self.bench.open(state)
        base = opened.base
        if base is not None and state.generation == base.gallery.generation:  # of the gallery's own rows
            state = self.bench.seen_by(dataclasses.replace(state, method=""), state.method)
        told = [message_html(_CHANGED)] if is_changed(state, opened) else []
        return self._everything(self.bench.known(state, opened), opened, "".join(problems + told))

    def _rebuild(self) -> Iterator[list[Update]]:
        try:
            job = self.desk.demo()
        except GalleryError as error:
            log.warning("the demo gallery is missing and cannot be built now: %s", error)
            return
        intro = "<p>The demo gallery is made anew, once, for this model.</p>"
        yield [f'<div role="status">{intro}</div>', gr.skip(), gr.skip()]
        yield from self.looks.told(job, intro)
        if job.problem:
            log.warning("the demo gallery could not be built: %s", job.problem)

    def _answer(self, state: ExploreState) -> list[Update]:
        """State, message, query, trail, neighbours and their place on the map."""
        if state.weights and not any(state.weights):
            return [state, message_html(_NOTHING), *([gr.skip()] * 4)]
        found = self.bench.find(state)
        return [
            found.state,
            "",
            query_html(found),
            trail_html(found, self.bench),
            results_html(found, self.bench),
            marks_html(found),
        ]

    def _chosen(self, state: ExploreState) -> list[Update]:
        """The answer to another choice in a menu, which stays chosen where there is no answer for now."""
        try:
            return self._answer(state)
        except BusyError as error:
            return [state, message_html(str(error), again=True), *([gr.skip()] * 4)]

    def _everything(self, state: ExploreState, opened: OpenGallery, problem: str = "") -> list[Update]:
        """The answer, and every menu as the state says; the menus alone where there is no answer for now."""
        if not any(state.weights):  # nothing would count, and there is nothing yet that could stay
            state = state.with_weights(())
        try:
            answer = self._answer(state)
        except BusyError as error:
            answer = [state, message_html(str(error), again=True), "", "", "", ""]
        if problem:
            answer[1] = problem + answer[1]
        parts = opened.searcher.measure.parts
        weights = list(state.weights or (1.0,) * len(parts))
        titles = titles_of(opened)
        keys = self.bench.shelf.titles()
        names = list(opened.classes)
        several = len(parts) > 1
        shown = len(parts) if several else 0
        sliders = [
            gr.update(label=slider_label(titles, i), value=value, visible=i < shown)
            for i, value in enumerate(slider_values(weights))
        ]
        return [
            *answer,
            gr.update(choices=[(title, key) for key, title in keys.items()], value=state.gallery),
            self.looks.shown(state),
            gr.update(choices=names, value=list(state.classes), visible=bool(names)),
            mode_update(state, opened),
            map_html(opened),
            gr.update(choices=quick_choices(titles), value=quick_choice(weights), visible=several),
            *sliders,
        ]

    def _first_titles(self) -> list[tuple[str, str]]:
        """What the sliders are called before a gallery is open: as the demo's model has them."""
        demo = self.bench.shelf.demo
        checkpoint = demo.checkpoint if demo else self.bench.shelf.models.default.checkpoint
        return part_titles(checkpoint.model.measure().parts, checkpoint.model.method)

    def _known(self, state: ExploreState | None) -> ExploreState:
        """The visitor's state; the opening one if the server was started anew meanwhile."""
        return ExploreState(next(iter(self.bench.shelf.titles()), "")) if state is None else state


def _text(event: gr.EventData, key: str) -> str:
    value = event._data.get(key) if isinstance(event._data, dict) else None
    return value if isinstance(value, str) else ""


def _number(event: gr.EventData, key: str) -> int:
    """A number that the page's script sent along; -1, which no picture has, for anything else."""
    value = event._data.get(key) if isinstance(event._data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
