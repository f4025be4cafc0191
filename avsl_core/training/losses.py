"""Metric losses by name, those of pytorch-metric-learning (Musgrave et al., 2020) among them.

``proxy_anchor`` is this library's own (:func:`avsl_core.functional.proxy_anchor_loss`), with margins of its
own for either side; it lives with the proxies in :mod:`avsl_core.training.objectives`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.errors import ConfigError
from avsl_core.training.loss_options import LOSS_OPTIONS, LossValue, loss_values

__all__ = ["LOSS_NAMES", "PAIR_LOSSES", "MetricLoss", "build_loss"]

PAIR_LOSSES = ("margin", "multi_similarity", "contrastive", "triplet", "lifted")
"""Losses that need nothing but the distances within a batch, so that any distance will do."""

LOSS_NAMES = tuple(LOSS_OPTIONS)
"""What a recipe's ``loss`` may be."""

_Values = Mapping[str, Any]  # all of a loss's options by name


class MetricLoss(nn.Module):
    """A loss on the vectors of a batch and their labels, with whatever parameters it learns.

    Args:
        loss: Takes vectors ``[B, D]`` and labels ``[B]``, and what the miner found.
        miner: Chooses pairs or triplets first; None takes all.
    """

    def __init__(self, loss: Callable[..., Tensor], miner: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            vectors: ``[B, D]``, normalised; or all pairs' ``[B, B]``, where the loss was built for that.
            labels: ``[B]``.
        """
        if self.miner is None:
            return self.loss(vectors, labels)
        return self.loss(vectors, labels, self.miner(vectors, labels))


def build_loss(
    name: str,
    num_classes: int,
    width: int,
    *,
    given: bool = False,
    options: Mapping[str, LossValue] = MappingProxyType({}),
) -> MetricLoss:
    """Build a loss with the settings of its paper, or others.

    Args:
        name: One of :data:`LOSS_NAMES` except ``proxy_anchor``.
        num_classes: Training classes, for losses with a vector per class.
        width: Length of the vectors.
        given: Whether the loss gets matrices of pairs rather than vectors: distances, or similarities for
            ``multi_similarity``. One of :data:`PAIR_LOSSES` only.
        options: Other settings, see :data:`avsl_core.training.loss_options.LOSS_OPTIONS`.

    Raises:
        ConfigError: If there is no such loss, it cannot take matrices, or has no such setting.
    """
    if name not in _BUILDERS:
        raise ConfigError(f"no loss {name!r} to build; known: {', '.join(_BUILDERS)}")
    if given and name not in PAIR_LOSSES:
        raise ConfigError(
            f"loss={name}: structural distances need a loss on pairs, one of {', '.join(PAIR_LOSSES)}"
        )
    return _BUILDERS[name](num_classes, width, given, loss_values(name, options))


def _distance(given: bool, *, similarity: bool = False) -> Any:
    from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity, LpDistance

    class Given(BaseDistance):  # type: ignore[misc]
        """The matrix of pairs, already measured, in place of vectors."""

        def forward(self, query_emb: Tensor, ref_emb: Tensor | None = None) -> Tensor:
            return query_emb.clone()  # miners write into it

        def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
            return query_emb

        def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
            raise NotImplementedError("pairs are measured all at once")

    if given:
        return Given(is_inverted=similarity, normalize_embeddings=False)
    return CosineSimilarity() if similarity else LpDistance()


def _margin(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import MarginLoss

    return MetricLoss(MarginLoss(**values, distance=_distance(given)))


def _multi_similarity(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import MultiSimilarityLoss
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    distance = _distance(given, similarity=True)
    own = {name: value for name, value in values.items() if name != "epsilon"}
    miner = MultiSimilarityMiner(epsilon=values["epsilon"], distance=distance)
    return MetricLoss(MultiSimilarityLoss(**own, distance=distance), miner)


def _contrastive(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import ContrastiveLoss

    return MetricLoss(ContrastiveLoss(**values, distance=_distance(given)))


def _triplet(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    miner = TripletMarginMiner(**values, distance=_distance(given))
    return MetricLoss(TripletMarginLoss(margin=values["margin"], distance=_distance(given)), miner)


def _lifted(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import GeneralizedLiftedStructureLoss

    return MetricLoss(GeneralizedLiftedStructureLoss(**values, distance=_distance(given)))


def _proxy_nca(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import ProxyNCALoss

    return MetricLoss(ProxyNCALoss(num_classes, width, **values))


def _soft_triple(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import SoftTripleLoss

    return MetricLoss(SoftTripleLoss(num_classes, width, **values))


def _arcface(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import ArcFaceLoss

    return MetricLoss(ArcFaceLoss(num_classes, width, **values))


def _batch_hard_triplet(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    return MetricLoss(partial(AF.batch_hard_triplet, **values))


def _circle(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import CircleLoss

    return MetricLoss(CircleLoss(**values))


def _angular(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import AngularLoss

    return MetricLoss(AngularLoss(**values))


def _n_pair(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import NPairsLoss

    return MetricLoss(NPairsLoss())


def _snr(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.distances import SNRDistance
    from pytorch_metric_learning.losses import ContrastiveLoss

    return MetricLoss(ContrastiveLoss(**values, distance=SNRDistance()))


def _histogram(num_classes: int, width: int, given: bool, values: _Values) -> MetricLoss:
    from pytorch_metric_learning.losses import HistogramLoss

    return MetricLoss(HistogramLoss(**values))


_BUILDERS: Mapping[str, Callable[[int, int, bool, _Values], MetricLoss]] = MappingProxyType(
    {
        "margin": _margin,
        "multi_similarity": _multi_similarity,
        "contrastive": _contrastive,
        "triplet": _triplet,
        "lifted": _lifted,
        "proxy_nca": _proxy_nca,
        "soft_triple": _soft_triple,
        "arcface": _arcface,
        "batch_hard_triplet": _batch_hard_triplet,
        "circle": _circle,
        "angular": _angular,
        "n_pair": _n_pair,
        "snr": _snr,
        "histogram": _histogram,
    }
)
