"""The Compare page: two pictures in, the whole account out."""

import logging
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.compare.expert_part import ExpertPart
from app.compare.results import Account, lesson_html, message_html, verdict_html, waiting_html
from app.compare.steps import numbers_html, steps_html
from app.compare.takeaway_row import TakeAwayRow
from app.compare.touch_panel import PICTURES_SCRIPT, STEPS_SCRIPT, TOUCH_SCRIPT, touch_html
from app.compare.what_if import MEASURED_SCRIPT, read_painting, what_if_html
from app.explore.bench import ExploreBench, LinkedPair
from app.work.cache import LruCache
from app.work.events import MODEL_EVENT
from app.work.examples import ExamplePair
from app.work.keep import Keep, linked_pair
from app.work.methods import ALONE, METHODS_SCRIPT, Choice, choice_updates, choose
from app.work.models import Models
from app.work.turnstile import BusyError, SlowError
from app.work.uploads import picture_file
from app.work.workbench import PictureFile, Workbench
from avsl_core.checkpoint import shipped_checkpoints
from avsl_core.comparison import Comparison
from avsl_core.errors import AvslError, ConfigError, ImageError
from avsl_core.models import SimilarityModel
from avsl_core.whatif import what_if

__all__ = ["ComparePage"]

log = logging.getLogger(__name__)

_WAITING = "The comparison appears here as soon as both pictures are there."
_FAILED = "Comparing failed on our side: try again, or other pictures; the log of the app says more."
_INTRO = (
    '<header class="avsl-head"><h1>How alike are two pictures, and why?</h1><p>Choose two pictures, or try a '
    "pair below. You get an answer in words, and can touch the pictures to see where it comes from."
    "</p></header>"
)
_SOURCES = '<p class="note">Drop, choose, photograph or paste a picture; the cross takes it away.</p>'
_DRAWN = 48  # comparisons whose page is kept as it was drawn

_NOTHING = ("", "", "")  # panel, steps and numbers while there is no comparison

Update = Any  # what Gradio takes as the new state of a component


