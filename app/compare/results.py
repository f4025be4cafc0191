"""The account of one comparison as HTML, by one method or by two side by side."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.look.figures import pair_ruler
from app.look.printable import printable, unbroken
from app.work.models import ModelEntry
from avsl_core.comparison import Comparison
from avsl_core.explain.methods import SCALES_NOTE, account_words
from avsl_core.explain.sentence import plain_words
from avsl_core.metrics import PairDistribution
from avsl_core.models import Explanation

__all__ = [
    "AGAIN_SCRIPT",
    "Account",
    "columns_html",
    "lesson_html",
    "message_html",
    "verdict_html",
    "waiting_html",
]

_LEVEL = "A {} is one of the depths at which the network takes a picture in: the higher, the later."

AGAIN_SCRIPT = """
element.addEventListener("click", event => {
  if (event.target.closest("[data-again]")) trigger("again", {});
});
"""
"""Of what shows messages that offer to try again: it has an event `again`."""


@dataclass(frozen=True, eq=False)
class Account:
    """One method's comparison of the two pictures.

    Attributes:
        comparison: What it found.
        pairs: What its verdict rests on.
        model: Which model it is.
    """

    comparison: Comparison
    pairs: PairDistribution | None
    model: ModelEntry

    @property
    def key(self) -> str:
        """Names the comparison: what was compared, by what."""
        made = hashlib.blake2b(self.model.name.encode(), digest_size=12)
        made.update(repr(self.comparison.distance).encode())
        for encoded in (self.comparison.a, self.comparison.b):
            made.update(encoded.crop.tobytes())
        return made.hexdigest()


def verdict_html(accounts: Sequence[Account]) -> str:
    """Verdict in words, distance, and what decides it in plain words; of two methods side by side.

    Args:
        accounts: One or two.
    """
    note = f'<p class="note avsl-scales">{escape(SCALES_NOTE)}</p>' if len(accounts) > 1 else ""
    return note + columns_html([_verdict(account, index) for index, account in enumerate(accounts)])


def message_html(text: str, *, again: bool = False) -> str:
    """A calm inline message: what is wrong and what to do.

    Args:
        text: What is said.
        again: Whether it offers to try the same again; the page listens for that.
    """
    picture, _, rest = printable(text).partition(": ")
    if not rest:
        picture, rest = "", printable(text)
    heading = f"<strong>{escape(picture)}</strong>: " if picture else ""
    way = '<p><button type="button" class="avsl-again" data-again>Try again</button></p>' if again else ""
    return f'<div class="avsl-message" role="alert">{heading}{escape(rest)}{way}</div>'


def lesson_html(text: str) -> str:
    """What an example pair teaches."""
    return f'<p class="note avsl-lesson">{escape(text)}</p>'


def waiting_html(text: str) -> str:
    """What stands where the results will be."""
    return f'<section class="avsl-card avsl-waiting"><p>{escape(text)}</p></section>'


def columns_html(columns: Sequence[str]) -> str:
    """What two methods say, side by side; what one says as it is."""
    if len(columns) == 1:
        return columns[0]
    return f'<div class="avsl-beside">{"".join(f"<div>{column}</div>" for column in columns)}</div>'


def _verdict(account: Account, index: int) -> str:
    comparison, explanation = account.comparison, account.comparison.explanation
    verdict, words = comparison.verdict, account_words(explanation)
    ruler = pair_ruler(comparison.distance, account.pairs) if account.pairs is not None else ""
    own = "distance" if index == 0 else "distance-beside"
    title = escape(account.model.title)
    plain = "".join(f"<p>{escape(sentence)}</p>" for sentence in plain_words(explanation).sentences)
    rests = f" <small>{escape(verdict.basis)}</small>" if verdict.basis else ""
    # No number loses its percent sign at the end of a line.
    return unbroken(
        f'<section class="avsl-card avsl-answer" aria-label="Verdict of {title}">'
        f'<h2 class="avsl-words" data-grade="{verdict.grade}">{escape(verdict.words)}</h2>'
        f'<p class="avsl-sentence">{escape(verdict.sentence)}{rests}</p>'
        f'<div class="avsl-plain">{plain}</div>{_help_html(explanation)}'
        f'<p class="avsl-distance"><span id="{own}" data-value="{comparison.distance!r}">'
        f"{comparison.distance:.3f}</span> <small>distance; {escape(words.zero)}</small></p>{ruler}"
        f'<p class="avsl-method">Measured with {title}</p></section>'
    )


def _help_html(explanation: Explanation) -> str:
    """What a level is, in one sentence, and where the words are explained."""
    stacks = {name.rstrip("0123456789") for name in (part.name for part in explanation.components)}
    gloss = f"{_LEVEL.format(*stacks)} " if len(stacks) == 1 and stacks <= {"level", "layer"} else ""
    return f'<p class="avsl-help">{gloss}<a href="./learn?step=2">What does this mean?</a></p>'
