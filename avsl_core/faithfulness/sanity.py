"""Sanity check: an explanation of the model must change when the model is destroyed.

Source: Adebayo et al., *Sanity Checks for Saliency Maps*, NeurIPS 2018, section 3, the cascading
randomisation from the top of the network down.
"""

import copy
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from avsl_core.errors import DataError
from avsl_core.faithfulness.explainers import Explainer
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.models import SimilarityModel

__all__ = ["cascade", "map_correlation", "sanity_curve", "stages"]

_TRUNK = "trunk."
_STAGES = "trunk.features."


def sanity_curve(
    model: SimilarityModel, explainer: Explainer, pairs: Sequence[tuple[Tensor, Tensor]], *, seed: int = 0
) -> dict[str, float]:
    """Rank correlation of a method's maps with those of ever more of the model destroyed.

    Args:
        model: In evaluation mode; it stays as it is.
        explainer: Explains.
        pairs: At least one pair of normalised pictures, ``[1, 3, S, S]`` each.
        seed: Of the randomisation.

    Returns:
        Mean over pairs of Spearman's correlation by step: ``"none"`` first (1 by definition for a method
        that gives the same maps twice), then by what was destroyed on top of the step before.

    Raises:
        DataError: If there is no pair.
    """
    if not pairs:
        raise DataError("a sanity check needs at least one pair of pictures")
    curve: dict[str, float] = {}
    originals = [explainer(model, *pair) for pair in pairs]
    for name, destroyed in cascade(model, seed=seed):
        maps = (explainer(destroyed, *pair) for pair in pairs)
        correlations = [map_correlation(*both) for both in zip(originals, maps, strict=True)]
        curve[name] = float(np.mean(correlations))
    return curve


def cascade(model: SimilarityModel, *, seed: int = 0) -> Iterator[tuple[str, SimilarityModel]]:
    """Copies of a model with ever more of it destroyed, from the top down.

    The entries of every weight are shuffled. Against drawing new ones this keeps each layer's scale,
    so that deep networks do not fall silent, and destroys what was learned all the same.

    Args:
        model: It stays as it is.
        seed: Of the shuffling.

    Yields:
        Name of what was destroyed last, ``"none"`` at first, and the model: one object, changed between
        the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    destroyed = copy.deepcopy(model)
    yield "none", destroyed
    for name, keys in stages(model):
        state = destroyed.state_dict()
        for key in keys:
            flat = state[key].detach().cpu().flatten()
            shuffled = flat[torch.randperm(len(flat), generator=generator)]
            state[key] = shuffled.view(state[key].shape).to(state[key].device)
        destroyed.load_state_dict(state)  # also brings what is derived from the weights up to date
        yield name, destroyed


def stages(model: SimilarityModel) -> list[tuple[str, list[str]]]:
    """A model's parts from top to bottom: heads, the trunk's final convolution, the trunk's stages.

    Returns:
        Names with the keys of the state dictionary that belong to each; every key is in exactly one.
    """
    keys = list(model.state_dict())
    parts = [("heads", [key for key in keys if not key.startswith(_TRUNK)])]
    parts.append(
        ("final convolution", [k for k in keys if k.startswith(_TRUNK) and not k.startswith(_STAGES)])
    )
    rest = [key for key in keys if key.startswith(_STAGES)]
    # timm spells a stage blocks.2 or, in its feature networks, blocks_2.
    flat = ["_" + key.replace(".", "_") for key in rest]
    names = [str(entry["module"]).replace(".", "_") for entry in model.trunk.features.feature_info.info]
    ends = [max((i + 1 for i, key in enumerate(flat) if f"_{name}_" in key), default=0) for name in names]
    bounds = [0, *sorted({end for end in ends if end > 0} | {len(rest)})]
    found = [
        (f"stage {number}", rest[low:high])
        for number, (low, high) in enumerate(itertools.pairwise(bounds), start=1)
    ]
    return [(name, members) for name, members in [*parts, *reversed(found)] if members]


def map_correlation(one: PairMaps, other: PairMaps) -> float:
    """Spearman's rank correlation of two explanations of one pair: the mean over the two pictures.

    Returns:
        From -1 to 1; a map without any difference of its own correlates with nothing: 0.
    """
    return (_spearman(one.a, other.a) + _spearman(one.b, other.b)) / 2


def _spearman(one: Tensor, other: Tensor) -> float:
    x, y = (values.detach().double().cpu().flatten().numpy() for values in (one, other))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    from scipy.stats import spearmanr  # takes long to import, and only this needs it

    return float(spearmanr(x, y).statistic)
