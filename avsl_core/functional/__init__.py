"""Pure tensor functions: no state, no files, float32 and float64 on any device."""

from avsl_core.functional.adaptation import adaptation_loss, asymmetric_recall
from avsl_core.functional.bound import gate_range, lower_bound_weights
from avsl_core.functional.distance import (
    avsl_distance,
    gate,
    pairwise_avsl_distance,
    weighted_squared_distance,
)
from avsl_core.functional.distillation import absolute_distillation, relational_distillation
from avsl_core.functional.ledger import (
    node_contributions,
    node_shares,
    signed_maps,
    spread_nodes,
    top_down_weights,
)
from avsl_core.functional.likeness import cell_likeness, mean_in_cells, regrid
from avsl_core.functional.linkage import linkage, normalize_linkage
from avsl_core.functional.losses import batch_hard_triplet, margin_loss, proxy_anchor_loss
from avsl_core.functional.matching import (
    Split,
    centred_split,
    matched_split,
    resize_plan,
    transport_plan,
)
from avsl_core.functional.nodes import CertaintyMode, activation_map, certainty, peak_augmented, project
from avsl_core.functional.pooling import (
    Descriptor,
    descriptor_shares,
    generalized_mean,
    generalized_mean_shares,
    global_descriptor,
    max_pool_shares,
    regional_max,
    regional_max_shares,
)
from avsl_core.functional.transport import (
    Marginals,
    cell_grid,
    marginals_of,
    sinkhorn,
    structural_plan,
    structural_products,
    structural_similarity,
)
from avsl_core.functional.triplets import mined_triplet_loss

__all__ = [
    "CertaintyMode",
    "Descriptor",
    "Marginals",
    "Split",
    "absolute_distillation",
    "activation_map",
    "adaptation_loss",
    "asymmetric_recall",
    "avsl_distance",
    "batch_hard_triplet",
    "cell_grid",
    "cell_likeness",
    "centred_split",
    "certainty",
    "descriptor_shares",
    "gate",
    "gate_range",
    "generalized_mean",
    "generalized_mean_shares",
    "global_descriptor",
    "linkage",
    "lower_bound_weights",
    "margin_loss",
    "marginals_of",
    "matched_split",
    "max_pool_shares",
    "mean_in_cells",
    "mined_triplet_loss",
    "node_contributions",
    "node_shares",
    "normalize_linkage",
    "pairwise_avsl_distance",
    "peak_augmented",
    "project",
    "proxy_anchor_loss",
    "regional_max",
    "regional_max_shares",
    "regrid",
    "relational_distillation",
    "resize_plan",
    "signed_maps",
    "sinkhorn",
    "spread_nodes",
    "structural_plan",
    "structural_products",
    "structural_similarity",
    "top_down_weights",
    "transport_plan",
    "weighted_squared_distance",
]
