"""The Explore page: a picture's nearest neighbours in a gallery, and from neighbour to neighbour."""

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.explore_bench import ExploreBench, is_changed, level_titles
from app.explore_build_panel import WATCH, BuildPanel, progress_html
from app.explore_builds import BuildDesk
from app.explore_controls import (
    ALL,
    SLIDERS,
    mode_update,
    quick_choice,
    quick_choices,
    slider_label,
    slider_values,
)
from app.explore_map import map_html, marks_html
from app.explore_results import query_html, results_html, trail_html
from app.explore_script import MAP_SCRIPT, RESULTS_SCRIPT
from app.explore_state import ExploreState, Step
from app.results import message_html
from app.shelf import OpenGallery
from app.uploads import picture_file
from avsl_core.errors import AvslError, GalleryError

__all__ = ["ExplorePage"]

log = logging.getLogger(__name__)

_INTRO = (
    '<header class="avsl-head"><h1>What looks most alike, and why?</h1><p>Every picture of a gallery, '
    "ordered by how far it looks from one of them, or from yours. Click a neighbour to go on from there; "
    "compare any two to see where their distance comes from.</p></header>"
)
_WEIGHING = (
    '<h2>What counts</h2><p class="note">Let a level of the network count more or less, and the order '
    "follows. A level is a depth of the network, not a kind of difference.</p>"
)
# Everything that touches the model queues with the Compare page, so that visitors share the processor.
_MODEL: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": 2,
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}

_FAILED = "This failed on our side: try again, or something else; the log of the app says more"
_CHANGED = "The gallery has changed since this address was made: go on from the picture shown here"
_NOTHING = "Every level is at 0, so nothing counts: raise one of them, or choose All levels"

Update = Any  # what Gradio takes as the new state of a component
Handler = Callable[..., list[Update]]