class ComparePage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        models: What compares: the app's own model, and others to choose.
        pairs: Example pairs; the first is shown when the page opens.
        links: Knows the pictures of links from galleries to here; None takes no such links.
        keep: Knows the pictures of links that visitors made here; None makes and takes no such links.
    """

    def __init__(
        self,
        models: Models,
        pairs: list[ExamplePair],
        links: ExploreBench | None = None,
        keep: Keep | None = None,
    ) -> None:
        self.models, self.pairs, self.links, self.keep = models, pairs, links, keep
        self.expert = ExpertPart(self._comparison, self._model)
        self._drawn: LruCache[tuple[str, str, str, str]] = LruCache(_DRAWN)

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
        self.origin = gr.HTML("", elem_id="origin")
        method, beside, note = choice_updates(self.models, choose(self.models, ""))
        with gr.Row(elem_id="compare-top"):
            with gr.Column(elem_id="give"):
                with gr.Row(elem_id="pictures"):
                    self.a = _picture("First picture", "picture-a", self.pairs[0].a.path)
                    self.b = _picture("Second picture", "picture-b", self.pairs[0].b.path)
                gr.HTML(_SOURCES, elem_id="sources", js_on_load=PICTURES_SCRIPT)
                with gr.Row(elem_id="actions"):
                    compare = gr.Button("Compare", variant="primary", elem_id="compare")
                    swap = gr.Button("Swap", elem_id="swap")
                self.message = gr.HTML("", elem_id="message")
                gr.HTML("<p>Or try a pair</p>", elem_id="examples-title")
                with gr.Row(elem_id="examples"):
                    examples = [
                        gr.Button(pair.title, elem_id=f"example-{i}") for i, pair in enumerate(self.pairs)
                    ]
            with gr.Column(elem_id="answer"):
                self.verdict = gr.HTML(
                    waiting_html("Comparing the first example pair ..."), elem_id="verdict"
                )
                ways = gr.Accordion("Other methods", open=False, elem_id="ways")
                with ways, gr.Row(elem_id="methods"):
                    self.method = _menu("Method", "method", method)
                    self.beside = _menu("Beside it", "beside", beside)
                # Outside: what a closed accordion holds is not there, and the address follows the note.
                self.note = gr.HTML(note, elem_id="methods-note", js_on_load=METHODS_SCRIPT)
        self.touch = gr.HTML("", elem_id="touch", js_on_load=TOUCH_SCRIPT)
        self.measured = gr.HTML("", elem_id="what-if", js_on_load=MEASURED_SCRIPT)
        self.steps = gr.HTML("", elem_id="steps", js_on_load=STEPS_SCRIPT)
        self.expert.build()
        self.numbers = gr.HTML("", elem_id="numbers")
        gr.HTML('<h2 class="avsl-title">Take it away</h2>', elem_id="take-title")
        row = TakeAwayRow(self.models, self.keep, self.pairs)
        row.build()
        row.connect(self.a, self.b, self.method, self.beside)
        self._connect(compare, swap, examples)

    def _connect(self, compare: gr.Button, swap: gr.Button, examples: list[gr.Button]) -> None:
        pictures, methods = [self.a, self.b], [self.method, self.beside]
        results = [self.message, self.verdict, self.touch, self.steps, self.numbers]
        options: dict[str, Any] = {**MODEL_EVENT, "preprocess": False, "show_progress_on": self.verdict}
        hidden: dict[str, Any] = {**MODEL_EVENT, "preprocess": False, "show_progress": "hidden"}
        # What is given while an earlier comparison is under way is compared as well.
        again: dict[str, Any] = {**options, "trigger_mode": "always_last"}
        inputs = [*pictures, *methods]
        everything = [*pictures, *results, self.origin]
        # Removing a picture announces itself before the value is gone: only the next step sees the new state.
        given = gr.on(
            [self.a.input, self.b.input, compare.click], None, js="() => {}", api_visibility="private"
        )
        after = [
            given.then(self.on_pictures, inputs, [*pictures, *results], **again),
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
            after.append(button.click(self._on_example(index), methods, everything, **options))
        blocks = gr.context.Context.root_block
        assert blocks is not None
        opened = [*everything, *methods, self.note]
        after.append(blocks.load(self.on_open, None, opened, **options))
        self.expert.connect(pictures, self.method, after, self.steps.nodes, hidden)
        self.touch.measure(self._on_measure, [*pictures, self.method], [self.measured], **hidden)

    def on_open(self, request: gr.Request) -> list[Update]:
        """What the address names: two pictures, an example or the first one, and the methods."""
        link = request.query_params
        choice = choose(self.models, link.get("method", ""), link.get("beside", ""))
        origin, lost = "", False
        try:
            pair = self._linked(link)
            kept = None if self.keep is None else linked_pair(self.keep, link)
            if pair is not None and not link.get("method"):  # by the model of their gallery, then
                choice = choose(self.models, self.models.name(pair.bench), link.get("beside", ""))
            files: tuple[PictureFile, PictureFile] | None = kept
            if pair is not None:
                files, origin = (pair.a, pair.b), _origin(pair, dict(link))
            bench = self._bench(choice) if pair is None else pair.bench
            shown = None if files is None else [self._shown(file, bench) for file in files]
            problems = list(choice.problems)
        except Exception as error:
            files, shown, origin, lost = None, None, "", True
            text = "This link cannot be followed right now: try again; the log of the app says more"
            if isinstance(error, AvslError):
                text = str(error)
            else:
                log.exception("following a link failed")
            problems = [text, *choice.problems]
        if files is None or shown is None:
            answer = self._on_example(_example(link.get("example"), len(self.pairs)))(
                choice.method, choice.beside
            )
        else:
            answer = [*shown, *self._results(*files, choice.method, choice.beside), origin]
        if answer[4] and not lost:  # what the link tells of regions is about these pictures alone
            answer[4] = f"<div data-linked>{answer[4]}</div>"
        if problems:
            answer[2] = "".join(message_html(problem) for problem in problems)
        return [*answer, *choice_updates(self.models, choice)]

    def on_method(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> list[Update]:
        """The same two pictures by another method, or by two."""
        choice = choose(self.models, method, beside)
        message, *results = self._results(a, b, choice.method, choice.beside)
        problems = "".join(message_html(problem) for problem in choice.problems)
        return [problems + message, *results, *choice_updates(self.models, choice)]

    def on_pictures(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> list[Update]:
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
            return [*shown, text, waiting_html("Give another picture to compare."), *_NOTHING]
        return [*shown, *self._results(a, b, method, beside)]

    def on_swap(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> list[Update]:
        """The two pictures change sides."""
        paths = [None if file is None else str(file.path) for file in (picture_file(b), picture_file(a))]
        return [*paths, *self._results(b, a, method, beside)]

    def on_measure(self, a: Any, b: Any, method: object, data: Any) -> Update:
        """What a visitor painted over, measured anew.

        Args:
            a: First picture.
            b: Second picture.
            method: What measures.
            data: The painting, as it comes from the browser.
        """
        turn = data.get("turn") if isinstance(data, dict) else None
        try:
            painting = read_painting(data)
            account = self._account(a, b, choose(self.models, method).method)
            if account is None or account.key != painting.key:
                raise ConfigError("the pictures have changed meanwhile: paint over a part and measure again")
            comparison, bench = account.comparison, self.models.named(account.model.name)
            with bench.turnstile.turn():
                found = what_if(
                    bench.checkpoint,
                    comparison.a,
                    comparison.b,
                    painting.side,
                    painting.mask,
                    fill=painting.fill,
                    explanation=comparison.explanation,
                )
            shipped = bench.checkpoint.path in shipped_checkpoints().values()
            return what_if_html(found, painting, account.model.name if shipped else "")
        except AvslError as error:
            text = message_html(str(error))
        except Exception:
            log.exception("measuring anew failed")
            text = message_html(_FAILED)
        return f'<div data-turn="{turn if isinstance(turn, int) else 0}">{text}</div>'

    def _on_measure(self, a: Any, b: Any, method: object, event: gr.EventData) -> Update:
        return self.on_measure(a, b, method, event._data)

    def _on_example(self, index: int) -> Any:
        pair = self.pairs[index]

        def show(method: object = "", beside: object = ALONE) -> list[Update]:
            a, b = str(pair.a.path), str(pair.b.path)
            message, *results = self._results(pair.a, pair.b, method, beside)
            return [a, b, message or lesson_html(pair.lesson), *results, ""]

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
        except (BusyError, SlowError) as error:  # no fault of the picture, which stays
            return gr.skip(), [str(error)]
        except OSError:
            log.exception("a preview could not be written")
            return gr.skip(), [_FAILED]
        return (gr.skip() if preview is None else str(preview)), []

    def _results(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> list[Update]:
        """Message and what is drawn; what one of two methods cannot do, the other still does."""
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
            return [message, waiting_html(_WAITING), *_NOTHING]
        key = "-".join(account.key for account in accounts)
        drawn = self._drawn.get_or_make(key, lambda: _draw(accounts))
        return [message, *drawn]

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


def _draw(accounts: list[Account]) -> tuple[str, str, str, str]:
    touch = touch_html(accounts[0], of_two=len(accounts) > 1)
    return verdict_html(accounts), touch, steps_html(accounts), numbers_html(accounts)


def _example(asked: str | None, count: int) -> int:
    """Which example an address names, from 0; the first one if it names none."""
    number = int(asked) if asked and asked.isascii() and asked.isdigit() and len(asked) < 4 else 0
    return number if number < count else 0


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
