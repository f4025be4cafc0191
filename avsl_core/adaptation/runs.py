"""An adaptation learned from a folder of pairs: several runs, judged on held-out pairs, and a checkpoint."""

import copy
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.adaptation.features import Features, cached_features
from avsl_core.adaptation.fit import FitOptions, PairFeatures, fit_head
from avsl_core.checkpoint import Checkpoint
from avsl_core.config import to_dict
from avsl_core.data import PairSet, split_pairs
from avsl_core.errors import ConfigError
from avsl_core.extraction import Listed
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution
from avsl_core.models import AdaptationModel
from avsl_core.models.adaptation_head import AdaptationHead
from avsl_core.precision import Precision

__all__ = [
    "AdaptationResult",
    "AdaptationRun",
    "RunOptions",
    "adapt_pairs",
    "adapted_model",
    "pair_features",
]

_QUANTILES = 101


@dataclass(frozen=True)
class RunOptions:
    """How often an adaptation is learned, and how it is judged.

    Attributes:
        runs: How many, each with a division of the pairs and first weights of its own.
        split: Share of the pairs to learn from.
        ks: The k of aR@k.
        seed: Of the first run; the others count on from it.
    """

    runs: int = 5
    split: float = 0.75
    ks: tuple[int, ...] = (1, 3, 5)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise ConfigError(f"runs must be at least 1, not {self.runs}")
        if not self.ks or min(self.ks) < 1 or len(set(self.ks)) < len(self.ks):
            raise ConfigError(f"the k of aR@k must be different and at least 1, not {list(self.ks)}")
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, not {self.seed}")


