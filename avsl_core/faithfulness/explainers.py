"""Ways to explain the distance of a pair of pictures, behind one interface: the ledger and its rivals.

An explainer takes a model in evaluation mode and two normalised pictures and returns signed maps. All are
asked the same question, what pushes these two apart, and none may change the model.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from avsl_core.errors import ConfigError
from avsl_core.explain.total import total_maps
from avsl_core.faithfulness.attributions import (
    gradient_x_input,
    integrated_gradients,
    occlusion,
    occlusion_both,
)
from avsl_core.faithfulness.gradients import check_single, encode_differentiably
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.functional import Split
from avsl_core.models import AvslModel, EmbeddingModel, Encoding, Explanation, SimilarityModel

__all__ = [
    "EXPLAINERS",
    "Explainer",
    "centre",
    "choose",
    "grad_cam",
    "ledger",
    "ledger_with",
    "pair_maps",
    "random",
]

Explainer = Callable[[SimilarityModel, Tensor, Tensor], PairMaps]
"""(model, ``[1, 3, S, S]``, ``[1, 3, S, S]``) -> signed maps."""

_CELL = 16  # pixels a side of a cell of the maps that look at nothing


def ledger(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """The model's own account: all components' maps added up, and each component as a level."""
    a, b = _encode_both(model, images_a, images_b)
    return pair_maps(model.explain(a, b))


def ledger_with(split: Split) -> Explainer:
    """The account of a pooled method (AVSL or its baselines) with another split over cells.

    The explainer raises ConfigError for a method without splits, or if there is no such split.
    """

    def explain(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
        if not isinstance(model, AvslModel | EmbeddingModel):
            raise ConfigError(f"method {model.method} has no choice of splits")
        a, b = _encode_both(model, images_a, images_b)
        return pair_maps(model.explain(a, b, split=split))

    return explain


def pair_maps(explanation: Explanation) -> PairMaps:
    """An account of a distance as the measures take it: components as levels, and their sum."""
    levels = {component.name: (component.map_a, component.map_b) for component in explanation.components}
    return PairMaps(*total_maps(explanation), MappingProxyType(levels), explanation.total)


def grad_cam(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Grad-CAM (Selvaraju et al., ICCV 2017) of the distance, on the trunk's highest map of each picture.

    Channel weights are the mean gradient of the distance; the weighted sum keeps its sign, because signed
    maps are compared. Rectifying it would move no positive maximum. Lower levels take part in the distance
    as they are: what pushes apart only there, this method cannot see.

    Raises:
        EncodingError: If a side is not one picture.
    """
    check_single(images_a, images_b)
    with torch.no_grad():
        below = [
            model.trunk_maps(images.contiguous(memory_format=torch.channels_last))
            for images in (images_a, images_b)
        ]
    tops = [maps[-1].detach().requires_grad_() for maps in below]
    with torch.enable_grad():
        a = encode_differentiably(model, [*below[0][:-1], tops[0]], "query")
        b = encode_differentiably(model, [*below[1][:-1], tops[1]], "gallery")
        gradients = torch.autograd.grad(model.distance(a, b).sum(), tops)
    map_a, map_b = (
        (gradient.mean(dim=(2, 3), keepdim=True) * top.detach()).sum(dim=1)[0]
        for gradient, top in zip(gradients, tops, strict=True)
    )
    return PairMaps(map_a, map_b)


def random(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Chance: every cell uniform in [0, 1), another draw for every pair, the same for the same pair."""
    del model
    generator = torch.Generator().manual_seed(_checksum(images_a, images_b))
    return PairMaps(
        torch.rand(_grid(images_a), generator=generator), torch.rand(_grid(images_b), generator=generator)
    )


def centre(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """The photographer's prior: a Gaussian in the middle of both pictures, a quarter of the side wide."""
    del model
    return PairMaps(_gaussian(_grid(images_a)), _gaussian(_grid(images_b)))


EXPLAINERS: Mapping[str, Explainer] = MappingProxyType(
    {
        "ledger": ledger,
        "grad_cam": grad_cam,
        "integrated_gradients": integrated_gradients,
        "occlusion": occlusion,
        "occlusion_both": occlusion_both,
        "gradient_x_input": gradient_x_input,
        "random": random,
        "centre": centre,
    }
)
"""All methods by name, in the order of reports."""


def choose(
    names: Sequence[str] | None, more: Mapping[str, Explainer] = MappingProxyType({})
) -> dict[str, Explainer]:
    """Look up explainers by name.

    Args:
        names: Which, in this order; all when None.
        more: Further explainers to choose from; the same name replaces one of :data:`EXPLAINERS`.

    Raises:
        ConfigError: If a name is unknown, or there is none.
    """
    known = {**EXPLAINERS, **more}
    chosen = list(known) if names is None else list(dict.fromkeys(names))
    if not chosen:
        raise ConfigError(f"no method to measure; choose from {', '.join(known)}")
    if unknown := [name for name in chosen if name not in known]:
        raise ConfigError(f"no such method: {', '.join(map(repr, unknown))}; choose from {', '.join(known)}")
    return {name: known[name] for name in chosen}


@torch.inference_mode()
def _encode_both(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> tuple[Encoding, Encoding]:
    a, b = (images.contiguous(memory_format=torch.channels_last) for images in (images_a, images_b))
    return model.encode(a, "query"), model.encode(b, "gallery")


def _grid(images: Tensor) -> tuple[int, int]:
    return max(1, images.shape[2] // _CELL), max(1, images.shape[3] // _CELL)


def _gaussian(grid: tuple[int, int]) -> Tensor:
    rows, columns = ((torch.arange(count) + 0.5) / count - 0.5 for count in grid)
    return torch.exp(-(rows[:, None].square() + columns.square()) / (2 * 0.25**2))


def _checksum(*images: Tensor) -> int:
    value = 0
    for tensor in images:
        value = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), value)
    return value
