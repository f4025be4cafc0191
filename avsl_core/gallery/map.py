"""The map of a gallery: every picture a point, alike pictures near each other."""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.errors import GalleryError
from avsl_core.gallery.options import MapMethod
from avsl_core.gallery.store import Gallery
from avsl_core.models import Measure, Rows

__all__ = ["choose_method", "map_coordinates"]

_MOST_UMAP = 20_000
_LEAST_UMAP = 5
_SAMPLE = 8_192
_READ = 4_096
_SEED = 0


def choose_method(method: MapMethod, count: int) -> MapMethod:
    """Settle what is too few pictures for umap.

    Raises:
        GalleryError: If umap is asked for and there are too many pictures for it.

    Example:
        >>> choose_method("umap", 4), choose_method("umap", 5), choose_method("pca", 5)
        ('pca', 'umap', 'pca')
    """
    if method == "umap" and count > _MOST_UMAP:
        raise GalleryError(f"a umap map is for at most {_MOST_UMAP:,} pictures, not {count:,}; use --map pca")
    return "pca" if method == "umap" and count < _LEAST_UMAP else method


def map_coordinates(gallery: Gallery, measure: Measure, method: MapMethod) -> NDArray[np.float32]:
    """Lay a gallery's pictures out on a square.

    Columns are first weighted as a pair of average reliability weighs them, so that plain Euclidean
    distance comes close to the model's.

    Args:
        gallery: Its rows.
        measure: The model's.
        method: ``"umap"`` or ``"pca"``.

    Returns:
        ``[N, 2]`` in [0, 1]; removed rows are at 0.
    """
    alive = np.flatnonzero(np.ones(len(gallery), bool) if gallery.live is None else gallery.live.numpy())
    weights = _column_weights(gallery, measure.to("cpu"))
    placed = np.zeros((len(gallery), 2), np.float32)
    if not len(alive):
        return placed
    if method == "umap":
        points = _umap(gallery.gather(torch.from_numpy(alive)).vectors * weights)
    else:
        points = _pca(gallery, alive, weights)
    low, high = points.min(axis=0), points.max(axis=0)
    placed[alive] = (points - low) / np.maximum(high - low, 1e-12)
    return placed


def _column_weights(gallery: Gallery, measure: Measure) -> Tensor:
    gates = torch.zeros(measure.gates)
    if measure.gates:
        for rows in _batches(gallery):
            gates += rows.gates.sum(dim=0)
        gates /= len(gallery)
    return measure.typical_weights(gates).sqrt()


def _batches(gallery: Gallery) -> Iterator[Rows]:
    for start in range(0, len(gallery), _READ):
        yield gallery.read(start, start + _READ)


def _pca(gallery: Gallery, alive: NDArray[np.int64], weights: Tensor) -> NDArray[np.float32]:
    """Axes from an even sample, then every row on them: one pass, whatever the size."""
    chosen = alive[np.linspace(0, len(alive) - 1, min(len(alive), _SAMPLE)).astype(np.int64)]
    sample = gallery.gather(torch.from_numpy(chosen)).vectors * weights
    centre = sample.mean(dim=0)
    axes = _principal_axes(sample - centre)
    points = [((rows.vectors * weights - centre) @ axes).numpy() for rows in _batches(gallery)]
    return np.concatenate(points)[alive]


def _principal_axes(centred: Tensor) -> Tensor:
    """The two directions of greatest variance, ``[D, 2]``, each with its largest entry positive."""
    rank = min(2, *centred.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        _, _, directions = torch.pca_lowrank(centred, q=min(8, *centred.shape), center=False, niter=6)
    axes = torch.zeros(centred.shape[1], 2)
    axes[:, :rank] = directions[:, :rank]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)


def _umap(vectors: Tensor) -> NDArray[np.float32]:
    from umap import UMAP  # slow to import

    neighbours = min(30, len(vectors) - 1)
    # Spread wide: the map is there to be clicked in, and tight clumps leave nothing to aim at.
    layout = UMAP(n_neighbors=neighbours, min_dist=0.8, spread=1.5, random_state=_SEED, n_jobs=1, init="pca")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points: NDArray[np.float32] = np.asarray(layout.fit_transform(vectors.numpy()), np.float32)
    return points