@dataclass(frozen=True)
class AdaptationRun:
    """What one run came to.

    Attributes:
        seed: Of its division and first weights.
        train: Pairs learned from.
        test: Pairs judged on.
        loss: On the training pairs, at the end.
        before: ``asymmetric_recall@k`` of the features as they are, on the test pairs, as fractions.
        after: The same of the adapted ones.
    """

    seed: int
    train: int
    test: int
    loss: float
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True, eq=False)
class AdaptationResult:
    """A learned adaptation.

    Attributes:
        checkpoint: The model of the first run, with its papers.
        runs: All runs, in order.
    """

    checkpoint: Checkpoint
    runs: tuple[AdaptationRun, ...]

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Mean and sample deviation over runs: ``before`` or ``after``, metric, ``mean`` or ``deviation``."""
        return {
            when: {
                key: _spread([getattr(run, when)[key] for run in self.runs]) for key in self.runs[0].before
            }
            for when in ("before", "after")
        }


def pair_features(
    frozen: AdaptationModel,
    preprocess: Preprocess,
    pairs: PairSet,
    cache: Path,
    *,
    mirrored: bool = True,
    batch_size: int = 32,
    workers: int = 0,
    precision: Precision = "none",
    progress: bool = False,
) -> tuple[PairSet, PairFeatures]:
    """Extract the features of both sides of pairs, or take them from a cache.

    Args:
        frozen: The network, see :func:`avsl_core.adaptation.trunks.frozen_model`.
        preprocess: What it is to see.
        pairs: At least one.
        cache: File to keep the features in, see :func:`avsl_core.adaptation.features.cached_features`.
        mirrored: Whether to extract the mirror images as well.
        batch_size: Pictures per pass.
        workers: Processes that decode.
        precision: Of the trunk.
        progress: Whether to show a bar on standard error.

    Returns:
        The pairs of which both pictures could be read, and their features.

    Raises:
        DataError: If no picture could be read.
    """
    sides = (("left", pairs.left), ("right", pairs.right))
    listed = [Listed(path, f"{side}/{path.name}") for side, paths in sides for path in paths]
    features = cached_features(
        cache,
        frozen,
        preprocess,
        listed,
        mirrored=mirrored,
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        progress=progress,
    )
    return _whole_pairs(pairs, listed, features)


def adapt_pairs(
    frozen: AdaptationModel,
    preprocess: Preprocess,
    pairs: PairSet,
    features: PairFeatures,
    fit: FitOptions,
    options: RunOptions,
    *,
    record: dict[str, Any] | None = None,
    on_step: Callable[[int, int, float], object] | None = None,
) -> AdaptationResult:
    """Learn an adaptation in several runs, each judged on pairs that it did not see.

    The checkpoint holds the model of the first run, whatever the others come to: choosing by the test pairs
    would make their scores meaningless.

    Args:
        frozen: The network that made the features.
        preprocess: What it saw.
        pairs: The pairs.
        features: Theirs, in their order.
        fit: How to learn.
        options: How often, and how to judge.
        record: Further facts for the checkpoint's record.
        on_step: Called with the run's number from 0, the step's from 1 and the loss.

    Raises:
        DataError: If there are too few pairs.
        TrainingError: If a loss is no longer finite.
    """
    runs: list[AdaptationRun] = []
    first: tuple[AdaptationHead, PairFeatures] | None = None
    for number in range(options.runs):
        seed = options.seed + number
        train, test = split_pairs(pairs.names, options.split, seed)

        def stepped(step: int, loss: float, number: int = number) -> None:
            if on_step is not None:
                on_step(number, step, loss)

        head, loss = fit_head(features[train], fit, seed=seed, on_step=stepped)
        held_out = features[test]
        before = _recalls(held_out.left, held_out.right, options.ks)
        after = _recalls(head(held_out.left), head(held_out.right), options.ks)
        runs.append(AdaptationRun(seed, len(train), len(test), loss, before, after))
        first = first or (head, held_out)
    assert first is not None  # there is at least one run
    model = adapted_model(frozen, first[0], fit)
    facts = {
        "data": pairs.name,
        "pairs": len(pairs),
        "left_out": len(pairs.alone),
        "fit": to_dict(fit) | {"lr": fit.rate},
        "split": options.split,
        "seed": options.seed,
        "mirrored": features.mirrored_left is not None,
        "runs": [vars(run) for run in runs],
        "torch": torch.__version__,
        **(record or {}),
    }
    checkpoint = Checkpoint(
        model,
        preprocess,
        record=facts,
        metrics={"test": runs[0].after, "test_before": runs[0].before},
        pairs=_distribution(model, first[1]),
    )
    return AdaptationResult(checkpoint, tuple(runs))


def _whole_pairs(
    pairs: PairSet, listed: Sequence[Listed], features: Features
) -> tuple[PairSet, PairFeatures]:
    """Only the pairs of which both pictures could be read."""
    row = {picture.name: number for number, picture in enumerate(features.pictures)}
    count = len(pairs)
    kept = [n for n in range(count) if listed[n].name in row and listed[count + n].name in row]
    lefts, rights = ([row[listed[start + n].name] for n in kept] for start in (0, count))
    lost = [side[n] for side in (pairs.left, pairs.right) for n in sorted(set(range(count)) - set(kept))]
    whole = replace(
        pairs,
        left=tuple(pairs.left[n] for n in kept),
        right=tuple(pairs.right[n] for n in kept),
        names=tuple(pairs.names[n] for n in kept),
        alone=(*pairs.alone, *lost),
    )
    mirrored = features.mirrored
    return whole, PairFeatures(
        features.vectors[lefts],
        features.vectors[rights],
        None if mirrored is None else mirrored[lefts],
        None if mirrored is None else mirrored[rights],
    )


def _recalls(left: Tensor, right: Tensor, ks: Sequence[int]) -> dict[str, float]:
    values = AF.asymmetric_recall(left, right, ks)
    return {f"asymmetric_recall@{k}": value for k, value in zip(ks, values, strict=True)}


def adapted_model(frozen: AdaptationModel, head: AdaptationHead, fit: FitOptions) -> AdaptationModel:
    """The frozen network with a learned adaptation, as a model of its own."""
    model = copy.deepcopy(frozen)
    model.config = replace(frozen.config, kind=fit.kind, width=fit.width, pca=fit.pca)
    model.head = head.to(model.device)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def _distribution(model: AdaptationModel, held_out: PairFeatures) -> PairDistribution:
    """Distances of held-out pictures to their partners, and to the partners of others."""
    distances = model.distance_matrix(
        model.encode_features(held_out.left), model.encode_features(held_out.right)
    )
    values = distances.double().cpu()
    own = torch.eye(len(values), dtype=torch.bool)
    same, different = (
        tuple(float(q) for q in np.quantile(some.numpy(), np.linspace(0.0, 1.0, _QUANTILES)))
        for some in (values[own], values[~own])
    )
    return PairDistribution(same, different, int(own.sum()), int((~own).sum()))


def _spread(values: Sequence[float]) -> dict[str, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "deviation": deviation}
