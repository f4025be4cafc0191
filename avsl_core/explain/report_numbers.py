"""The figures of a report: gates P and linkages W, and every number in tables that can be folded away."""

from html import escape

import numpy as np
from torch import Tensor

from avsl_core.explain.levels import component_titles
from avsl_core.explain.trace import strongest_nodes
from avsl_core.models import AvslModel, SimilarityModel
from avsl_core.models.explanation import Explanation

__all__ = ["nodes_html", "numbers_html"]

_NODES, _LINKS = 8, 3
_WIDEST = 32  # cells of a map that still is a table


def nodes_html(explanation: Explanation, model: SimilarityModel) -> str:
    """Gates P of all levels, and the strongest nodes of each with what they are linked to.

    Args:
        explanation: Of any method; empty where it has no nodes.
        model: The model that made it.
    """
    if not explanation.levels or not isinstance(model, AvslModel):
        return ""
    titles = {name: title for name, (title, _) in component_titles(explanation).items()}
    names = list(explanation.levels)
    gates = "".join(_gate(explanation.levels[name].gate, titles[name]) for name in reversed(names[1:]))
    tables = "".join(_nodes(explanation, model, index, titles) for index in range(len(names) - 1, -1, -1))
    return (
        '<section><h2>For experts: P and W</h2><p class="note">P says how much each node trusts its own '
        "difference (1) rather than those of the nodes below it (0); W says which nodes below it is linked "
        f"to. {escape(titles[names[0]])} has nothing below it and no gate.</p>"
        f'<div class="gates">{gates}</div>{tables}</section>'
    )


def numbers_html(explanation: Explanation, names: tuple[str, str]) -> str:
    """Every part in full precision, and its cells to three digits where they are not too many, folded away.

    Args:
        explanation: Of any method.
        names: What the two pictures are called.
    """
    titles = component_titles(explanation)
    rows = "".join(
        f'<tr><th scope="row">{escape(titles[c.name][0])}</th><td>{c.value!r}</td>'
        f"<td>{float(c.map_a.sum())!r}</td><td>{float(c.map_b.sum())!r}</td></tr>"
        for c in explanation.components
    )
    if not explanation.exact:
        rows += (
            f'<tr><th scope="row">In no region</th><td>{explanation.residual!r}</td><td></td><td></td></tr>'
        )
    rows += f'<tr><th scope="row">Distance</th><td>{explanation.total!r}</td><td></td><td></td></tr>'
    cells = "".join(
        _cells(values, f"{titles[c.name][0]}, {name}")
        for c in explanation.components
        for values, name in ((c.map_a, names[0]), (c.map_b, names[1]))
    )
    return (
        "<details><summary>All numbers</summary>"
        '<table class="avsl-table"><thead><tr><th scope="col">Part</th><th scope="col">Value</th>'
        '<th scope="col">On the first picture</th><th scope="col">On the second picture</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        '<p class="note">Cell by cell, from the upper left; positive pushes apart.</p>'
        f"{cells}</details>"
    )


def _gate(gate: Tensor, title: str) -> str:
    """How P is spread over the nodes of one level, as bars from 0 to 1."""
    bins, width, height = 24, 240, 60
    counts = np.histogram(gate.detach().cpu().numpy(), bins=bins, range=(0.0, 1.0))[0]
    step, tallest = width / bins, max(1, int(counts.max()))
    bars = "".join(
        f'<rect x="{i * step + 0.75:.2f}" y="{height - height * n / tallest:.2f}" '
        f'width="{step - 1.5:.2f}" height="{height * n / tallest:.2f}"/>'
        for i, n in enumerate(counts)
    )
    words = f"from {float(gate.min()):.2f} to {float(gate.max()):.2f}, mean {float(gate.mean()):.2f}"
    return (
        f'<figure><svg viewBox="0 -2 {width} {height + 18}" role="img" '
        f'aria-label="{escape(title)}: P of {len(gate)} nodes, {words}">{bars}'
        f'<path d="M0 {height + 0.5}H{width}"/><text x="0" y="{height + 14}">0</text>'
        f'<text x="{width}" y="{height + 14}" text-anchor="end">1</text></svg>'
        f"<figcaption><strong>P of {escape(title)}</strong><small>{words}</small></figcaption></figure>"
    )


def _nodes(explanation: Explanation, model: AvslModel, level: int, titles: dict[str, str]) -> str:
    names = list(explanation.levels)
    W = None if level == 0 else model.normalized_linkages[level - 1]
    rows = ""
    for strong in strongest_nodes(explanation, level, _NODES):
        share = 100 * strong.contribution / explanation.total if explanation.total > 0 else 0.0
        linked = "" if W is None else f"<td>{_linked(W[:, strong.node])}</td>"
        rows += (
            f'<tr><th scope="row">Node {strong.node}</th><td>{share:.3g} %</td><td>{strong.gate:.3f}</td>'
            f"{linked}</tr>"
        )
    head = "" if W is None else f'<th scope="col">W: linked to {escape(titles[names[level - 1]])}</th>'
    return (
        f'<h3>{escape(titles[names[level]])}, strongest nodes</h3><table class="avsl-table"><thead><tr>'
        '<th scope="col">Node</th><th scope="col">Of the distance</th><th scope="col">P</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _linked(column: Tensor) -> str:
    values, nodes = column.topk(min(_LINKS, len(column)))
    shares = [
        f"node {int(node)} {100 * float(value):.1f} %"
        for value, node in zip(values, nodes, strict=True)
        if value > 0
    ]
    return ", ".join(shares) or "none"


def _cells(values: Tensor, title: str) -> str:
    height, width = values.shape
    if max(height, width) > _WIDEST:
        return (
            f'<p class="note">{escape(title)}: {height}\u00a0\u00d7\u00a0{width} cells are too many for a '
            "table; the JSON file has them.</p>"
        )
    rows = "".join(
        f"<tr>{''.join(f'<td>{value:.3g}</td>' for value in row)}</tr>"
        for row in values.detach().cpu().tolist()
    )
    return (
        f"<details><summary>{escape(title)}, {height}\u00a0\u00d7\u00a0{width} cells</summary>"
        f'<div class="scroll"><table class="cells"><tbody>{rows}</tbody></table></div></details>'
    )
