"""Steps 4 to 6 of the tour: which level, which places, and how far a node is trusted."""

from collections.abc import Sequence
from html import escape

import torch
from torch import Tensor

from app.learn.bench import LearnBench
from app.learn.parts import Panel, choice_html, figure_html, said, small
from app.learn.pictures import NAMES, words_of
from app.look.figures import image_tag, legend
from avsl_core.comparison import Comparison
from avsl_core.explain.bars import level_bars, printed_parts, round_parts
from avsl_core.explain.heatmap import density, draw_signed, draw_spotlight, shared_scale
from avsl_core.explain.levels import component_titles
from avsl_core.explain.node_maps import node_map
from avsl_core.explain.total import total_maps
from avsl_core.explain.trace import NodeTrace, StrongNode, strongest_nodes, trace_node

__all__ = ["PAIR", "levels_html", "little_html", "places_html", "trust_html"]

PAIR = ("jay", "jay-grey")
"""Whose distance is taken apart."""

_SIDE, _SMALL, _THUMB = 336, 160, 128
_HARDLY = 2.0  # per cent of the distance: a level that adds less is said to add nearly nothing
_STRONGEST = 48  # that matter for the pair; which of them to follow, their P decides


def levels_html(bench: LearnBench) -> str:
    """The distance as a sum of levels, each of which can be switched off."""
    comparison = bench.compare(*PAIR)
    titles = component_titles(comparison.explanation)
    printed, total = printed_parts(comparison.explanation)
    boxes = "".join(
        f'<label><input type="checkbox" data-level="{name}" data-printed="{printed[name]}" checked>'
        f"<span>{escape(titles[name][0])}</span></label>"
        for name in printed
    )
    bars = level_bars(comparison.explanation, titles)
    sentence = f"All levels together: {total}, the whole distance."
    return (
        f"{_pair(comparison)}{little_html(comparison, bench.model.levels)}"
        f'<div class="learn-sum" data-total="{total}">'
        f'<fieldset class="learn-choice"><legend>Levels that count</legend>{boxes}</fieldset>'
        f"{said(sentence)}{bars}</div>"
    )


def places_html(bench: LearnBench) -> str:
    """Where the distance comes from, on both pictures: all of it, what pushes apart, what pulls together."""
    comparison = bench.compare(*PAIR)
    maps = total_maps(comparison.explanation)
    scale = shared_scale(maps)
    components = comparison.explanation.components
    mapped = [c.map_a for c in components], [c.map_b for c in components]
    apart = sum(float(values.clamp_min(0).sum()) for values in maps)
    together = sum(float(values.clamp_max(0).sum()) for values in maps)
    (orange, blue), total = round_parts([apart, together], apart + together, 3)
    blue = blue.removeprefix("-")
    parts = (
        (
            "both",
            "Both",
            None,
            f"Counted by cells, orange adds {orange}, blue takes {blue} away: {total} is left, the distance.",
        ),
        ("apart", "What pushes apart", "apart", f"The orange cells alone add up to {orange}."),
        ("together", "What pulls together", "together", f"The blue cells alone take {blue} away."),
    )
    panels = []
    for key, title, side, say in parts:
        figures = ""
        for name, encoded, levels in zip(PAIR, (comparison.a, comparison.b), mapped, strict=True):
            what = "what pushes apart and what pulls together" if side is None else title.lower()
            pixels = draw_signed(encoded.crop, _one_side(levels, side), scale, side=_SIDE)
            figures += figure_html(pixels, f"Heatmap on {NAMES[name]}: {what}")
        panels.append(Panel(key, title, f'<div class="learn-two">{figures}</div>', say))
    choice = choice_html("Show", "learn-places", panels)
    return f'{_pair(comparison)}{choice}<div class="learn-legend">{legend()}</div>'


def _one_side(maps: Sequence[Tensor], side: str | None) -> Sequence[Tensor]:
    """What to draw of a picture's maps: both sides, or what of their sum pushes apart or pulls together.

    The sum is split as it is drawn, each map enlarged from its own cells, so that a place has the same
    colour alone as beside the other side.

    Args:
        maps: ``[H, W]`` each, of any resolution.
        side: ``apart``, ``together``, or None for both.
    """
    if side is None:
        return maps
    drawn = torch.as_tensor(sum(density(values, _SIDE) for values in maps)) / _SIDE**2
    return [drawn.clamp_min(0) if side == "apart" else drawn.clamp_max(0)]


