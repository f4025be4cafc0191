"""The Compare page: two pictures in, the whole account out."""

import logging
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.examples import ExamplePair
from app.expert import expert_html, level_choices, node_choices
from app.explore_bench import ExploreBench, LinkedPair
from app.methods import ALONE, METHODS_SCRIPT, Choice, choice_updates, choose
from app.models import Models
from app.results import Account, lesson_html, maps_html, message_html, verdict_html, waiting_html
from app.saving import save_script
from app.uploads import picture_file
from app.workbench import PictureFile, Workbench
from avsl_core.compare import Comparison
from avsl_core.errors import AvslError, ImageError
from avsl_core.models import AvslModel, SimilarityModel

__all__ = ["ComparePage"]

log = logging.getLogger(__name__)

_WAITING = "The comparison appears here as soon as both pictures are there."
_FAILED = "Comparing failed on our side: try again, or other pictures; the log of the app says more."
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
        models: What compares: the app's own model, and others to choose.
        pairs: Example pairs; the first is shown when the page opens.
        links: Knows the pictures of links to here; None takes no links.
    """

    def __init__(self, models: Models, pairs: list[ExamplePair], links: ExploreBench | None = None) -> None:
        self.models, self.pairs, self.links = models, pairs, links

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
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
        method, beside, note = choice_updates(self.models, choose(self.models, ""))
        with gr.Row(elem_id="methods"):
            self.method = _menu("Method", "method", method)
            self.beside = _menu("Beside it", "beside", beside)
        self.note = gr.HTML(note, elem_id="methods-note", js_on_load=METHODS_SCRIPT)
        self.verdict = gr.HTML(waiting_html("Comparing the first example pair ..."), elem_id="verdict")
        self.maps = gr.HTML("", elem_id="maps")
        with gr.Row(elem_id="tools"):
            self.one_scale = gr.Checkbox(
                False, label="One colour scale for all maps", elem_id="one-scale", container=False
            )
            save = gr.Button("Save as a web page", elem_id="save", size="sm")
            save.click(None, js=_SAVE, api_visibility="private")
        with gr.Accordion("For experts: P and W", open=False, elem_id="expert") as self.expert:
            self.level = gr.Radio([], label="Level", elem_id="level")
            self.node = gr.Dropdown([], label="Node, strongest first", elem_id="node", filterable=False)
            self.details = gr.HTML("", elem_id="details")
        self._connect(compare, swap, examples)

    def _connect(self, compare: gr.Button, swap: gr.Button, examples: list[gr.Button]) -> None:
        pictures, methods = [self.a, self.b], [self.method, self.beside]
        results = [self.message, self.verdict, self.maps]
        expert = [self.expert, self.level, self.node, self.details]
        options: dict[str, Any] = {**_MODEL, "preprocess": False, "show_progress_on": self.verdict}
        hidden: dict[str, Any] = {**_MODEL, "preprocess": False, "show_progress": "hidden"}
        inputs = [*pictures, self.one_scale, *methods]
        everything = [*pictures, *results, self.origin]
        # Removing a picture announces itself before the value is gone: only the next step sees the new state.
        given = gr.on(
            [self.a.input, self.b.input, compare.click], None, js="() => {}", api_visibility="private"
        )
        after = [
            given.then(self.on_pictures, inputs, [*pictures, *results], **options),
            swap.click(self.on_swap, inputs, [*pictures, *results], **options),
            gr.on(
                [self.method.input, self.beside.input],
                self.on_method,
                inputs,
                [*results, *methods, self.note],
                **options,
            ),
        ]
        for index, button in enumerate(examples):
            after.append(
                button.click(self._on_example(index), [self.one_scale, *methods], everything, **options)
            )
        blocks = gr.context.Context.root_block
        assert blocks is not None
        opened = [*everything, *methods, self.note]
        after.append(blocks.load(self.on_open, [self.one_scale], opened, **options))
        for event in after:
            event.then(self.on_results, [*pictures, self.method], expert, **hidden)
        self.one_scale.input(self.on_scale, inputs, [self.maps], **hidden)
        chosen = [*pictures, self.level, self.node, self.method]
        self.level.input(self.on_level, chosen, [self.node, self.details], **hidden)
        self.node.input(self.on_node, chosen, [self.details], **hidden)

    def on_open(self, one_scale: bool, request: gr.Request) -> list[Update]:
        """What the address names: two pictures of a gallery or the first example, and the methods."""
        link = request.query_params
        choice = choose(self.models, link.get("method", ""), link.get("beside", ""))
        try:
            pair = self._linked(link)
            if pair is not None and not link.get("method"):  # by the model of their gallery, then
                choice = choose(self.models, self.models.name(pair.bench), link.get("beside", ""))
            shown = None if pair is None else [self._shown(file, pair.bench) for file in (pair.a, pair.b)]
            problems = list(choice.problems)
        except Exception as error:
            pair, shown = None, None
            text = "This link cannot be followed right now: try again; the log of the app says more"
            if isinstance(error, AvslError):
                text = str(error)
            else:
                log.exception("following a link failed")
            problems = [text, *choice.problems]
        if pair is None or shown is None:
            answer = self._on_example(0)(one_scale, choice.method, choice.beside)
        else:
            results = self._results(pair.a, pair.b, one_scale, choice.method, choice.beside)
            answer = [*shown, *results, _origin(pair, dict(link))]
        if problems:
            answer[2] = "".join(message_html(problem) for problem in problems)
        return [*answer, *choice_updates(self.models, choice)]

    def on_method(
        self, a: Any, b: Any, one_scale: bool, method: object = "", beside: object = ALONE
    ) -> list[Update]:
        """The same two pictures by another method, or by two."""
        choice = choose(self.models, method, beside)
        message, *results = self._results(a, b, one_scale, choice.method, choice.beside)
        problems = "".join(message_html(problem) for problem in choice.problems)
        return [problems + message, *results, *choice_updates(self.models, choice)]

    def on_pictures(
        self, a: Any, b: Any, one_scale: bool, method: object = "", beside: object = ALONE
    ) -> list[Update]:
        """New pictures: check each, show what a browser cannot, compare when both are there."""
        shown: list[Update] = []
        problems: list[str] = []
        bench = self._bench(choose(self.models, method))
        for payload in (a, b):
            update, problem = self._receive(payload, bench)
            shown.append(update)
            problems.extend(problem)
        if problems:
            text = "".join(message_html(problem) for problem in problems)
            return [*shown, text, waiting_html("Give another picture to compare."), ""]
        return [*shown, *self._results(a, b, one_scale, method, beside)]

    def on_swap(
        self, a: Any, b: Any, one_scale: bool, method: object = "", beside: object = ALONE
    ) -> list[Update]:
        """The two pictures change sides."""
        paths = [None if file is None else str(file.path) for file in (picture_file(b), picture_file(a))]
        return [*paths, *self._results(b, a, one_scale, method, beside)]

    def on_scale(
        self, a: Any, b: Any, one_scale: bool, method: object = "", beside: object = ALONE
    ) -> Update:
        """The heatmaps in the other colour scale."""
        choice = choose(self.models, method, beside)
        accounts = [self._account(a, b, name) for name in (choice.method, choice.beside) if name]
        drawn = [account for account in accounts if account is not None]
        return maps_html(drawn, one_scale=one_scale) if drawn else gr.skip()

    def on_results(self, a: Any, b: Any, method: object = "") -> list[Update]:
        """The expert part of a new comparison, where its first method has one: level, node and details."""
        comparison = self._comparison(a, b, method)
        levels = [] if comparison is None else level_choices(comparison)
        has_gates = isinstance(self._model(method), AvslModel)
        if comparison is None or not has_gates:
            nothing = gr.update(choices=[], value=None)
            return [gr.update(visible=has_gates), nothing, nothing, ""]
        level = levels[0][1]
        nodes = node_choices(comparison, level)
        return [
            gr.update(visible=True),
            gr.update(choices=levels, value=level),
            gr.update(choices=nodes, value=nodes[0][1]),
            expert_html(comparison, self._model(method), level, nodes[0][1]),
        ]

    def on_level(
        self, a: Any, b: Any, level: int | None, node: int | None = None, method: object = ""
    ) -> list[Update]:
        """Another level: its strongest nodes."""
        comparison = self._comparison(a, b, method)
        if comparison is None or level is None:
            return [gr.skip(), gr.skip()]
        nodes = node_choices(comparison, level)
        details = expert_html(comparison, self._model(method), level, nodes[0][1])
        return [gr.update(choices=nodes, value=nodes[0][1]), details]

    def on_node(self, a: Any, b: Any, level: int | None, node: int | None, method: object = "") -> Update:
        """Another node: its linkages and its trace."""
        comparison = self._comparison(a, b, method)
        if comparison is None or level is None or node is None:
            return gr.skip()
        return expert_html(comparison, self._model(method), level, node)

    def _on_example(self, index: int) -> Any:
        pair = self.pairs[index]

        def show(one_scale: bool, method: object = "", beside: object = ALONE) -> list[Update]:
            a, b = str(pair.a.path), str(pair.b.path)
            message, verdict, maps = self._results(pair.a, pair.b, one_scale, method, beside)
            return [a, b, message or lesson_html(pair.lesson), verdict, maps, ""]

        return show

    def _bench(self, choice: Choice) -> Workbench:
        return self.models.named(choice.method)

    def _model(self, method: object) -> SimilarityModel:
        return self._bench(choose(self.models, method)).checkpoint.model

    def _linked(self, link: Mapping[str, str]) -> LinkedPair | None:
        """The two pictures that an address names, if it names any."""
        if self.links is None or not link.get("gallery"):
            return None
        return self.links.pair(link["gallery"], link.get("a", ""), link.get("b", ""), link.get("g", ""))

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

    def _results(
        self, a: Any, b: Any, one_scale: bool, method: object = "", beside: object = ALONE
    ) -> list[Update]:
        """Message, verdict and maps; what one of two methods cannot do, the other still does."""
        choice = choose(self.models, method, beside)
        accounts: list[Account] = []
        problems: list[str] = []
        for name in filter(None, (choice.method, choice.beside)):
            try:
                account = self._account(a, b, name)
            except AvslError as error:
                problems.append(str(error))
                continue
            except Exception:
                log.exception("comparing failed")
                problems.append(_FAILED)
                continue
            if account is not None:
                accounts.append(account)
        message = "".join(message_html(problem) for problem in dict.fromkeys(problems))
        if not accounts:
            return [message, waiting_html(_WAITING), ""]
        return [message, verdict_html(accounts), maps_html(accounts, one_scale=one_scale)]

    def _account(self, a: Any, b: Any, name: str) -> Account | None:
        """What one model makes of two pictures; None while one is missing."""
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return None
        bench = self.models.named(name)
        return Account(bench.compare(first, second), bench.checkpoint.pairs, self.models.entry(bench))

    def _comparison(self, a: Any, b: Any, method: object) -> Comparison | None:
        try:
            account = self._account(a, b, choose(self.models, method).method)
        except AvslError:
            return None
        return None if account is None else account.comparison


def _origin(pair: LinkedPair, link: dict[str, str]) -> str:
    """Where a link's pictures are from, and the way back."""
    values = {"gallery": link["gallery"], "trail": link.get("a", ""), "g": link.get("g", "")}
    values |= {"method": link["method"]} if link.get("method") else {}
    return (
        f'<p class="note avsl-origin">Two pictures of the gallery <strong>{escape(pair.gallery)}</strong>, '
        f"which was made with the model <strong>{escape(pair.model)}</strong>. "
        f'<a href="explore?{escape(urlencode(values))}">Back to Explore</a></p>'
    )


def _menu(label: str, elem_id: str, update: dict[str, Any]) -> gr.Dropdown:
    return gr.Dropdown(
        update["choices"],
        value=update["value"],
        label=label,
        elem_id=elem_id,
        filterable=False,
        min_width=240,
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
