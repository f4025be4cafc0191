"""From one node down to what it rests on: the recursion of the distance, followed along its strongest links.

A node of level l holds dhat = P d + (1 - P) sum_m W[m, r] dhat_m, its own difference mixed with those of the
lower nodes it is linked to. Every node of the trace tells how much of the total distance passes through it on
this path, and how much of that is its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core.errors import ConfigError
from avsl_core.models.explanation import Explanation

__all__ = ["NodeTrace", "StrongNode", "strongest_nodes", "trace_node"]


@dataclass(frozen=True)
class StrongNode:
    """A node and its part of the distance.

    Attributes:
        level: 0 for the lowest.
        node: Index within the level.
        gate: Reliability P, in (0, 1].
        contribution: Its own part of the distance.
    """

    level: int
    node: int
    gate: float
    contribution: float


@dataclass(frozen=True)
class NodeTrace:
    """A node on a path from a chosen node down to the lowest level.

    Attributes:
        level: 0 for the lowest.
        node: Index within the level.
        link: W, its share among the lower nodes of the node above it; 1 for the chosen node.
        gate: Reliability P: how much the node trusts its own difference rather than the nodes below.
        own: Part of the distance that is the node's own difference, along this path.
        through: Part of the distance that comes through it: its own and that of all nodes below it.
        below: The linked nodes that carry most of what is left, strongest first.
    """

    level: int
    node: int
    link: float
    gate: float
    own: float
    through: float
    below: tuple["NodeTrace", ...] = ()


def strongest_nodes(explanation: Explanation, level: int, count: int) -> list[StrongNode]:
    """The nodes of a level that contribute most to the distance.

    Args:
        explanation: Of a method with node details, such as AVSL.
        level: 0 for the lowest.
        count: At most so many.

    Raises:
        ConfigError: If the explanation has no nodes, or not that level.
    """
    details = explanation.levels.get(_level_name(explanation, level))
    assert details is not None
    values, nodes = details.contribution.topk(min(count, len(details.contribution)))
    return [
        StrongNode(level, int(node), float(details.gate[node]), float(value))
        for value, node in zip(values, nodes, strict=True)
    ]


def trace_node(
    explanation: Explanation, linkages: Sequence[Tensor], level: int, node: int, *, width: int = 3
) -> NodeTrace:
    """Follow a node to the lowest level.

    Args:
        explanation: Of a method with node details.
        linkages: W per pair of adjacent levels, ``[R_lower, R_higher]``, normalised.
        level: Level of the chosen node, 0 for the lowest.
        node: Its index.
        width: Linked nodes to follow at each step.

    Raises:
        ConfigError: If the level, the node or the number of linkages does not fit the explanation.
    """
    name = _level_name(explanation, level)
    details = explanation.levels[name]
    if not 0 <= node < len(details.gate):
        raise ConfigError(f"{name} has no node {node}; it has 0 to {len(details.gate) - 1}")
    if len(linkages) != len(explanation.levels) - 1:
        raise ConfigError(
            f"{len(explanation.levels)} levels need {len(explanation.levels) - 1} linkages, "
            f"not {len(linkages)}"
        )
    walk = _Walk(explanation, [W.detach().double().cpu() for W in linkages], width)
    reaching = float(details.weight[node]) / float(details.gate[node])
    return walk.follow(level, node, link=1.0, reaching=reaching)


class _Walk:
    """One descent: the levels' gates, differences d and mixed differences dhat, from low to high."""

    def __init__(self, explanation: Explanation, linkages: Sequence[Tensor], width: int) -> None:
        self.linkages, self.width = linkages, width
        details = list(explanation.levels.values())
        self.gates = [d.gate.double().cpu() for d in details]
        # contribution = weight * d; a node of weight 0 is on no path, so its d is never used.
        self.own = [
            torch.where(d.weight > 0, d.contribution / d.weight, torch.zeros_like(d.weight)).double().cpu()
            for d in details
        ]
        self.mixed = [self.own[0]]
        for P, d, W in zip(self.gates[1:], self.own[1:], linkages, strict=True):
            self.mixed.append(P * d + (1 - P) * (self.mixed[-1] @ W))

    def follow(self, level: int, node: int, link: float, reaching: float) -> NodeTrace:
        gate = float(self.gates[level][node])
        below: tuple[NodeTrace, ...] = ()
        if level > 0:
            links = self.linkages[level - 1][:, node]
            carried = links * self.mixed[level - 1]
            best = carried.topk(min(self.width, len(carried))).indices
            below = tuple(
                self.follow(level - 1, int(m), float(links[m]), reaching * (1 - gate) * float(links[m]))
                for m in best
                if links[m] > 0
            )
        own = reaching * gate * float(self.own[level][node])
        return NodeTrace(level, node, link, gate, own, reaching * float(self.mixed[level][node]), below)


def _level_name(explanation: Explanation, level: int) -> str:
    names = list(explanation.levels)
    if not names:
        raise ConfigError(f"method {explanation.method} has no gates and no linkage to trace")
    if not 0 <= level < len(names):
        raise ConfigError(f"no level {level}; this model has 0 (lowest) to {len(names) - 1}")
    return names[level]
