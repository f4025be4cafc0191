"""The Compare page: two pictures in, the whole account out."""

import logging
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.examples import ExamplePair
from app.expert import expert_html, level_choices, node_choices
from app.explore_bench import ExploreBench, LinkedPair
from app.results import lesson_html, maps_html, message_html, verdict_html, waiting_html
from app.saving import save_script
from app.uploads import picture_file
from app.workbench import PictureFile, Workbench
from avsl_core.compare import Comparison
from avsl_core.errors import AvslError, ImageError

__all__ = ["ComparePage"]

log = logging.getLogger(__name__)

_WAITING = "The comparison appears here as soon as both pictures are there."
_SAVE = save_script("Two pictures compared", "comparison.html", ("verdict", "maps", "details"))
_INTRO = (
    '<header class="avsl-head"><h1>How alike are two pictures, and why?</h1><p>Give two pictures. '
    "You get a verdict, one number for how far apart they look, and exactly where "
    "that number comes from.</p></header>"
)
# Everything that touches the model queues here, so that visitors share the processor.
_MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2, "api_visibility": "private"}

Update = Any  # what Gradio takes as the new state of a component


class ComparePage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        bench: Model and caches.
        pairs: Example pairs; the first is shown when the page opens.
        links: Knows the pictures of links to here, and the models that compare them; None takes no links.
    """

    def __init__(self, bench: Workbench, pairs: list[ExamplePair], links: ExploreBench | None = None) -> None:
        self.bench, self.pairs, self.links = bench, pairs, links

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
        self.model = gr.State(None)
        self.origin = gr.HTML("", elem_id="origin")
        with gr.Row(elem_id="pictures"):
            self.a = _picture("First picture", "picture-a", self.pairs[0].a.path)
            self.b = _picture("Second picture", "picture-b", self.pairs[0].b.path)
        with gr.Row(elem_id="actions"):
            compare = gr.Button("Compare", variant="primary", elem_id="compare")
            swap = gr.Button("Swap pictures", elem_id="swap")
        self.message = gr.HTML("", elem_id="message")
        gr.HTML("<p>Or try a pair</p>", elem_id="examples-title")
        with gr.Row(elem_id="examples"):
            examples = [gr.Button(pair.title, elem_id=f"example-{i}") for i, pair in enumerate(self.pairs)]
        self.verdict = gr.HTML(waiting_html("Comparing the first example pair ..."), elem_id="verdict")
        self.maps = gr.HTML("", elem_id="maps")
        with gr.Row(elem_id="tools"):
            self.one_scale = gr.Checkbox(
                False, label="One colour scale for all levels", elem_id="one-scale", container=False
            )
            save = gr.Button("Save as a web page", elem_id="save", size="sm")
            save.click(None, js=_SAVE, api_visibility="private")
        with gr.Accordion("For experts: P and W", open=False, elem_id="expert"):
            self.level = gr.Radio([], label="Level", elem_id="level")
            self.node = gr.Dropdown([], label="Node, strongest first", elem_id="node", filterable=False)
            self.details = gr.HTML("", elem_id="details")
        self._connect(compare, swap, examples)

    def _connect(self, compare: gr.Button, swap: gr.Button, examples: list[gr.Button]) -> None:
        pictures = [self.a, self.b]
        results = [self.message, self.verdict, self.maps]
        expert = [self.level, self.node, self.details]
        options: dict[str, Any] = {**_MODEL, "preprocess": False, "show_progress_on": self.verdict}
        hidden: dict[str, Any] = {**_MODEL, "preprocess": False, "show_progress": "hidden"}
        inputs = [*pictures, self.one_scale, self.model]
        everything = [*pictures, *results, self.model, self.origin]
        # Removing a picture announces itself before the value is gone: only the next step sees the new state.
        given = gr.on(
            [self.a.input, self.b.input, compare.click], None, js="() => {}", api_visibility="private"
        )
        after = [
            given.then(self.on_pictures, inputs, [*pictures, *results], **options),
            swap.click(self.on_swap, inputs, [*pictures, *results], **options),
        ]
        for index, button in enumerate(examples):
            after.append(button.click(self._on_example(index), [self.one_scale], everything, **options))
        blocks = gr.context.Context.root_block
        assert blocks is not None
        after.append(blocks.load(self.on_open, [self.one_scale], everything, **options))
        for event in after:
            event.then(self.on_results, [*pictures, self.model], expert, **hidden)
        self.one_scale.input(self.on_scale, inputs, [self.maps], **hidden)
        chosen = [*pictures, self.level, self.node, self.model]
        self.level.input(self.on_level, chosen, [self.node, self.details], **hidden)
        self.node.input(self.on_node, chosen, [self.details], **hidden)

    def on_open(self, one_scale: bool, request: gr.Request) -> list[Update]:
        """The two pictures that the address names, by the model of their gallery; else the first example."""
        link = request.query_params
        if self.links is None or not link.get("gallery"):
            return list(self._on_example(0)(one_scale))
        try:
            generation = link.get("g", "")
            pair = self.links.pair(link["gallery"], link.get("a", ""), link.get("b", ""), generation)
            shown = [self._shown(file, pair.bench) for file in (pair.a, pair.b)]
        except Exception as error:
            text = "This link cannot be followed right now: try again; the log of the app says more"
            if isinstance(error, AvslError):
                text = str(error)
            else:
                log.exception("following a link failed")
            a, b, _, *rest = self._on_example(0)(one_scale)
            return [a, b, message_html(text), *rest]
        model = self.links.shelf.models.mark(pair.bench)
        origin = _origin(pair, dict(link), own=pair.bench is self.bench)
        return [*shown, *self._results(pair.a, pair.b, one_scale, model), model, origin]

    def on_pictures(self, a: Any, b: Any, one_scale: bool, model: str | None = None) -> list[Update]:
        """New pictures: check each, show what a browser cannot, compare when both are there."""
        shown: list[Update] = []
        problems: list[str] = []
        for payload in (a, b):
            update, problem = self._receive(payload, self._bench(model))
            shown.append(update)
            problems.extend(problem)
        if problems:
            text = "".join(message_html(problem) for problem in problems)
            return [*shown, text, waiting_html("Give another picture to compare."), ""]
        return [*shown, *self._results(a, b, one_scale, model)]

    def on_swap(self, a: Any, b: Any, one_scale: bool, model: str | None = None) -> list[Update]:
        """The two pictures change sides."""
        paths = [None if file is None else str(file.path) for file in (picture_file(b), picture_file(a))]
        return [*paths, *self._results(b, a, one_scale, model)]

    def on_scale(self, a: Any, b: Any, one_scale: bool, model: str | None = None) -> Update:
        """The heatmaps in the other colour scale."""
        comparison = self._comparison(a, b, model)
        return gr.skip() if comparison is None else maps_html(comparison, one_scale=one_scale)

    def on_results(self, a: Any, b: Any, model: str | None = None) -> list[Update]:
        """The expert part of a new comparison: its highest level and strongest node."""
        comparison = self._comparison(a, b, model)
        if comparison is None:
            return [gr.update(choices=[], value=None), gr.update(choices=[], value=None), ""]
        levels = level_choices(comparison)
        level = levels[0][1] if levels else 0
        nodes = node_choices(comparison, level)
        node = nodes[0][1] if nodes else 0
        visible = bool(levels)
        return [
            gr.update(choices=levels, value=level if levels else None, visible=visible),
            gr.update(choices=nodes, value=node if nodes else None, visible=visible),
            expert_html(comparison, self._bench(model).checkpoint.model, level, node),
        ]

    def on_level(
        self, a: Any, b: Any, level: int | None, node: int | None = None, model: str | None = None
    ) -> list[Update]:
        """Another level: its strongest nodes."""
        comparison = self._comparison(a, b, model)
        if comparison is None or level is None:
            return [gr.skip(), gr.skip()]
        nodes = node_choices(comparison, level)
        details = expert_html(comparison, self._bench(model).checkpoint.model, level, nodes[0][1])
        return [gr.update(choices=nodes, value=nodes[0][1]), details]

    def on_node(
        self, a: Any, b: Any, level: int | None, node: int | None, model: str | None = None
    ) -> Update:
        """Another node: its linkages and its trace."""
        comparison = self._comparison(a, b, model)
        if comparison is None or level is None or node is None:
            return gr.skip()
        return expert_html(comparison, self._bench(model).checkpoint.model, level, node)

    def _on_example(self, index: int) -> Any:
        pair = self.pairs[index]

        def show(one_scale: bool) -> list[Update]:
            a, b = str(pair.a.path), str(pair.b.path)
            message, verdict, maps = self._results(pair.a, pair.b, one_scale)
            return [a, b, message or lesson_html(pair.lesson), verdict, maps, None, ""]

        return show

    def _bench(self, model: str | None) -> Workbench:
        """The workbench of a link's model; the page's own without a link."""
        return self.bench if self.links is None or not model else self.links.shelf.models.marked(model)

    def _shown(self, file: PictureFile, bench: Workbench) -> str:
        """A copy of a gallery's picture that may be served: its folder, and where it was taken, may not."""
        return str(bench.preview(file, always=True))

    def _receive(self, payload: Any, bench: Workbench) -> tuple[Update, list[str]]:
        """What the picture's frame shows next, and what is wrong with the picture."""
        file = picture_file(payload)
        if file is None:
            return gr.skip(), []
        try:
            bench.check(file)
            preview = bench.preview(file)
        except ImageError as error:
            return None, [str(error)]
        return (gr.skip() if preview is None else str(preview)), []

    def _results(self, a: Any, b: Any, one_scale: bool, model: str | None = None) -> list[Update]:
        """Message, verdict and maps."""
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return ["", waiting_html(_WAITING), ""]
        try:
            bench = self._bench(model)
            comparison = bench.compare(first, second)
            verdict = verdict_html(comparison, bench.checkpoint.pairs)
            return ["", verdict, maps_html(comparison, one_scale=one_scale)]
        except AvslError as error:
            return [message_html(str(error)), waiting_html(_WAITING), ""]
        except Exception:
            log.exception("comparing failed")
            text = "Comparing failed on our side: try again, or other pictures; the log of the app says more."
            return [message_html(text), waiting_html(_WAITING), ""]

    def _comparison(self, a: Any, b: Any, model: str | None) -> Comparison | None:
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return None
        try:
            return self._bench(model).compare(first, second)
        except AvslError:
            return None


def _origin(pair: LinkedPair, link: dict[str, str], *, own: bool) -> str:
    """Where a link's pictures are from, what compares them, and the ways on."""
    back = urlencode({"gallery": link["gallery"], "trail": link.get("a", ""), "g": link.get("g", "")})
    other = "" if own else ' <a href="./">Use the page\'s own model</a>'
    return (
        f'<p class="note avsl-origin">Compared by the model <strong>{escape(pair.model)}</strong>, which '
        f"made the gallery <strong>{escape(pair.gallery)}</strong>. "
        f'<a href="explore?{escape(back)}">Back to Explore</a>{other}</p>'
    )


def _picture(label: str, elem_id: str, path: Any) -> gr.Image:
    return gr.Image(
        value=str(path),
        label=label,
        elem_id=elem_id,
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        buttons=[],
        height=300,
        min_width=140,
        interactive=True,
        alt_text=label,
    )
