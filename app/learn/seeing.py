"""Steps 1 to 3 of the tour: a guess, what single nodes see, and pictures as places."""

from typing import NamedTuple

from app.learn.bench import LearnBench
from app.learn.map import flat_places, map_html, same_nearest
from app.learn.parts import Panel, figure_html, said, slider_html, small
from app.learn.pictures import NAMES, words_of
from app.look.figures import image_tag
from avsl_core.explain.heatmap import draw_spotlight
from avsl_core.explain.levels import level_words
from avsl_core.explain.node_maps import node_map

__all__ = ["PAIRS", "guess_html", "map_step_html", "nodes_html"]


class Pair(NamedTuple):
    """Two pictures of the guess.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        title: Which pair it is.
    """

    a: str
    b: str
    title: str


PAIRS = (Pair("jay", "jay-turned", "The first pair"), Pair("jay", "jay-grey", "The second pair"))
"""What is to be guessed: one bird from two sides, or two birds in one pose."""

_SEEN = "jay"
_NODES = 4
_SMALL, _THUMB = 224, 128


def guess_html(bench: LearnBench) -> str:
    """Two pairs with a button each; the answer is there, and hidden until one is pressed."""
    distances = [bench.compare(pair.a, pair.b).distance for pair in PAIRS]
    closer = min(range(2), key=distances.__getitem__)
    pairs = ""
    for index, pair in enumerate(PAIRS):
        pictures = "".join(
            image_tag(small(bench.picture(name).crop, _SMALL), words_of(name)) for name in pair[:2]
        )
        pairs += (
            f'<div class="learn-pair"><div class="pair">{pictures}</div>'
            f'<button type="button" class="learn-button" data-guess="{index}" aria-pressed="false">'
            f'{pair.title}</button><p class="learn-number" data-value="{distances[index]!r}" hidden>'
            f"<strong>{distances[index]:.3f}</strong> distance</p></div>"
        )
    printed = [f"{distance:.3f}" for distance in distances]
    if printed[0] == printed[1]:
        answer = f"The machine finds both pairs equally alike: {printed[0]} each."
        agree = differ = "A close call."
    else:
        answer = (
            f"The machine finds {PAIRS[closer].title.lower()} closer: {printed[closer]} "
            f"against {printed[1 - closer]}."
        )
        agree, differ = "You and the machine agree.", "You and the machine see it differently."
    explained = (
        f"{answer} Such a number is a <strong>distance</strong>: 0 means that the machine sees no "
        "difference, and the larger it is, the less alike the pictures."
    )
    return (
        f'<div class="learn-guess" data-closer="{closer}" data-agree="{agree}" data-differ="{differ}" '
        f'data-answer="{explained.replace(chr(34), "&quot;")}">{pairs}</div>{said("Choose one of the two.")}'
    )


def nodes_html(bench: LearnBench) -> str:
    """What single nodes of each level answer to on one picture, behind a slider from low to high."""
    encoded, encoding, model = bench.picture(_SEEN), bench.nodes(_SEEN), bench.model
    panels = []
    for level in range(model.levels):
        title = f"Level {level + 1}, {level_words(level, model.levels)}"
        nodes = encoding.certainties[level][0].topk(_NODES).indices.tolist()
        figures = ""
        for node in nodes:
            values = node_map(model, encoding, level, node)
            pixels = draw_spotlight(encoded.crop, values, side=_SMALL)
            alt = f"{words_of(_SEEN)} with the places lit where node {node} of level {level + 1} answers"
            figures += figure_html(pixels, alt, f"Node {node}")
        height, width = values.shape
        say = (
            f"<strong>{title}</strong>: {model.config.nodes} nodes look at {height} by {width} cells of "
            f"the picture each. These {_NODES} answer most pointedly; the places where they answer are lit."
        )
        panels.append(Panel(f"{level + 1}", title, f'<div class="learn-four">{figures}</div>', say))
    whole = figure_html(
        small(encoded.crop, _SMALL), f"{words_of(_SEEN)}, as the machine gets it", "The picture"
    )
    slider = slider_html("From the lowest level to the highest", panels)
    return f'<div class="learn-beside"><div class="learn-whole">{whole}</div><div>{slider}</div></div>'


def map_step_html(bench: LearnBench) -> str:
    """All pictures of the tour in a plane, near where the model finds them alike."""
    names = list(NAMES)
    distances = bench.distances()
    places = flat_places(distances)
    sentences, nearest = [], []
    for row, name in enumerate(names):
        order = [int(i) for i in distances[row].argsort(kind="stable") if i != row]
        near, far = order[0], order[-1]
        nearest.append(near)
        sentences.append(
            f"{words_of(name)}: nearest is {NAMES[names[near]]}, at {distances[row, near]:.3f}; "
            f"farthest is {NAMES[names[far]]}, at {distances[row, far]:.3f}."
        )
    pictures = [image_tag(small(bench.picture(name).crop, _THUMB), "") for name in names]
    model = bench.model
    numbers = model.levels * model.config.nodes
    kept = same_nearest(distances, places)
    note = (
        f"Every picture became {numbers:,} numbers, so its true position has {numbers:,} directions; a flat "
        f"map has two. On this one {kept} of {len(names)} pictures still have the same nearest neighbour. "
        "The dots are the places; pictures that would cover each other were moved aside."
    )
    drawing = map_html(places, pictures, [words_of(name) for name in names], sentences, nearest)
    return f'{said("Choose a picture on the map.")}{drawing}<p class="note">{note}</p>'
