"""Pure tensor functions: no state, no files, float32 and float64 on any device."""

from avsl_core.functional.bound import gate_range, lower_bound_weights
from avsl_core.functional.distance import (
    avsl_distance,
    gate,
    pairwise_avsl_distance,
    weighted_squared_distance,
)
from avsl_core.functional.ledger import node_contributions, signed_maps, spread_nodes, top_down_weights
from avsl_core.functional.linkage import linkage, normalize_linkage
from avsl_core.functional.losses import margin_loss, proxy_anchor_loss
from avsl_core.functional.matching import (
    Split,
    centred_split,
    matched_split,
    resize_plan,
    transport_plan,
)
from avsl_core.functional.nodes import CertaintyMode, activation_map, certainty, peak_augmented, project

__all__ = [
    "CertaintyMode",
    "Split",
    "activation_map",
    "avsl_distance",
    "centred_split",
    "certainty",
    "gate",
    "gate_range",
    "linkage",
    "lower_bound_weights",
    "margin_loss",
    "matched_split",
    "node_contributions",
    "normalize_linkage",
    "pairwise_avsl_distance",
    "peak_augmented",
    "project",
    "proxy_anchor_loss",
    "resize_plan",
    "signed_maps",
    "spread_nodes",
    "top_down_weights",
    "transport_plan",
    "weighted_squared_distance",
]
