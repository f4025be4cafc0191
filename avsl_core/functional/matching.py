"""Which cell of one picture answers to which cell of the other, and the ledger's split that uses it.

The ledger spreads the difference of two means over the positions of both pictures. Any reference may be
subtracted from both sides without changing the sum, as long as its means agree; the choice decides what a
map shows. Here the reference of a cell lies half way to what it is matched to in the other picture: what has
its like there cancels, and what differs remains. The match is a transport plan with uniform marginals, so
every cell is spent exactly once and the sum is kept to the last digit.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Split", "centred_split", "matched_split", "resize_plan", "transport_plan"]

Split = Literal["matched", "zero", "centred", "similarity"]
"""How the ledger can spread a difference over cells.

``matched`` holds a cell against its match in the other picture, ``zero`` against nothing, ``centred`` against
the mean of both pictures; ``similarity`` starts from an even map and takes off what a cell has in common with
the other picture as a whole (the bilinear form of the distance).
"""


def transport_plan(similarities: Tensor, *, temperature: float = 0.05, iterations: int = 20) -> Tensor:
    """Match the cells of two pictures by entropic optimal transport with uniform marginals.

    Sinkhorn iterations (Cuturi, NeurIPS 2013), here both sides at once and damped by a root, find the plan
    approximately; the rounding of Altschuler, Weed and Rigollet (NeurIPS 2017, algorithm 2), again both sides
    at once, then makes its marginals exact.

    Args:
        similarities: Cosine similarities, ``[P, Q]`` in [-1, 1].
        temperature: Sharpness; small values match each cell to its best answer only.
        iterations: Sinkhorn iterations.

    Returns:
        ``[P, Q]`` float64, non-negative; rows sum to 1/P and columns to 1/Q.

    Raises:
        ValueError: If the temperature is below 0.005, or there are no iterations.

    Example:
        >>> plan = transport_plan(torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64))
        >>> plan.sum(dim=0), plan.argmax(dim=1)
        (tensor([0.5000, 0.5000], dtype=torch.float64), tensor([0, 1]))
    """
    if temperature < 0.005 or iterations < 1:
        raise ValueError("transport_plan needs a temperature of at least 0.005 and one iteration")
    P, Q = similarities.shape
    # Single precision carries the iterations: what they leave over, the rounding below repairs exactly. Rows
    # and columns are treated alike throughout, so that swapping the pictures transposes the plan. The floor
    # keeps the scalings of cells without any answer from overflowing; at 0.05 nothing lies below it.
    kernel = ((similarities - 1.0) / temperature).float().exp().clamp_min(1e-18)
    rows, columns = kernel.new_full((P,), 1.0 / P), kernel.new_full((Q,), 1.0 / Q)
    for _ in range(iterations):
        rows, columns = (
            (rows / (P * (kernel @ columns))).sqrt(),
            (columns / (Q * (rows @ kernel))).sqrt(),
        )
    plan = (rows[:, None] * kernel * columns).double()
    row_share = ((1.0 / P) / plan.sum(dim=1)).clamp_max(1.0)
    column_share = ((1.0 / Q) / plan.sum(dim=0)).clamp_max(1.0)
    plan = row_share[:, None] * plan * column_share
    missing_rows = (1.0 / P - plan.sum(dim=1)).clamp_min(0.0)
    missing_columns = (1.0 / Q - plan.sum(dim=0)).clamp_min(0.0)
    # Twice the same number up to rounding; the mean keeps the symmetry.
    missing = (missing_rows.sum() + missing_columns.sum()) / 2
    if missing > 0:
        plan = plan + missing_rows[:, None] * missing_columns / missing
    return plan


def resize_plan(plan: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Carry a plan to another grid of the same two pictures, which divides the first or is divided by it.

    To a coarser grid the mass of the cells inside is added up; to a finer one every part of a cell is matched
    to the part at the same place inside the matched cell. Marginals stay uniform either way.

    Args:
        plan: ``[P, P]`` over a grid of ``source`` rows and columns, P = rows x columns, both pictures alike.
        source: Rows and columns of the plan's grid.
        target: Rows and columns wanted; a multiple or a divisor of the source's.

    Returns:
        ``[P', P']`` for the target grid.

    Raises:
        ValueError: If the grids do not divide, both ways alike, or the plan is not over the source's.
    """
    if source == target:
        return plan
    h, w = source
    H, W = target
    if plan.shape != (h * w, h * w):
        raise ValueError(f"a plan over a grid of {source} is [{h * w}, {h * w}], not {tuple(plan.shape)}")
    if H % h == 0 and W % w == 0:
        i, j = H // h, W // w
        eye = torch.eye(i * j, dtype=plan.dtype, device=plan.device).view(i, j, i, j) / (i * j)
        fine = (
            plan.view(h, w, h, w)[:, None, :, None, :, None, :, None]
            * eye[None, :, None, :, None, :, None, :]
        )
        return fine.reshape(H * W, H * W)
    if h % H == 0 and w % W == 0:
        i, j = h // H, w // W
        columns = F.avg_pool2d(plan.view(1, h * w, h, w), (i, j), divisor_override=1).view(h * w, H * W)
        rows = F.avg_pool2d(columns.T.reshape(1, H * W, h, w), (i, j), divisor_override=1)
        return rows.view(H * W, H * W).T
    raise ValueError(f"grids {source} and {target} do not divide")


