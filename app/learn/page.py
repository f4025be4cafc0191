"""The Learn page: in eight steps from a first guess to how the model works and fails."""

import logging
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from app.compare.results import message_html
from app.learn.bench import LearnBench
from app.learn.pictures import NAMES
from app.learn.script import FRAME_SCRIPT, LIVE_SCRIPT
from app.learn.steps import STEPS, step_of
from app.work.events import QUIET_MODEL_EVENT
from app.work.models import Models
from avsl_core.errors import AvslError

__all__ = ["LearnPage"]

log = logging.getLogger(__name__)

_INTRO = (
    '<header class="avsl-head"><h1>How a machine sees likeness</h1><p>Five minutes, eight steps, one idea '
    "each. Nothing here is a recording: a model works it out while you look.</p></header>"
)
_CURRENT = ' aria-current="step"'
_FAILED = "This step failed on our side: try it again, or go on; the log of the app says more"
# Everything that touches the model queues with the Compare page, so that visitors share the processor. The
# script asks for one step at a time: none of its questions may be dropped.
_MODEL: dict[str, Any] = {**QUIET_MODEL_EVENT, "trigger_mode": "multiple"}


class LearnPage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        models: What measures.
        many: Whether the site has a page that compares many pictures.
    """

    def __init__(self, models: Models, *, many: bool = False) -> None:
        self.bench = LearnBench(models, many=many)

    def build(self) -> None:
        """Lay out the page and connect its events."""
        self.frame = gr.HTML(_frame(), elem_id="learn-frame", js_on_load=FRAME_SCRIPT)
        self.live = gr.HTML("", elem_id="learn-live", js_on_load=LIVE_SCRIPT)
        gr.HTML(_foot(), elem_id="learn-foot")
        blocks = gr.context.Context.root_block
        assert blocks is not None
        blocks.load(self.on_open, None, [self.live], **_MODEL)
        self.frame.go(self._on_go, None, [self.live], **_MODEL)

    def on_open(self, request: gr.Request) -> Iterator[str]:
        """The step that the address names; the first if it names none."""
        yield from self.show(step_of(request.query_params.get("step")))

    def show(self, number: int) -> Iterator[str]:
        """What a step shows, and before that how far the work on it has come.

        Args:
            number: 1 for the first.
        """
        step, key = STEPS[number - 1], str(number)
        try:
            if not self.bench.knows(key):
                for done, name in enumerate(step.pictures):
                    yield _progress(number, done, len(step.pictures), NAMES[name])
                    self.bench.picture(name)
            html = self.bench.keep(key, lambda: step.make(self.bench))
        except AvslError as error:
            html = _trouble(str(error))
        except Exception:
            log.exception("a step of the tour failed")
            html = _trouble(_FAILED)
        yield f'<div class="learn-live" data-live="{number}">{html}</div>'

    def _on_go(self, event: gr.EventData) -> Iterator[str]:
        asked = event._data.get("step") if isinstance(event._data, dict) else None
        yield from self.show(step_of(asked))


def _frame() -> str:
    """What is there at once: where one is in the tour, and every step's heading and paragraph."""
    count = len(STEPS)
    links = "".join(
        f'<li><a href="learn?step={number}" data-to="{number}"{_CURRENT if number == 1 else ""}>'
        f'<span aria-hidden="true">{number}</span><span class="learn-hidden">Step {number}: {step.title}'
        "</span></a></li>"
        for number, step in enumerate(STEPS, 1)
    )
    sections = "".join(
        f'<section data-step="{number}" data-title="{escape(step.title)}"{"" if number == 1 else " hidden"}>'
        f'<h2 tabindex="-1">{escape(step.title)}</h2><p>{step.text}</p></section>'
        for number, step in enumerate(STEPS, 1)
    )
    return (
        f'{_INTRO}<div class="learn-top"><nav class="learn-nav" aria-label="Steps of the tour"><ol>{links}'
        f'</ol></nav><p class="learn-count">Step 1 of {count}</p></div>{sections}'
        '<p class="learn-hidden" role="status" data-told></p>'
        '<div class="learn-wait"><progress aria-label="The machine is at work"></progress>'
        "<p>The machine is at work ...</p></div>"
    )


def _foot() -> str:
    return (
        '<div class="learn-foot"><button type="button" class="learn-button" data-way="-1" disabled>Back'
        '</button><button type="button" class="learn-button first" data-way="1">Next: '
        f"{escape(STEPS[1].title)}</button>"
        "<p>The arrow keys go back and on as well.</p></div>"
    )


def _progress(number: int, done: int, count: int, name: str) -> str:
    words = f"The machine looks at {name}: picture {done + 1} of {count} ..."
    return (
        f'<div class="learn-live learn-wait" data-live="{number}" data-busy>'
        f'<progress value="{done}" max="{count}" aria-label="Pictures looked at"></progress><p>{words}</p>'
        "</div>"
    )


def _trouble(text: str) -> str:
    return (
        f'{message_html(text)}<p><button type="button" class="learn-button" data-again>Try again</button></p>'
    )
