"""For experts: gate values P, linkages W and the trace of a chosen node, as HTML."""

from html import escape

from app.look.figures import gate_histogram, image_tag
from avsl_core.comparison import Comparison
from avsl_core.explain.heatmap import draw_spotlight
from avsl_core.explain.levels import component_titles
from avsl_core.explain.node_maps import node_map
from avsl_core.explain.trace import NodeTrace, StrongNode, strongest_nodes, trace_node
from avsl_core.models import AvslModel, SimilarityModel

__all__ = ["expert_html", "level_choices", "node_choices", "node_label"]

_NODES, _LINKS, _THUMB = 12, 8, 128
_LEAST = 0.01  # per cent of the distance: nodes that carry less are only counted
_NEARLY_ALL = 0.9  # of the distance, at one level
_NO_GATES = (
    "This checkpoint measures without gates (P) and linkage (W), so there is nothing to look into here."
)


def level_choices(comparison: Comparison) -> list[tuple[str, int]]:
    """Levels with nodes, highest first, as label and number."""
    titles = component_titles(comparison.explanation)
    named = [(titles[name][0], level) for level, name in enumerate(comparison.explanation.levels)]
    return named[::-1]


def node_choices(comparison: Comparison, level: int) -> list[tuple[str, int]]:
    """The strongest nodes of a level, as label and index."""
    if not comparison.explanation.levels:
        return []
    return [
        (node_label(node, comparison.distance), node.node)
        for node in strongest_nodes(comparison.explanation, level, _NODES)
    ]


def node_label(node: StrongNode, distance: float) -> str:
    """How a node is called in the list."""
    return f"Node {node.node} · {_share(node.contribution, distance)} · P {node.gate:.2f}"


def expert_html(comparison: Comparison, model: SimilarityModel, level: int, node: int) -> str:
    """Gates of all levels, strongest linkages and trace of one node.

    Args:
        comparison: What to look into.
        model: The model that made it.
        level: Level of the chosen node, 0 for the lowest.
        node: Its index.

    Raises:
        ConfigError: If there is no such level or node.
    """
    explanation = comparison.explanation
    if not isinstance(model, AvslModel) or not explanation.levels:
        return f'<p class="note">{_NO_GATES}</p>'
    titles = [title for title, _ in component_titles(explanation).values()]
    width = 3 if model.levels <= 3 else 2
    trace = trace_node(explanation, model.normalized_linkages, level, node, width=width)
    gates = "".join(
        gate_histogram(details.gate, titles[index], trace.gate if index == level else None)
        for index, details in reversed(list(enumerate(explanation.levels.values())))
        if index > 0
    )
    return (
        f"{_decided_html(comparison)}<h3>Gate values P</h3>"
        '<p class="note">How much each node trusts its own difference (1) rather than those of '
        f"the nodes below it (0). {titles[0]} has nothing below it and no gate. "
        "The line marks the chosen node.</p>"
        f'<div class="avsl-gates">{gates}</div>'
        f"{_links_html(comparison, model, titles, level, node)}"
        "<h3>Trace of the chosen node</h3>"
        '<p class="note">From the node down its strongest links. Lit areas are where the node answers '
        "on the first and the second picture; the percentages say how much of the distance passes through it "
        "on this path.</p>"
        f'<ul class="avsl-trace">{_trace_html(comparison, model, titles, trace)}</ul>'
    )


def _links_html(comparison: Comparison, model: AvslModel, titles: list[str], level: int, node: int) -> str:
    if level == 0:
        return ""
    W = model.normalized_linkages[level - 1][:, node]
    below = list(comparison.explanation.levels.values())[level - 1]
    values, nodes = W.topk(min(_LINKS, len(W)))
    rows = "".join(
        f'<tr><th scope="row">Node {int(m)}</th><td>{100 * float(value):.2f}\u00a0%</td>'
        f"<td>{float(below.gate[m]):.2f}</td>"
        f"<td>{_share(float(below.contribution[m]), comparison.distance)}</td></tr>"
        for value, m in zip(values, nodes, strict=True)
        if value > 0
    )
    linked = int((W > 0).sum())
    return (
        "<h3>Strongest linkages W</h3>"
        f'<p class="note">{titles[level]}, node {node} is linked to {linked} of {len(W)} nodes of '
        f"{titles[level - 1]}; their shares add up to 100\u00a0%.</p>"
        '<table class="avsl-table"><thead><tr><th scope="col">Linked to</th><th scope="col">W</th>'
        f'<th scope="col">P</th><th scope="col">Of the distance</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _trace_html(comparison: Comparison, model: AvslModel, titles: list[str], trace: NodeTrace) -> str:
    pictures = "".join(
        image_tag(
            draw_spotlight(side.crop, node_map(model, side.encoding, trace.level, trace.node), side=_THUMB),
            f"Where {titles[trace.level]}, node {trace.node} answers on the {which} picture",
        )
        for side, which in ((comparison.a, "first"), (comparison.b, "second"))
    )
    link = "" if trace.link == 1.0 else f"W = {100 * trace.link:.1f}\u00a0%, "
    gate = f"P = {trace.gate:.2f}, " if trace.level > 0 else ""
    carrying = [child for child in trace.below if _carries(child, comparison.distance)]
    below = "".join(_trace_html(comparison, model, titles, child) for child in carrying)
    below += _rest_html(comparison, titles, [child for child in trace.below if child not in carrying])
    nested = f"<ul>{below}</ul>" if below else ""
    return (
        f'<li><div class="node"><div class="pair">{pictures}</div><p><strong>{escape(titles[trace.level])}, '
        f"node {trace.node}</strong><small>{link}{gate}{_share(trace.through, comparison.distance)} "
        f"of the distance passes through it</small></p></div>{nested}</li>"
    )


def _carries(node: NodeTrace, distance: float) -> bool:
    return distance > 0 and 100 * node.through / distance >= _LEAST


def _rest_html(comparison: Comparison, titles: list[str], nodes: list[NodeTrace]) -> str:
    """One line for nodes through which next to nothing passes."""
    if not nodes:
        return ""
    numbers = ", ".join(str(node.node) for node in nodes)
    if len(nodes) == 1:
        words, it = f"node {numbers}", "it and all below it"
    else:
        words, it = f"nodes {numbers}", "each of them and all below it"
    return (
        f'<li class="rest"><p>{escape(titles[nodes[0].level])}, {words}<small>less than {_LEAST}\u00a0% of '
        f"the distance passes through {it}</small></p></li>"
    )


def _decided_html(comparison: Comparison) -> str:
    """Says so where one level decides almost everything: then what passes on below it is little."""
    explanation = comparison.explanation
    if comparison.distance <= 0:
        return ""
    shares = [part.value / comparison.distance for part in explanation.components]
    most = max(range(len(shares)), key=shares.__getitem__)
    if shares[most] < _NEARLY_ALL:
        return ""
    title = component_titles(explanation)[explanation.components[most].name][0]
    share = _share(explanation.components[most].value, comparison.distance)
    return (
        f'<p class="avsl-decided">By far the most is decided at {escape(title.lower())}, {share} of the '
        "distance. The other levels add little, and so only little passes on to the nodes below.</p>"
    )


def _share(value: float, distance: float) -> str:
    if distance <= 0:
        return "0\u00a0%"
    percent = 100 * value / distance
    return f"{percent:.2g}\u00a0%" if percent >= _LEAST else f"less than {_LEAST}\u00a0%"
