"""The steps of the tour, in their order."""

from collections.abc import Callable
from dataclasses import dataclass

from app.learn.bench import LearnBench
from app.learn.fooled import fooled_html, onwards_html
from app.learn.pictures import NAMES
from app.learn.seeing import guess_html, map_step_html, nodes_html
from app.learn.why import levels_html, places_html, trust_html

__all__ = ["STEPS", "Step", "step_of"]

_BIRDS = ("jay", "jay-turned", "jay-grey")


@dataclass(frozen=True)
class Step:
    """One idea of the tour.

    Attributes:
        title: Its heading.
        text: Its one paragraph; HTML.
        make: Works out what it shows.
        pictures: What that needs, so that the wait can be told.
    """

    title: str
    text: str
    make: Callable[[LearnBench], str]
    pictures: tuple[str, ...] = ()


STEPS: tuple[Step, ...] = (
    Step(
        "Guess first",
        "One bird seen from two sides, or two birds in one pose: which pair does the machine find more "
        "alike? Decide, and then see what it says.",
        guess_html,
        _BIRDS,
    ),
    Step(
        "What the machine sees",
        "The machine is a network of small detectors, each of which answers to some places of a picture more "
        "than to others. We call one a <strong>node</strong>. Nodes stand in <strong>levels</strong>, one "
        "above the other: the higher, the more steps of the network a picture has gone through. Move the "
        "slider to see where some of them answer.",
        nodes_html,
        ("jay",),
    ),
    Step(
        "From pictures to positions",
        "The answers of all nodes make one long list of numbers, the picture's "
        "<strong>embedding</strong>. Read it as a position: pictures that look alike to the machine lie near "
        "each other. Choose a picture to learn which is nearest to it.",
        map_step_html,
        tuple(NAMES),
    ),
    Step(
        "Why two are near",
        "The distance of two pictures is a sum to which every level adds its part. Switch a level off, and "
        "see what is left.",
        levels_html,
        _BIRDS,
    ),
    Step(
        "Where it comes from",
        "Every part of the distance also has its place on the pictures. Orange places push the two apart, "
        "blue ones pull them together, and places without colour add nothing, or too little to see. Look at "
        "one colour at a time.",
        places_html,
        _BIRDS,
    ),
    Step(
        "How sure it is",
        "A node is not equally sure about all pictures. <strong>P</strong> says how far it trusts itself, "
        "from 0 to 100\u00a0%. For the rest it asks nodes one level below, in shares called <strong>W"
        "</strong>. Follow a node down: on each level the places are lit where it answers.",
        trust_html,
        _BIRDS,
    ),
    Step(
        "Try to fool it",
        "The machine knows only what it learned from. Each trick changes a picture but not the thing it "
        "shows, and holds something else against it. Which does the machine find nearer?",
        fooled_html,
        ("heron-dagger", "heron-spoon", "jay", "jay-fan-crest", "owl"),
    ),
    Step(
        "Now you",
        "You have seen how a distance is made, where it comes from, and what may mislead it. Go on with "
        "pictures of your own.",
        onwards_html,
    ),
)
"""The tour."""


def step_of(value: object) -> int:
    """A step's number, 1 for the first, from an address or an event; 1 for anything that is none.

    Example:
        >>> [step_of(value) for value in ("3", 8, "99", None, True)]
        [3, 8, 1, 1, 1]
    """
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    return number if 1 <= number <= len(STEPS) else 1
