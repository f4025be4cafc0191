"""Heads that begin where a good trunk already is: on the principal directions of its pooled features.

With few training pictures a random projection first destroys what an ImageNet trunk knows and never
learns all of it back. Projected on their principal directions the features keep their geometry, and each
class's proxy begins at the mean of its pictures.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core.training.objectives import Objective

__all__ = ["begin_on_principal_directions", "principal_projection"]


@torch.no_grad()
def begin_on_principal_directions(
    objective: Objective, batches: Iterator[tuple[Sequence[Tensor], Tensor]], generator: torch.Generator
) -> None:
    """Set projections and proxies from one pass over training pictures.

    Args:
        objective: Its model has one projection per level.
        batches: The trunk's maps, one ``[B, C, H, W]`` per level, with labels ``[B]``.
        generator: Fills the directions that the data do not decide.
    """
    pooled: list[list[Tensor]] = []
    labels: list[Tensor] = []
    for maps, batch_labels in batches:
        pooled.append(objective.model.pooled(maps))
        labels.append(batch_labels)
    classes = torch.cat(labels)
    model = objective.model
    projections = model.get_submodule("projections").parameters()
    biases = model.get_submodule("biases").parameters()
    for level, (weight, bias) in enumerate(zip(projections, biases, strict=True)):
        features = torch.cat([part[level] for part in pooled])
        weight.copy_(principal_projection(features, weight.shape[0], generator))
        bias.zero_()
        nodes = F.normalize(features @ weight.T, dim=1)
        means = nodes.new_zeros(objective.num_classes, nodes.shape[1]).index_add_(0, classes, nodes)
        objective.proxies[level].copy_(F.normalize(means, dim=1))


def principal_projection(features: Tensor, nodes: int, generator: torch.Generator) -> Tensor:
    """Project on principal directions, or lift isometrically where there are more nodes than channels.

    Args:
        features: ``[N, C]``.
        nodes: R.
        generator: For the directions beyond those of the data, and for the lift.

    Returns:
        ``[R, C]``: orthonormal rows if R <= C, else orthonormal columns.
    """
    channels = features.shape[1]
    centred = (features - features.mean(dim=0)).double().cpu()
    directions: Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1).T
    if nodes <= channels:
        return directions[:nodes].to(features)
    noise = torch.randn(nodes, channels, generator=generator, dtype=torch.float64)
    lift: Tensor = torch.linalg.qr(noise).Q
    return (lift @ directions).to(features)