def trust_html(bench: LearnBench) -> str:
    """Some strong nodes of the highest level, each followed down its strongest link to the lowest."""
    comparison, model = bench.compare(*PAIR), bench.model
    top = model.levels - 1
    panels = []
    for strong in _unlike(strongest_nodes(comparison.explanation, top, _STRONGEST)):
        trace = trace_node(comparison.explanation, model.normalized_linkages, top, strong.node, width=1)
        chain = _chain(trace)
        items = "".join(_item(bench, comparison, node, _next(chain, i)) for i, node in enumerate(chain))
        rest = f"{_percent(1 - strong.gate)} it leaves to the nodes below it."
        say = f"Node {strong.node} trusts itself {_percent(strong.gate)}; {rest}"
        view = f'<ol class="learn-chain">{items}</ol>'
        panels.append(Panel(f"n{strong.node}", f"Node {strong.node}, P {_percent(strong.gate)}", view, say))
    choice = choice_html(f"Follow a node of level {top + 1}", "learn-node", panels)
    return f"{_pair(comparison)}{little_html(comparison, model.levels)}{choice}"


def little_html(comparison: Comparison, levels: int) -> str:
    """Says so where the lowest level adds next to nothing: then little changes without it."""
    lowest = comparison.explanation.components[0].value
    share = 100 * lowest / comparison.distance if comparison.distance > 0 else 100.0
    if levels < 2 or share >= _HARDLY:
        return ""
    return (
        f'<p class="learn-little">For this pair the lowest level, level 1, adds nearly nothing: '
        f"{_tiny(share)} of the distance. Here nearly everything comes from the levels above it.</p>"
    )


def _unlike(nodes: list[StrongNode]) -> list[StrongNode]:
    """The least sure of them, one in between, and the surest."""
    by_gate = sorted(nodes, key=lambda node: node.gate)
    return list(dict.fromkeys([by_gate[0], by_gate[len(by_gate) // 2], by_gate[-1]]))


def _chain(trace: NodeTrace) -> list[NodeTrace]:
    return [trace, *(_chain(trace.below[0]) if trace.below else [])]


def _next(chain: list[NodeTrace], index: int) -> NodeTrace | None:
    return chain[index + 1] if index + 1 < len(chain) else None


def _item(bench: LearnBench, comparison: Comparison, node: NodeTrace, below: NodeTrace | None) -> str:
    pictures = "".join(
        image_tag(
            draw_spotlight(
                encoded.crop, node_map(bench.model, encoded.encoding, node.level, node.node), side=_SMALL
            ),
            f"Where node {node.node} of level {node.level + 1} answers on {NAMES[name]}",
        )
        for name, encoded in zip(PAIR, (comparison.a, comparison.b), strict=True)
    )
    if node.level == 0:
        trust = "On the lowest level there is nobody left to ask: it trusts itself."
    elif below is None:
        trust = f"P is {_percent(node.gate)}, and it is linked to no node below."
    else:
        trust = (
            f"P is {_percent(node.gate)}. For the rest it asks nodes of the level below, each for a share W. "
            f"For this pair node {below.node} matters most there, with a share of {_tiny(100 * below.link)}."
        )
    share = 100 * node.through / comparison.distance if comparison.distance > 0 else 0.0
    return (
        f'<li><div class="pair">{pictures}</div><p><strong>Level {node.level + 1}, node {node.node}</strong> '
        f"{trust} <small>{_tiny(share).capitalize()} of the whole distance passes here.</small></p></li>"
    )


def _pair(comparison: Comparison) -> str:
    """The two pictures that are taken apart, small."""
    pictures = "".join(
        image_tag(small(encoded.crop, _THUMB), words_of(name))
        for name, encoded in zip(PAIR, (comparison.a, comparison.b), strict=True)
    )
    return (
        f'<div class="learn-them"><div class="pair">{pictures}</div><p>{words_of(PAIR[0])} and '
        f'{NAMES[PAIR[1]]}: distance <strong data-value="{comparison.distance!r}">'
        f"{comparison.distance:.3f}</strong></p></div>"
    )


def _percent(share: float) -> str:
    """A whole percentage that never rounds what is inside (0, 1) to none or all."""
    if 0 < share < 0.01:
        return "less than 1\u00a0%"  # unbreakable
    if 0.99 < share < 1:
        return "more than 99\u00a0%"
    return f"{100 * share:.0f}\u00a0%"


def _tiny(percent: float) -> str:
    """A percentage with two digits, however small."""
    if percent < 0.01:
        return "less than 0.01\u00a0%"
    return f"{percent:.0f}\u00a0%" if percent >= 10 else f"{percent:.2g}\u00a0%"
