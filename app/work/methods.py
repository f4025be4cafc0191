"""Choosing a method, and a second one beside it: what there is, what an address names, what it means."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.work.models import ModelEntry, Models
from app.work.workbench import Workbench
from avsl_core.errors import AvslError

__all__ = [
    "ALONE",
    "METHODS_SCRIPT",
    "Choice",
    "choice_updates",
    "choose",
    "method_choices",
    "named_or_method",
]

ALONE = ""
"""The choice of no second method."""

# The address follows the choice, so that it can be sent to others; what else is in it stays.
METHODS_SCRIPT = """
watch("value", () => {
  const chosen = element.querySelector("[data-link]")?.dataset;
  if (!chosen) return;
  const values = new URLSearchParams(location.search);
  values.delete("method");
  values.delete("beside");
  for (const [key, value] of new URLSearchParams(chosen.link)) {
    if (key !== "method" || value !== chosen.own || values.has("gallery")) values.set(key, value);
  }
  const text = values.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
});
"""


@dataclass(frozen=True)
class Choice:
    """The methods that compare.

    Attributes:
        method: Name of the first one's model.
        beside: Of the second one's; empty for none.
        problems: What was asked for and cannot be had, in words.
    """

    method: str
    beside: str = ALONE
    problems: tuple[str, ...] = ()


def choose(models: Models, method: object, beside: object = ALONE) -> Choice:
    """Make sense of what was asked for; the app's own model stands in for what there is not.

    Args:
        models: What there is.
        method: Name of a model, or of a method; it may come from anywhere.
        beside: The same for the second one.
    """
    own = models.name(models.default)
    names: list[str] = []
    problems: list[str] = []
    for asked, otherwise in ((method, own), (beside, ALONE)):
        try:
            names.append(models.name(named_or_method(models, asked)) if asked else otherwise)
        except AvslError as error:
            problems.append(str(error))
            names.append(otherwise)
    first, second = names
    return Choice(first, ALONE if second == first else second, tuple(problems))


def named_or_method(models: Models, asked: object) -> Workbench:
    """A model by its name; the first one of a method by the method's.

    Raises:
        CheckpointError: If there is none, or it is damaged.
    """
    entries = [] if asked in models.names else models.entries
    of_method = next((entry.name for entry in entries if entry.method == asked), asked)
    return models.named(of_method)


def method_choices(models: Models) -> list[tuple[str, str]]:
    """Title and name of every model to choose from."""
    return [(entry.title, entry.name) for entry in models.entries]


def choice_updates(models: Models, choice: Choice) -> list[Any]:
    """The two menus and the words below them, as a choice says."""
    choices = method_choices(models)
    return [
        gr.update(choices=choices, value=choice.method),
        gr.update(choices=[("Nothing", ALONE), *choices], value=choice.beside),
        _note(models, choice),
    ]


def _note(models: Models, choice: Choice) -> str:
    """What the chosen methods show, a sentence each."""
    values = {"method": choice.method} | ({"beside": choice.beside} if choice.beside else {})
    own = models.name(models.default)
    entries = {entry.name: entry for entry in models.entries}
    chosen = [entries[name] for name in (choice.method, choice.beside) if name in entries]
    return f'<div data-link="{escape(urlencode(values))}" data-own="{escape(own)}">{_sentences(chosen)}</div>'


def _sentences(chosen: Sequence[ModelEntry]) -> str:
    once = {entry.method: entry.words for entry in chosen}.values()
    return "".join(
        f'<p class="note"><strong>{escape(words.name)}</strong> {escape(_lower(words.shows))}</p>'
        for words in once
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
