"""Pure tensor functions: no state, no files, float32 and float64 on any device."""

from avsl_core.functional.distance import (
    avsl_distance,
    gate,
    pairwise_avsl_distance,
    weighted_squared_distance,
)
from avsl_core.functional.ledger import node_contributions, signed_maps, spread_nodes, top_down_weights
from avsl_core.functional.linkage import linkage, normalize_linkage
from avsl_core.functional.losses import margin_loss, proxy_anchor_loss
from avsl_core.functional.nodes import CertaintyMode, activation_map, certainty, peak_augmented, project

__all__ = [
    "CertaintyMode",
    "activation_map",
    "avsl_distance",
    "certainty",
    "gate",
    "linkage",
    "margin_loss",
    "node_contributions",
    "normalize_linkage",
    "pairwise_avsl_distance",
    "peak_augmented",
    "project",
    "proxy_anchor_loss",
    "signed_maps",
    "spread_nodes",
    "top_down_weights",
    "weighted_squared_distance",
]
