"""The page "Compare many": two to fifty pictures, all their distances, and how they group."""

import logging
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import gradio as gr

from app.compare.results import message_html
from app.compare.takeaway_row import DELIVERY_SCRIPT, link_html
from app.many.bench import SETS, Given, ManyBench, Measured, Reading, set_query
from app.many.figure import matrix_html, words_html
from app.many.script import MATRIX_SCRIPT, WORDS_SCRIPT
from app.work.events import QUIET_MODEL_EVENT
from app.work.keep import display_name
from app.work.methods import choose, method_choices
from app.work.uploads import picture_file
from avsl_core.errors import AvslError
from avsl_core.images import PICTURE_SUFFIXES
from avsl_core.many import FEWEST, MOST

__all__ = ["ManyPage"]

log = logging.getLogger(__name__)

_INTRO = (
    '<header class="avsl-head"><h1>How alike are many pictures?</h1><p>Give two to fifty pictures. You see '
    "how far apart any two of them look, which ones group together, and which one stands out; open a pair to "
    "see why.</p></header>"
)
_FAILED = "This failed on our side: try again, or other pictures; the log of the app says more"
_EXPIRED = "These pictures are no longer kept here: choose them again"
_STAYS = "Still shown below: the set before"

Update = Any  # what Gradio takes as the new state of a component
Answer = list[Update]  # status, problems, words, matrix, link, state, method


class ManyPage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        bench: Sets of pictures, and what measures them.
    """

    def __init__(self, bench: ManyBench) -> None:
        self.bench = bench

    def build(self) -> None:
        """Lay out the page and connect its events."""
        gr.HTML(_INTRO)
        self.state = gr.State({})  # what an address would say of the set
        own = self.bench.models.name(self.bench.models.default)
        with gr.Row(elem_id="many-choose"):
            self.upload = gr.UploadButton(
                f"Choose {FEWEST} to {MOST} pictures",
                file_count="multiple",
                file_types=["image", *sorted(PICTURE_SUFFIXES)],
                variant="primary",
                elem_id="many-upload",
            )
            examples = [gr.Button(one.title, elem_id=f"many-{one.name}") for one in SETS]
            self.method = gr.Dropdown(
                method_choices(self.bench.models),
                value=own,
                label="Method",
                elem_id="many-method",
                filterable=False,
                min_width=240,
            )
        kept = self.bench.keep.words
        gr.HTML(
            f'<p class="note">Your pictures are kept for {kept} behind links that nobody can guess, then '
            "deleted.</p>"
        )
        self.status = gr.HTML(_status("Comparing the example pictures ..."), elem_id="many-status")
        self.problems = gr.HTML("", elem_id="many-problems")
        self.words = gr.HTML("", elem_id="many-words", js_on_load=WORDS_SCRIPT)
        self.matrix = gr.HTML("", elem_id="many-matrix", js_on_load=MATRIX_SCRIPT)
        self.delivery = gr.HTML(
            "", elem_id="many-delivery", elem_classes="avsl-delivery", js_on_load=DELIVERY_SCRIPT
        )
        self._connect(examples)

    def _connect(self, examples: list[gr.Button]) -> None:
        answer = [
            self.status, self.problems, self.words, self.matrix, self.delivery, self.state, self.method
        ]  # fmt: skip
        blocks = gr.context.Context.root_block
        assert blocks is not None
        blocks.load(self.on_open, None, answer, **QUIET_MODEL_EVENT)
        self.upload.upload(
            self.on_upload,
            [self.upload, self.method, self.state],
            answer,
            preprocess=False,
            **QUIET_MODEL_EVENT,
        )
        for button, one in zip(examples, SETS, strict=True):
            button.click(self._on_example(one.name), [self.method, self.state], answer, **QUIET_MODEL_EVENT)
        self.method.input(self.on_method, [self.state, self.method], answer, **QUIET_MODEL_EVENT)
        self.matrix.link(self.on_link, [self.state, self.method], [self.delivery], **QUIET_MODEL_EVENT)

    def on_open(self, request: gr.Request) -> Iterator[Answer]:
        """What the address names: kept pictures or an example set, and the method."""
        link = dict(request.query_params)
        choice = choose(self.bench.models, link.get("method", ""))
        problems = list(choice.problems)
        try:
            given = self.bench.linked(link)
        except AvslError as error:
            given = self.bench.example("")
            problems.append(str(error))
        yield from self._answer(given, choice.method, problems, None)

    def on_upload(self, payload: Any, method: object, state: object = None) -> Iterator[Answer]:
        """New pictures."""
        payloads = payload if isinstance(payload, list) else [payload]
        files = [file for file in (picture_file(one) for one in payloads) if file is not None]
        yield from self._answer(Given(tuple(files)), method, [], state)

    def on_method(self, state: object, method: object) -> Iterator[Answer]:
        """The same pictures by another method."""
        try:
            given = self.bench.linked(_link(state))
        except AvslError:
            yield ["", _problems([_EXPIRED], state), *[gr.skip()] * 5]
            return
        yield from self._answer(given, method, [], state)

    def on_link(self, state: object, method: object) -> Update:
        """A link that leads back to this set."""
        link, kept = _link(state), None
        choice = choose(self.bench.models, method)
        if not link:
            return message_html("There is no set of pictures yet: choose some first.")
        try:
            if link.get("set"):  # a visitor's own: for a whole round from now on
                kept = self.bench.keep
                for file in self.bench.linked(link).files:
                    kept.put(file)
        except AvslError as error:
            return message_html(str(error))
        return link_html(f"?{set_query(link, choice.method)}", kept)

    def _on_example(self, name: str) -> Any:
        def show(method: object, state: object) -> Iterator[Answer]:
            yield from self._answer(self.bench.example(name), method, [], state)

        return show

    def _answer(self, given: Given, method: object, problems: list[str], state: object) -> Iterator[Answer]:
        """Look at the pictures and show what came out; what was there before, `state`, stays until then."""
        choice = choose(self.bench.models, method)
        problems.extend(choice.problems)
        try:
            for step in self.bench.measure(given, choice.method, problems):
                if isinstance(step, Reading):
                    yield [_reading(step), *[gr.skip()] * 6]
                else:
                    yield self._shown(step, problems)
        except AvslError as error:
            yield ["", _problems([*problems, str(error)], state), *[gr.skip()] * 5]
        except Exception:
            log.exception("comparing many failed")
            yield ["", _problems([*problems, _FAILED], state), *[gr.skip()] * 5]

    def _shown(self, measured: Measured, problems: list[str]) -> Answer:
        return [
            "",
            _problems(problems),
            words_html(measured),
            matrix_html(measured),
            "",
            measured.link,
            gr.update(value=measured.model),
        ]


def _link(state: object) -> dict[str, str]:
    return dict(state) if isinstance(state, Mapping) else {}


def _problems(problems: list[str], stays: object = None) -> str:
    """Each problem once, and that what was there before is still shown, if something was."""
    note = f'<p class="note" role="status">{_STAYS}.</p>' if problems and _link(stays) else ""
    return "".join(message_html(problem) for problem in dict.fromkeys(problems)) + note


def _reading(reading: Reading) -> str:
    return _status(
        f"Looking at picture {reading.done + 1} of {reading.count}: {display_name(reading.name)}",
        reading.done / reading.count,
    )


def _status(text: str, share: float | None = None) -> str:
    value = "" if share is None else f' value="{share:.3f}"'
    return (
        f'<div class="many-status" role="status"><p>{escape(text)}</p><progress max="1"{value} '
        f'aria-label="Pictures looked at"></progress></div>'
    )
