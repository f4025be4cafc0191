"""The Compare page: two pictures in, the whole account out."""

import logging
from typing import Any

import gradio as gr

from app.examples import ExamplePair
from app.expert import expert_html, level_choices, node_choices
from app.results import lesson_html, maps_html, message_html, verdict_html, waiting_html
from app.saving import save_script
from app.uploads import picture_file
from app.workbench import Workbench
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
    """

    def __init__(self, bench: Workbench, pairs: list[ExamplePair]) -> None:
        self.bench, self.pairs = bench, pairs

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
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
        inputs = [*pictures, self.one_scale]
        # Removing a picture announces itself before the value is gone: only the next step sees the new state.
        given = gr.on(
            [self.a.input, self.b.input, compare.click], None, js="() => {}", api_visibility="private"
        )
        after = [
            given.then(self.on_pictures, inputs, [*pictures, *results], **options),
            swap.click(self.on_swap, inputs, [*pictures, *results], **options),
        ]
        for index, button in enumerate(examples):
            after.append(
                button.click(self._on_example(index), [self.one_scale], [*pictures, *results], **options)
            )
        blocks = gr.context.Context.root_block
        assert blocks is not None
        after.append(blocks.load(self._on_example(0), [self.one_scale], [*pictures, *results], **options))
        for event in after:
            event.then(self.on_results, pictures, expert, **hidden)
        self.one_scale.input(self.on_scale, inputs, [self.maps], **hidden)
        self.level.input(self.on_level, [*pictures, self.level], [self.node, self.details], **hidden)
        self.node.input(self.on_node, [*pictures, self.level, self.node], [self.details], **hidden)

    def on_pictures(self, a: Any, b: Any, one_scale: bool) -> list[Update]:
        """New pictures: check each, show what a browser cannot, compare when both are there."""
        shown: list[Update] = []
        problems: list[str] = []
        for payload in (a, b):
            update, problem = self._receive(payload)
            shown.append(update)
            problems.extend(problem)
        if problems:
            text = "".join(message_html(problem) for problem in problems)
            return [*shown, text, waiting_html("Give another picture to compare."), ""]
        return [*shown, *self._results(a, b, one_scale)]

    def on_swap(self, a: Any, b: Any, one_scale: bool) -> list[Update]:
        """The two pictures change sides."""
        paths = [None if file is None else str(file.path) for file in (picture_file(b), picture_file(a))]
        return [*paths, *self._results(b, a, one_scale)]

    def on_scale(self, a: Any, b: Any, one_scale: bool) -> Update:
        """The heatmaps in the other colour scale."""
        comparison = self._comparison(a, b)
        return gr.skip() if comparison is None else maps_html(comparison, one_scale=one_scale)

    def on_results(self, a: Any, b: Any) -> list[Update]:
        """The expert part of a new comparison: its highest level and strongest node."""
        comparison = self._comparison(a, b)
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
            expert_html(comparison, self.bench.checkpoint.model, level, node),
        ]

    def on_level(self, a: Any, b: Any, level: int | None) -> list[Update]:
        """Another level: its strongest nodes."""
        comparison = self._comparison(a, b)
        if comparison is None or level is None:
            return [gr.skip(), gr.skip()]
        nodes = node_choices(comparison, level)
        details = expert_html(comparison, self.bench.checkpoint.model, level, nodes[0][1])
        return [gr.update(choices=nodes, value=nodes[0][1]), details]

    def on_node(self, a: Any, b: Any, level: int | None, node: int | None) -> Update:
        """Another node: its linkages and its trace."""
        comparison = self._comparison(a, b)
        if comparison is None or level is None or node is None:
            return gr.skip()
        return expert_html(comparison, self.bench.checkpoint.model, level, node)

    def _on_example(self, index: int) -> Any:
        pair = self.pairs[index]

        def show(one_scale: bool) -> list[Update]:
            a, b = str(pair.a.path), str(pair.b.path)
            message, verdict, maps = self._results(pair.a, pair.b, one_scale)
            return [a, b, message or lesson_html(pair.lesson), verdict, maps]

        return show

    def _receive(self, payload: Any) -> tuple[Update, list[str]]:
        """What the picture's frame shows next, and what is wrong with the picture."""
        file = picture_file(payload)
        if file is None:
            return gr.skip(), []
        try:
            self.bench.check(file)
            preview = self.bench.preview(file)
        except ImageError as error:
            return None, [str(error)]
        return (gr.skip() if preview is None else str(preview)), []

    def _results(self, a: Any, b: Any, one_scale: bool) -> list[Update]:
        """Message, verdict and maps."""
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return ["", waiting_html(_WAITING), ""]
        try:
            comparison = self.bench.compare(first, second)
            verdict = verdict_html(comparison, self.bench.checkpoint.pairs)
            return ["", verdict, maps_html(comparison, one_scale=one_scale)]
        except AvslError as error:
            return [message_html(str(error)), waiting_html(_WAITING), ""]
        except Exception:
            log.exception("comparing failed")
            text = "Comparing failed on our side: try again, or other pictures; the log of the app says more."
            return [message_html(text), waiting_html(_WAITING), ""]

    def _comparison(self, a: Any, b: Any) -> Comparison | None:
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return None
        try:
            return self.bench.compare(first, second)
        except AvslError:
            return None


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
