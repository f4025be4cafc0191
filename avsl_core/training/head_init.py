"""Heads that begin where a good trunk already is: on the principal directions of its pooled features.

With few training pictures a random projection first destroys what an ImageNet trunk knows and never
learns all of it back. Projected on their principal directions the features keep their geometry, and each
class's proxy begins at the mean of its pictures.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core.training.objectives import Objective

__all__ = ["begin_on_principal_directions", "principal_projection"]

_LEAST_SPREAD = 1e-4  # of the largest direction's variance


@torch.no_grad()
def begin_on_principal_directions(
    objective: Objective,
    batches: Iterator[tuple[Sequence[Tensor], Tensor]],
    generator: torch.Generator,
    *,
    whiten: bool = False,
) -> None:
    """Set projections and proxies from one pass over training pictures.

    Args:
        objective: Its model has projections, and one vector per picture for each of them in ``pooled``: of a
            level each (AVSL), or of one level in several ways (CGD). Biases and proxies only where there are.
        batches: The trunk's maps, one ``[B, C, H, W]`` per level, with labels ``[B]``.
        generator: Fills the directions that the data do not decide.
        whiten: Whether each direction is scaled to the same spread, around the mean; the mean moves into the
            biases, where there are.
    """
    pooled: list[list[Tensor]] = []
    labels: list[Tensor] = []
    for maps, batch_labels in batches:
        pooled.append(objective.head_model.pooled(maps))
        labels.append(batch_labels)
    classes = torch.cat(labels)
    model = objective.head_model
    biases = list(dict(model.named_children()).get("biases", nn.ParameterList()).parameters())
    for bias in biases:
        bias.zero_()
    for head, weight in enumerate(model.get_submodule("projections").parameters()):
        features = torch.cat([part[head] for part in pooled])
        weight.copy_(principal_projection(features, weight.shape[0], generator, whiten=whiten))
        if whiten and biases:
            biases[head].copy_(-weight @ features.mean(dim=0))
        if not objective.proxies:
            continue
        nodes = F.normalize(F.linear(features, weight, biases[head] if biases else None), dim=1)
        means = nodes.new_zeros(objective.num_classes, nodes.shape[1]).index_add_(0, classes, nodes)
        objective.proxies[head].copy_(F.normalize(means, dim=1))


def principal_projection(
    features: Tensor, nodes: int, generator: torch.Generator, *, whiten: bool = False
) -> Tensor:
    """Project on principal directions, or lift isometrically where there are more nodes than channels.

    Args:
        features: ``[N, C]``.
        nodes: R.
        generator: For the directions beyond those of the data, and for the lift.
        whiten: Whether directions are divided by their spread, so that all have the same.

    Returns:
        ``[R, C]``: orthonormal rows if R <= C, else orthonormal columns; before whitening.
    """
    channels = features.shape[1]
    centred = (features - features.mean(dim=0)).double().cpu()
    variances, vectors = torch.linalg.eigh(centred.T @ centred)
    directions: Tensor = vectors.flip(1).T
    if whiten:
        # Directions in which the data hardly reach would be blown up to noise.
        spread = variances.flip(0).clamp_min(_LEAST_SPREAD * variances[-1]).sqrt()
        directions = directions * (spread[0] / spread)[:, None]
    if nodes <= channels:
        return directions[:nodes].to(features)
    noise = torch.randn(nodes, channels, generator=generator, dtype=torch.float64)
    lift: Tensor = torch.linalg.qr(noise).Q
    return (lift @ directions).to(features)
