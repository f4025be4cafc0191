"""Metric losses by name, those of pytorch-metric-learning (Musgrave et al., 2020) among them.

``proxy_anchor`` is this library's own (:func:`avsl_core.functional.proxy_anchor_loss`), with margins of its
own for either side; it lives with the proxies in :mod:`avsl_core.training.objectives`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.errors import ConfigError

__all__ = ["LOSS_NAMES", "PAIR_LOSSES", "MetricLoss", "build_loss"]

PAIR_LOSSES = ("margin", "multi_similarity", "contrastive", "triplet", "lifted")
"""Losses that need nothing but the distances within a batch, so that any distance will do."""

_OTHERS = (
    "proxy_nca",
    "soft_triple",
    "arcface",
    "batch_hard_triplet",
    "circle",
    "angular",
    "n_pair",
    "snr",
    "histogram",
)

LOSS_NAMES = ("proxy_anchor", *PAIR_LOSSES, *_OTHERS)
"""What a recipe's ``loss`` may be."""


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


def build_loss(name: str, num_classes: int, width: int, *, given: bool = False) -> MetricLoss:
    """Build a loss with the settings of its paper.

    Args:
        name: One of :data:`LOSS_NAMES` except ``proxy_anchor``.
        num_classes: Training classes, for losses with a vector per class.
        width: Length of the vectors.
        given: Whether the loss gets matrices of pairs rather than vectors: distances, or similarities for
            ``multi_similarity``. One of :data:`PAIR_LOSSES` only.

    Raises:
        ConfigError: If there is no such loss, or it cannot take matrices.
    """
    if name not in _BUILDERS:
        raise ConfigError(f"no loss {name!r} to build; known: {', '.join(_BUILDERS)}")
    if given and name not in PAIR_LOSSES:
        raise ConfigError(
            f"loss={name}: structural distances need a loss on pairs, one of {', '.join(PAIR_LOSSES)}"
        )
    return _BUILDERS[name](num_classes, width, given)


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


def _margin(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import MarginLoss

    return MetricLoss(MarginLoss(margin=0.2, nu=0.0, beta=1.2, learn_beta=True, distance=_distance(given)))


def _multi_similarity(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import MultiSimilarityLoss
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    distance = _distance(given, similarity=True)
    miner = MultiSimilarityMiner(epsilon=0.1, distance=distance)
    return MetricLoss(MultiSimilarityLoss(alpha=2.0, beta=50.0, base=0.5, distance=distance), miner)


def _contrastive(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import ContrastiveLoss

    return MetricLoss(ContrastiveLoss(pos_margin=0.0, neg_margin=1.0, distance=_distance(given)))


def _triplet(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    miner = TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=_distance(given))
    return MetricLoss(TripletMarginLoss(margin=0.2, distance=_distance(given)), miner)


def _lifted(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import GeneralizedLiftedStructureLoss

    return MetricLoss(GeneralizedLiftedStructureLoss(neg_margin=1.0, distance=_distance(given)))


def _proxy_nca(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import ProxyNCALoss

    return MetricLoss(ProxyNCALoss(num_classes, width, softmax_scale=3.0))


def _soft_triple(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import SoftTripleLoss

    return MetricLoss(
        SoftTripleLoss(num_classes, width, centers_per_class=10, la=20.0, gamma=0.1, margin=0.01)
    )


def _arcface(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import ArcFaceLoss

    return MetricLoss(ArcFaceLoss(num_classes, width, margin=28.6, scale=64.0))


def _batch_hard_triplet(num_classes: int, width: int, given: bool) -> MetricLoss:
    return MetricLoss(AF.batch_hard_triplet)


def _circle(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import CircleLoss

    return MetricLoss(CircleLoss(m=0.4, gamma=80.0))


def _angular(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import AngularLoss

    return MetricLoss(AngularLoss(alpha=40.0))


def _n_pair(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import NPairsLoss

    return MetricLoss(NPairsLoss())


def _snr(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.distances import SNRDistance
    from pytorch_metric_learning.losses import ContrastiveLoss

    return MetricLoss(ContrastiveLoss(pos_margin=0.01, neg_margin=0.2, distance=SNRDistance()))


def _histogram(num_classes: int, width: int, given: bool) -> MetricLoss:
    from pytorch_metric_learning.losses import HistogramLoss

    return MetricLoss(HistogramLoss(n_bins=100))


_BUILDERS: Mapping[str, Callable[[int, int, bool], MetricLoss]] = MappingProxyType(
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
