"""Structural similarity by optimal transport between the cells of two pictures.

Source: Zhao et al., *Towards Interpretable Deep Metric Learning with Structural Matching*, ICCV 2021 (DIML),
section 3; Sinkhorn iterations: Cuturi, NeurIPS 2013.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Marginals",
    "cell_grid",
    "cell_marginals",
    "sinkhorn",
    "structural_similarity",
]

Marginals = Literal["cross_correlation", "uniform"]
"""What a cell counts: by how well it answers to the other picture as a whole, or all the same."""

TEMPERATURE = 0.05
_CHECK_EVERY = 10
_FINE = 16


def cell_grid(features: Tensor, grid: int = 4) -> Tensor:
    """Reduce a map to a square grid of normalised cells.

    A side that the grid does not divide is first brought to 16 by bilinear interpolation with aligned
    corners (to the nearest multiple of the grid above 16 where 16 is none).

    Args:
        features: ``[B, C, H, W]``.
        grid: Cells along each side, 1 or more.

    Returns:
        ``[B, grid * grid, C]``, rows of length 1, in reading order.

    Raises:
        ValueError: If the grid is below 1.
    """
    if grid < 1:
        raise ValueError(f"a grid has at least one cell along a side, not {grid}")
    height, width = features.shape[2:]
    if height % grid or width % grid:
        side = -(-_FINE // grid) * grid
        features = F.interpolate(features, size=(side, side), mode="bilinear", align_corners=True)
        height = width = side
    cells = F.avg_pool2d(features, (height // grid, width // grid))
    return F.normalize(cells.flatten(2).transpose(1, 2), dim=2)


def cell_marginals(
    cells_a: Tensor, global_a: Tensor, cells_b: Tensor, global_b: Tensor, marginals: Marginals
) -> tuple[Tensor, Tensor]:
    """What each cell of either picture counts (DIML, eq. 9).

    Cross-correlation weighs a cell by its similarity to the *other* picture's whole, not below zero.

    Args:
        cells_a: ``[..., Na, C]``, normalised.
        global_a: ``[..., C]``, normalised.
        cells_b: ``[..., Nb, C]``.
        global_b: ``[..., C]``.
        marginals: Which kind.

    Returns:
        ``[..., Na]`` and ``[..., Nb]``, each summing to about 1.

    Raises:
        ValueError: If there is no such kind.
    """
    if marginals == "uniform":
        shape = torch.broadcast_shapes(cells_a.shape[:-2], cells_b.shape[:-2])  # type: ignore[no-untyped-call]
        count_a, count_b = cells_a.shape[-2], cells_b.shape[-2]
        return (
            cells_a.new_full((*shape, count_a), 1.0 / count_a),
            cells_b.new_full((*shape, count_b), 1.0 / count_b),
        )
    if marginals != "cross_correlation":
        raise ValueError(f'marginals must be "cross_correlation" or "uniform", not {marginals!r}')
    raw_a = F.relu((cells_a @ global_b[..., None])[..., 0])
    raw_b = F.relu((cells_b @ global_a[..., None])[..., 0])
    return (
        raw_a / (raw_a.sum(dim=-1, keepdim=True) + 1e-5),
        raw_b / (raw_b.sum(dim=-1, keepdim=True) + 1e-5),
    )


def sinkhorn(
    similarity: Tensor,
    marginal_a: Tensor,
    marginal_b: Tensor,
    *,
    temperature: float = TEMPERATURE,
    max_iterations: int = 100,
    tolerance: float = 0.1,
) -> Tensor:
    """Entropic transport plans of many pairs at once: at most 100 steps, each pair stopping by itself.

    A pair has converged when the mean change of its row scaling falls below the tolerance; it then stays as
    it is, so that its plan does not depend on its company. The device is asked whether all have converged
    every ten steps only.

    Args:
        similarity: S, ``[..., Na, Nb]`` cosines.
        marginal_a: ``[..., Na]``, not negative.
        marginal_b: ``[..., Nb]``, not negative.
        temperature: Of the kernel exp(-(1 - S) / temperature).
        max_iterations: Most steps.
        tolerance: Mean change of the row scaling that counts as none.

    Returns:
        T, ``[..., Na, Nb]``, not negative; its columns sum to ``marginal_b``, its rows about to
        ``marginal_a``.

    Raises:
        ValueError: If the temperature, the number of steps or the tolerance is not positive.
    """
    if temperature <= 0 or max_iterations < 1 or tolerance <= 0:
        raise ValueError("sinkhorn needs a positive temperature and tolerance, and at least one step")
    K = ((similarity - 1.0) / temperature).exp()
    transposed = K.transpose(-1, -2)
    tiny = torch.finfo(K.dtype).tiny
    shape = K.shape[:-2]
    u, v = marginal_a.expand(*shape, -1), marginal_b.expand(*shape, -1)
    rows, columns = torch.ones_like(u), torch.ones_like(v)
    active = torch.ones((*shape, 1), dtype=torch.bool, device=K.device)
    for step in range(max_iterations):
        new_rows = u / (K @ columns[..., None])[..., 0].clamp_min(tiny)
        new_columns = v / (transposed @ new_rows[..., None])[..., 0].clamp_min(tiny)
        change = (new_rows - rows).abs().mean(dim=-1, keepdim=True)
        rows = torch.where(active, new_rows, rows)
        columns = torch.where(active, new_columns, columns)
        active = active & ~(change < tolerance)
        if step % _CHECK_EVERY == _CHECK_EVERY - 1 and not bool(active.any()):
            break
    return rows[..., :, None] * K * columns[..., None, :]


def structural_similarity(
    query_cells: Tensor,
    query_global: Tensor,
    gallery_cells: Tensor,
    gallery_global: Tensor,
    *,
    marginals: Marginals = "cross_correlation",
    temperature: float = TEMPERATURE,
    max_iterations: int = 100,
    tolerance: float = 0.1,
) -> Tensor:
    """Sum of T * S over the cells of a query and of each picture of a gallery (DIML, eq. 7).

    Args:
        query_cells: ``[16, C]`` (or any number of cells), normalised; or ``[N, 16, C]`` to pair them up.
        query_global: ``[C]`` or ``[N, C]``, normalised.
        gallery_cells: ``[N, 16, C]``.
        gallery_global: ``[N, C]``.
        marginals: See :data:`Marginals`.
        temperature: As of :func:`sinkhorn`.
        max_iterations: As of :func:`sinkhorn`.
        tolerance: As of :func:`sinkhorn`.

    Returns:
        ``[N]``, at most 1.

    Example:
        >>> cells = torch.eye(4)
        >>> whole = torch.full((4,), 0.5)
        >>> bool(structural_similarity(cells, whole, cells[None], whole[None]) > 0.99)
        True
    """
    S = query_cells @ gallery_cells.transpose(-1, -2)
    u, v = cell_marginals(query_cells, query_global, gallery_cells, gallery_global, marginals)
    T = sinkhorn(S, u, v, temperature=temperature, max_iterations=max_iterations, tolerance=tolerance)
    return (T * S).sum(dim=(-2, -1))