def matched_split(
    map_a: Tensor, map_b: Tensor, plan: Tensor, grid: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor]:
    """Hold each cell against its match: the mean of its own value and of what the match carries over.

    Args:
        map_a: Signed map over the first picture against a reference of zero, ``[H, W]``, see
            :func:`avsl_core.functional.signed_maps`.
        map_b: The same over the second picture, ``[h, w]``.
        plan: From :func:`transport_plan`, ``[HW, hw]``.
        grid: Rows and columns that the plan is over, where the maps, both of one size, are finer and divide
            into its cells: every part of a cell is held against the part at the same place inside the matched
            cell, as by :func:`resize_plan`, whose finer plan would have the square of the finer cells.

    Returns:
        Maps ``[H, W]`` and ``[h, w]`` with the same sum over both; each has half of it.

    Raises:
        ValueError: If the plan is not over the cells of the two maps, or of the grid.

    Example:
        >>> plan = torch.eye(2, dtype=torch.float64) / 2
        >>> a, b = torch.tensor([[0.5, 0.3]]).double(), torch.tensor([[-0.5, -0.1]]).double()
        >>> matched_split(a, b, plan)
        (tensor([[0.0000, 0.1000]], dtype=torch.float64), tensor([[0.0000, 0.1000]], dtype=torch.float64))
    """
    if grid is not None and grid != tuple(map_a.shape):
        cells = grid[0] * grid[1]
        if plan.shape != (cells, cells) or map_a.shape != map_b.shape:
            raise ValueError(
                f"finer maps of one size need a plan [{cells}, {cells}], not {tuple(plan.shape)} for maps of "
                f"{tuple(map_a.shape)} and {tuple(map_b.shape)}"
            )
        blocks_a, blocks_b = _blocks(map_a, grid), _blocks(map_b, grid)
        carried_a, carried_b = plan @ blocks_b * len(plan), plan.T @ blocks_a * len(plan)
        return (
            _from_blocks((blocks_a + carried_a) / 2, grid, map_a),
            _from_blocks((blocks_b + carried_b) / 2, grid, map_b),
        )
    a, b = map_a.flatten(), map_b.flatten()
    if plan.shape != (len(a), len(b)):
        raise ValueError(f"the plan must be [{len(a)}, {len(b)}] for these maps, not {tuple(plan.shape)}")
    carried_a = plan @ (b * len(b))
    carried_b = (a * len(a)) @ plan
    return ((a + carried_a) / 2).view_as(map_a), ((b + carried_b) / 2).view_as(map_b)


def _blocks(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """The parts of each cell of a coarser grid, ``[cells, parts]``."""
    (rows, columns), (height, width) = grid, values.shape
    if height % rows or width % columns:
        raise ValueError(f"maps of {height} x {width} do not divide into {rows} x {columns} cells")
    parts = values.reshape(rows, height // rows, columns, width // columns)
    return parts.permute(0, 2, 1, 3).reshape(rows * columns, -1)


def _from_blocks(blocks: Tensor, grid: tuple[int, int], like: Tensor) -> Tensor:
    (rows, columns), (height, width) = grid, like.shape
    parts = blocks.reshape(rows, columns, height // rows, width // columns)
    return parts.permute(0, 2, 1, 3).reshape(height, width)


def centred_split(map_a: Tensor, map_b: Tensor) -> tuple[Tensor, Tensor]:
    """Hold each cell against the mean over both pictures.

    Args:
        map_a: Signed map over the first picture against a reference of zero, ``[H, W]``.
        map_b: The same over the second picture, ``[h, w]``.

    Returns:
        Maps ``[H, W]`` and ``[h, w]`` with the same sum over both; each has half of it.
    """
    shift = (map_b.sum() - map_a.sum()) / 2
    return map_a + shift / map_a.numel(), map_b - shift / map_b.numel()
