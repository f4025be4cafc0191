"""A row of buttons that any page can place: report, picture, numbers and a link of two pictures compared."""

import base64
import functools
import logging
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.compare.results import message_html
from app.compare.takeaway import TakenAway, reported, shown_names, take_away
from app.work.events import MODEL_EVENT
from app.work.examples import ExamplePair
from app.work.keep import Keep
from app.work.methods import ALONE, Choice, choose
from app.work.models import Models
from app.work.uploads import picture_file
from app.work.workbench import PictureFile, content_key
from avsl_core.errors import AvslError
from avsl_core.explain.report import Reported

__all__ = ["DELIVERY_SCRIPT", "TakeAwayRow", "file_html", "link_html"]

log = logging.getLogger(__name__)

_MISSING = "Give two pictures first: there is nothing to take away yet."
_FAILED = "This failed on our side: try again; the log of the app says more"

# A file arrives inside the page and leaves it at once: nothing of it stays on the server.
DELIVERY_SCRIPT = """
const save = file => {
  const bytes = Uint8Array.from(atob(file.dataset.body), letter => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: file.dataset.type }));
  link.download = file.dataset.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  file.removeAttribute("data-body");
};
const copy = async field => {
  const said = element.querySelector(".copied");
  try {
    await navigator.clipboard.writeText(field.value);
    if (said) said.textContent = "Copied. ";
  } catch {  // not allowed, or not over a safe connection: then by hand
    field.select();
    if (said) said.textContent = "Copy it with Ctrl+C. ";
  }
};
const open = () => {
  const file = element.querySelector("[data-body]");
  if (file) save(file);
  const field = element.querySelector("[data-query]");
  if (!field) return;
  const address = new URL(field.dataset.query, location.href), view = {};
  // Whatever on the page has a state that a link can carry answers at once.
  document.dispatchEvent(new CustomEvent("avsl-view", { detail: view }));
  const { left, ...values } = view;
  for (const [name, value] of Object.entries(values)) address.searchParams.set(name, value);
  element.querySelector(".left").textContent = left ? ` ${left}` : "";
  field.value = address.href;
  copy(field);
};
element.addEventListener("click", event => {
  if (event.target.closest("[data-copy]")) copy(element.querySelector("[data-query]"));
});
element.addEventListener("focusin", event => {
  if (event.target.matches("[data-query]")) event.target.select();
});
watch("value", open);
"""

Update = Any  # what Gradio takes as the new state of a component