def _calm(further: int = 0) -> Callable[[Handler], Handler]:
    """Answer an error with a message, and leave everything else on the page as it is.

    Args:
        further: Outputs of the event after those of every answer.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def handle(self: "ExplorePage", *values: Any) -> list[Update]:
            try:
                return handler(self, *values)
            except AvslError as error:
                text = str(error)
            except Exception:
                log.exception("exploring failed")
                text = _FAILED
            return [gr.skip(), message_html(text), *([gr.skip()] * (4 + further))]

        return handle

    return wrap


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

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
        self.state = gr.State(None)
        titles = self._first_titles()
        with gr.Row(elem_id="explore-choose"):
            self.gallery = gr.Dropdown([], label="Gallery", elem_id="explore-gallery", filterable=False)
            self.classes = gr.Dropdown(
                [], label="Only these classes", multiselect=True, elem_id="explore-classes"
            )
            surprise = gr.Button("Surprise me", elem_id="explore-surprise")
            self.upload = gr.UploadButton("Upload a picture", variant="primary", elem_id="explore-upload")
        self.message = gr.HTML("", elem_id="explore-message")
        with gr.Row(elem_id="explore"):
            with gr.Column(elem_id="explore-side"):
                self.query = gr.HTML("", elem_id="explore-query")
                with gr.Column(elem_id="explore-weights"):
                    gr.HTML(_WEIGHING)
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
        everything = [*answer, self.gallery, self.classes, self.mode, self.map, *weighing]
        blocks = gr.context.Context.root_block
        assert blocks is not None
        # Made anew beside the queue of the model: searching goes on meanwhile.
        made = blocks.load(self.on_rebuild, None, [self.message], **WATCH)
        made.then(self.on_open, None, everything, **_MODEL)
        self.gallery.input(self.on_gallery, [self.state, self.gallery], everything, **_MODEL)
        for event in built:
            event.then(self.on_built, [self.state, panel.opened], everything, **_MODEL)
        for source in (self.results, self.map):
            source.pick(self._on_pick, [self.state], answer, **_MODEL)
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

    def on_rebuild(self, request: gr.Request) -> Iterator[Update]:
        """Build the demo anew if it is asked for and missing, telling how far it has come."""
        state = ExploreState.from_link(dict(request.query_params))
        shelf = self.bench.shelf
        if (state is None or state.gallery not in shelf.titles()) and shelf.demo_missing():
            yield from self._rebuild()
        yield gr.skip()

    def on_open(self, request: gr.Request) -> list[Update]:
        """The gallery and query that the address names; the demo's first picture if it names none."""
        return self.open(ExploreState.from_link(dict(request.query_params)))

    def open(self, state: ExploreState | None) -> list[Update]:
        """A gallery with all its menus; another one if that cannot be opened."""
        titles = self.bench.shelf.titles()
        wanted = [] if state is None else [state]
        problems: list[str] = []
        for tried in [*wanted, *(ExploreState(key) for key in titles)]:
            try:
                opened = self.bench.shelf.open(tried.gallery)
                told = [message_html(_CHANGED)] if is_changed(tried, opened) else []
                return self._everything(self.bench.known(tried, opened), opened, "".join(problems + told))
            except AvslError as error:
                problems.append(message_html(str(error)))
            except Exception:
                log.exception("opening a gallery failed")
                problems.append(message_html(_FAILED))
        text = "".join(problems) or message_html("No gallery yet: build one from your own pictures below")
        return [None, text, "", "", "", "", *([gr.skip()] * (4 + 1 + SLIDERS))]

    @_calm(5 + SLIDERS)
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
                *([gr.skip()] * (4 + SLIDERS)),
            ]

    def on_built(self, state: ExploreState | None, key: str | None) -> list[Update]:
        """The gallery that was just built; nothing if none was."""
        if key is None:
            return [gr.skip()] * (6 + 4 + 1 + SLIDERS)
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
        opened = self.bench.shelf.open(state.gallery)
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
        opened = self.bench.shelf.open(state.gallery)
        rows = self.bench.rows(opened, state.classes)
        return self.on_row(state, int(rows[self.seeds() % len(rows)]))

    @_calm()
    def on_upload(self, state: ExploreState | None, payload: Any) -> list[Update]:
        """The visitor's own picture becomes the query."""
        state, file = self._known(state), picture_file(payload)
        if file is None:
            return [gr.skip()] * 6
        step = self.bench.add_upload(file, self.bench.shelf.open(state.gallery).bench)
        return self._answer(state.with_query(step))

    @_calm()
    def on_classes(self, state: ExploreState | None, classes: list[str] | None) -> list[Update]:
        """Only neighbours of some classes."""
        return self._answer(self._known(state).with_classes(classes or []))

    @_calm()
    def on_mode(self, state: ExploreState | None, mode: str) -> list[Update]:
        """Exact or fast."""
        return self._answer(self._known(state).with_mode("fast" if mode == "fast" else "exact"))

    @_calm(SLIDERS)
    def on_quick(self, state: ExploreState | None, choice: str) -> list[Update]:
        """All levels, or one alone."""
        state = self._known(state)
        parts = self.bench.shelf.open(state.gallery).searcher.measure.parts
        weights = [1.0 if choice in (ALL, str(i)) else 0.0 for i in range(len(parts))]
        return [*self._answer(state.with_weights(weights)), *slider_values(weights)]

    @_calm(1)
    def on_weights(self, state: ExploreState | None, *values: float) -> list[Update]:
        """Every level as much as its slider says."""
        state = self._known(state)
        parts = self.bench.shelf.open(state.gallery).searcher.measure.parts
        weights = [*values[: len(parts)], *([1.0] * (len(parts) - len(values)))]
        return [*self._answer(state.with_weights(weights)), quick_choice(weights)]

    def _on_pick(self, state: ExploreState | None, event: gr.EventData) -> list[Update]:
        return self.on_row(state, _number(event, "row"), _text(event, "generation"))

    def _on_step(self, state: ExploreState | None, event: gr.EventData) -> list[Update]:
        return self.on_step(state, _number(event, "step"))

    def _rebuild(self) -> Iterator[Update]:
        try:
            job = self.desk.demo()
        except GalleryError as error:
            log.warning("the demo gallery is missing and cannot be built now: %s", error)
            return
        intro = "<p>The demo gallery is made anew, once, for this model.</p>"
        yield f'<div role="status">{intro}</div>'
        for _ in job.watch():
            yield f"{intro}{progress_html(job)}"
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

    def _everything(self, state: ExploreState, opened: OpenGallery, problem: str = "") -> list[Update]:
        """The answer, and every menu as the state says."""
        if not any(state.weights):  # nothing would count, and there is nothing yet that could stay
            state = state.with_weights(())
        answer = self._answer(state)
        if problem:
            answer[1] = problem + answer[1]
        parts = opened.searcher.measure.parts
        weights = list(state.weights or (1.0,) * len(parts))
        titles = level_titles(parts)
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
        return level_titles(checkpoint.model.measure().parts)

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
