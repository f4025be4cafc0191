"""Steps 7 and 8 of the tour: how the model is fooled, and where to go from here."""

from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from app.learn.bench import LearnBench
from app.learn.parts import Panel, choice_html, figure_html, small
from app.learn.pictures import NAMES, TRICKS, Trick, words_of
from app.learn.why import PAIR
from app.work.examples import load_pairs

__all__ = ["Trial", "fooled_html", "onwards_html", "trial_words", "try_trick"]

_SIDE = 224
_FOOLED = "The thing itself stayed the same: worth remembering wherever a machine judges pictures."
_NOT_FOOLED = "Others may work: a machine knows only what it learned from."


@dataclass(frozen=True)
class Trial:
    """What came of a trick.

    Attributes:
        trick: What was tried.
        changed: Distance to the same thing after its change.
        other: Distance to another thing.
    """

    trick: Trick
    changed: float
    other: float

    @property
    def fooled(self) -> bool:
        """Whether the other thing seems the nearer one."""
        return self.other < self.changed


def try_trick(bench: LearnBench, trick: Trick) -> Trial:
    """Measure both distances."""
    first = bench.picture(trick.picture)
    changed = bench.distance(first, bench.changed(trick))
    return Trial(trick, changed, bench.distance(first, bench.picture(trick.other)))


def trial_words(trial: Trial) -> str:
    """What came of it, in a sentence that follows the numbers."""
    trick = trial.trick
    other, words = NAMES[trick.other], trick.words
    if trial.fooled:
        return (
            f"<strong>Fooled.</strong> To this machine {other} is nearer to {NAMES[trick.picture]} "
            f"({trial.other:.3f}) than {words} ({trial.changed:.3f})."
        )
    return (
        f"<strong>Not fooled.</strong> {words[0].upper()}{words[1:]} ({trial.changed:.3f}) is no farther "
        f"from {NAMES[trick.picture]} than {other} ({trial.other:.3f})."
    )


def fooled_html(bench: LearnBench) -> str:
    """Every trick with its pictures and what came of it."""
    trials = [try_trick(bench, trick) for trick in TRICKS]
    panels = [
        Panel(trial.trick.name, trial.trick.title, _figures(bench, trial), trial_words(trial))
        for trial in trials
    ]
    count = sum(trial.fooled for trial in trials)
    moral = _FOOLED if count else _NOT_FOOLED
    note = f"Fooled by {count} of these {len(trials)}; we looked for tricks that work. {moral}"
    return f'{choice_html("Try a trick", "learn-trick", panels)}<p class="note">{note}</p>'


def onwards_html(bench: LearnBench) -> str:
    """The other pages, and what this tour was measured with."""
    model = escape(bench.models.name(bench.guide))
    many = ("many", "Compare many", "Two to fifty pictures: which group together, and which stands out?")
    doors = (
        (_pair_link(bench), "Compare", "The pair of this tour in full, and then two pictures of your own."),
        *([many] if bench.many else []),
        ("explore", "Explore", "One picture against a whole gallery: what looks most alike?"),
        ("lab", "Bird lab", "Change a part of a bird, and see whether the machine notices."),
    )
    links = "".join(
        f'<li><a href="{escape(href)}"><strong>{title}</strong><span>{escape(words)}</span></a></li>'
        for href, title, words in doors
    )
    return (
        f'<ul class="learn-doors">{links}</ul><p class="note">Every number of this tour was measured with '
        f"the model <strong>{model}</strong> (AVSL). Another model gives other numbers.</p>"
    )


def _pair_link(bench: LearnBench) -> str:
    """The Compare page with the pair that the tour took apart, by the model of the tour."""
    values = {}
    for number, pair in enumerate(load_pairs()):
        if (pair.a.path.stem, pair.b.path.stem) == PAIR:
            values["example"] = str(number)
    if bench.guide is not bench.models.default:
        values["method"] = bench.models.name(bench.guide)
    return f"./?{urlencode(values)}" if values else "./"


def _figures(bench: LearnBench, trial: Trial) -> str:
    trick = trial.trick
    first, other = bench.picture(trick.picture), bench.picture(trick.other)
    nearer, farther = ("", " nearer") if trial.fooled else (" nearer", "")
    shown = (
        (first, words_of(trick.picture), "measured from here", ""),
        (bench.changed(trick), f"{trick.words[0].upper()}{trick.words[1:]}", f"{trial.changed:.3f}", nearer),
        (other, words_of(trick.other), f"{trial.other:.3f}", farther),
    )
    return (
        '<div class="learn-three">'
        + "".join(
            f'<div class="one{mark}">'
            + figure_html(small(encoded.crop, _SIDE), words, f"{escape(words)}<strong>{number}</strong>")
            + "</div>"
            for encoded, words, number, mark in shown
        )
        + "</div>"
    )