class TakeAwayRow:
    """Four buttons, and below them what they answer.

    Args:
        models: What compares.
        keep: Where the pictures of a link are kept; None makes no links.
        pairs: Example pairs, whose links hold for ever.
    """

    def __init__(self, models: Models, keep: Keep | None, pairs: Sequence[ExamplePair] = ()) -> None:
        self.models, self.keep, self.pairs = models, keep, pairs

    def build(self, prefix: str = "take") -> None:
        """Lay out the row.

        Args:
            prefix: Of the ids of its elements.
        """
        with gr.Row(elem_id=f"{prefix}-row", elem_classes="avsl-take"):
            self.report = gr.Button("Report (HTML)", elem_id=f"{prefix}-report", size="sm")
            self.sheet = gr.Button("Picture (PNG)", elem_id=f"{prefix}-sheet", size="sm")
            self.record = gr.Button("Numbers (JSON)", elem_id=f"{prefix}-record", size="sm")
            self.link = gr.Button("Link", elem_id=f"{prefix}-link", size="sm", visible=self.keep is not None)
        self.delivery = gr.HTML(
            "", elem_id=f"{prefix}-delivery", elem_classes="avsl-delivery", js_on_load=DELIVERY_SCRIPT
        )

    def connect(self, a: Any, b: Any, method: Any, beside: Any) -> None:
        """Connect the buttons.

        Args:
            a: Component of the first picture.
            b: Of the second.
            method: Of the method's name.
            beside: Of the second method's.
        """
        inputs = [a, b, method, beside]
        options: dict[str, Any] = {**MODEL_EVENT, "preprocess": False, "show_progress": "minimal"}
        for button, handler in (
            (self.report, self.on_report),
            (self.sheet, self.on_sheet),
            (self.record, self.on_record),
            (self.link, self.on_link),
        ):
            button.click(handler, inputs, [self.delivery], **options)

    def on_report(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> Update:
        """The report of one method, or of two."""
        return self._file("report", a, b, method, beside)

    def on_sheet(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> Update:
        """The picture of the first method."""
        return self._file("sheet", a, b, method, beside)

    def on_record(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> Update:
        """Every number."""
        return self._file("record", a, b, method, beside)

    def on_link(self, a: Any, b: Any, method: object = "", beside: object = ALONE) -> Update:
        """A link that leads back to what is shown."""
        return _calm(self._link)(a, b, method, beside)

    def _file(self, kind: str, a: Any, b: Any, method: object, beside: object) -> str:
        return _calm(self._made)(kind, a, b, method, beside)

    def _made(self, kind: str, a: Any, b: Any, method: object, beside: object) -> str:
        choice = choose(self.models, method, beside)
        files = self._files(a, b, choice)
        if files is None:
            return message_html(_MISSING)
        accounts = self._accounts(files, choice)
        with self.models.turnstile.turn():
            return file_html(take_away(kind, accounts, shown_names(*files)))

    def _link(self, a: Any, b: Any, method: object, beside: object) -> str:
        choice = choose(self.models, method, beside)
        files = self._files(a, b, choice)
        if files is None or self.keep is None:
            return message_html(_MISSING)
        bench = self.models.named(choice.method)
        for file in files:  # what cannot be read is not kept
            bench.check(file)
        example = self._example(files)
        values = {"example": str(example)} if example is not None else {}
        if example is None:
            values = dict(zip("ab", (self.keep.put(file) for file in files), strict=True))
        values |= {"method": choice.method} | ({"beside": choice.beside} if choice.beside else {})
        return link_html(f"./?{urlencode(values)}", None if example is not None else self.keep)

    def _files(self, a: Any, b: Any, choice: Choice) -> tuple[PictureFile, PictureFile] | None:
        """The two pictures as the visitor gave them: a page may show previews."""
        first, second = picture_file(a), picture_file(b)
        if first is None or second is None:
            return None
        bench = self.models.named(choice.method)
        return bench.original(first), bench.original(second)

    def _accounts(self, files: tuple[PictureFile, PictureFile], choice: Choice) -> list[Reported]:
        benches = [self.models.named(name) for name in (choice.method, choice.beside) if name]
        return [reported(self.models, bench, bench.compare(*files)) for bench in benches]

    def _example(self, files: tuple[PictureFile, PictureFile]) -> int | None:
        """Which example pair these are, counted from 0 as addresses do."""
        given = [content_key(file.read()) for file in files]
        for number, pair in enumerate(self.pairs):
            if given == [content_key(pair.a.read()), content_key(pair.b.read())]:
                return number
        return None


def file_html(file: TakenAway) -> str:
    """A file on its way to the visitor, and what to say meanwhile; :data:`DELIVERY_SCRIPT` saves it."""
    body = base64.b64encode(file.data).decode()
    # A page takes note of what has changed: the same file a second time is another delivery.
    return (
        f'<p class="note" role="status" data-time="{time.time_ns()}" data-file="{escape(file.name)}" '
        f'data-type="{file.type}" data-body="{body}">Saved as <strong>{escape(file.name)}</strong>.</p>'
    )


def link_html(query: str, keep: Keep | None) -> str:
    """A link in a field; :data:`DELIVERY_SCRIPT` makes it whole and copies it.

    Args:
        query: From the page that shows it to what it leads to.
        keep: Where its pictures are kept; None if they always are.
    """
    words = (
        "This link always works."
        if keep is None
        else f"This link works for {keep.words}: so long its pictures are kept here, and then deleted. "
        "Whoever has the link can see them."
    )
    return (
        '<div class="avsl-link"><label><span>Link</span><input type="text" readonly data-query="'
        f'{escape(query)}" value="{escape(query)}"></label>'
        f'<button type="button" data-copy data-time="{time.time_ns()}">Copy</button></div>'
        f'<p class="note" role="status"><span class="copied"></span>{escape(words)}'
        '<span class="left"></span></p>'
    )


def _calm(make: Callable[..., str]) -> Callable[..., str]:
    """Answer an error with a message."""

    @functools.wraps(make)
    def answer(*values: Any) -> str:
        try:
            return make(*values)
        except AvslError as error:
            return message_html(str(error))
        except Exception:
            log.exception("taking away failed")
            return message_html(_FAILED)

    return answer
