"""Clustering quality: do the clusters that embeddings fall into agree with the classes?"""

from typing import Any

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics.rows import Labels, as_labels

__all__ = ["nmi"]

_MANY = 20_000_000  # classes times pictures
_ROUNDS = 25


def nmi(embeddings: Tensor, labels: Labels, seed: int, *, restarts: int = 1) -> float:
    """Cluster embeddings by k-means and return the normalised mutual information with the classes.

    k is the number of classes; the mutual information is divided by the arithmetic mean of the two
    entropies. Embeddings are clustered as they are: normalise them first if the model compares directions.

    Where classes times pictures exceed 20 million, k-means starts from random pictures instead of k-means++
    and takes 25 rounds (faiss): the careful start alone would take longer than all rounds together.

    Memory: some copies of the embeddings on the CPU.

    Args:
        embeddings: [N, D], finite, any floating type and device.
        labels: [N] whole numbers, two classes or more.
        seed: of the k-means++ start, 0 to 2**32 - 1; the same seed gives the same value.
        restarts: starts of k-means, of which the tightest clustering counts.

    Returns:
        0 when clusters say nothing about classes, 1 when they are the classes.

    Raises:
        DataError: empty or malformed input, values that are not finite, or fewer than two classes.
        ConfigError: a seed or a number of restarts out of range.

    Example:
        >>> nmi(torch.tensor([[0.0], [0.1], [9.0], [9.1]]), [0, 0, 1, 1], seed=0)
        1.0
    """
    # scikit-learn takes a second to import; retrieval alone does not need it.
    from sklearn.metrics import normalized_mutual_info_score

    classes = as_labels(labels, "labels")
    points = _as_points(embeddings, len(classes))
    count = len(set(classes.tolist()))
    if count < 2:
        raise DataError("all labels are of one class; NMI needs two classes or more")
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed is {seed}; give a whole number from 0 to {2**32 - 1}")
    if restarts < 1:
        raise ConfigError(f"restarts is {restarts}; give a whole number from 1 up")

    cluster = _cluster_many if count * len(points) > _MANY else _cluster_few
    clusters = cluster(points, count, seed, restarts)
    value = float(normalized_mutual_info_score(classes.numpy(), clusters, average_method="arithmetic"))
    return min(1.0, max(0.0, value))


def _cluster_few(points: Tensor, count: int, seed: int, restarts: int) -> Any:
    """Cluster numbers [N] by scikit-learn's k-means."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters=count, n_init=restarts, random_state=seed).fit_predict(points.numpy())


def _cluster_many(points: Tensor, count: int, seed: int, restarts: int) -> Any:
    """Cluster numbers [N] by faiss's k-means, over all points."""
    import faiss

    rows = points.float().contiguous().numpy()
    options = {"niter": _ROUNDS, "nredo": restarts, "seed": seed % 2**31}
    # Without these two limits faiss would draw a sample of the points, or warn that there are few.
    kmeans = faiss.Kmeans(
        rows.shape[1], count, max_points_per_centroid=len(rows), min_points_per_centroid=1, **options
    )
    kmeans.train(rows)
    return kmeans.index.search(rows, 1)[1][:, 0]


def _as_points(embeddings: Tensor, count: int) -> Tensor:
    """Return checked embeddings on the CPU, float32 or float64."""
    if embeddings.ndim != 2 or embeddings.shape[1] == 0 or len(embeddings) != count:
        raise DataError(
            f"embeddings have shape {list(embeddings.shape)}; with {count} labels they must be [{count}, D]"
        )
    if not embeddings.is_floating_point():
        raise DataError(f"embeddings are {embeddings.dtype}; convert them to float32 or float64")
    points = embeddings.detach().cpu()
    if points.dtype != torch.float64:
        points = points.float()
    finite = points.isfinite().all(dim=1)
    if not finite.all():
        row = int(finite.int().argmin())
        raise DataError(f"the embedding of picture {row} is not finite; check that picture and the model")
    return points
