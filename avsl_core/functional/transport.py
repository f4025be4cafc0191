"""Structural similarity by optimal transport between the cells of two pictures.

Source: Zhao et al., *Towards Interpretable Deep Metric Learning with Structural Matching*, ICCV 2021 (DIML),
section 3; Sinkhorn iterations: Cuturi, NeurIPS 2013.
"""

from dataclasses import dataclass, fields
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Marginals",
    "cell_grid",
    "marginals_of",
    "sinkhorn",
    "structural_plan",
    "structural_products",
    "structural_similarity",
]

Marginals = Literal["cross_correlation", "uniform"]
"""What a cell counts: by how well it answers to the other picture as a whole, or all the same."""

TEMPERATURE = 0.05
_CHECK_EVERY = 4
_PAIRS = 4096  # at once: their kernels stay in the cache
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


def sinkhorn(
    similarity: Tensor,
    marginal_a: Tensor,
    marginal_b: Tensor,
    *,
    temperature: float = TEMPERATURE,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
) -> Tensor:
    """Entropic transport plans of many pairs at once, each stopping by itself.

    Over-relaxed Sinkhorn iterations (Thibault et al., Algorithms 2021, with factor 1.5): the same plan as the
    plain ones in about a third of the steps. A pair whose marginals get worse goes on plainly. A pair stops
    when its rows miss their marginal by less than the tolerance in all, so its plan does not depend on its
    company; the device is asked whether all have stopped every few steps only. On the CPU, in 32 bits and
    where no gradient is kept, the steps are compiled, which takes some seconds once.

    Args:
        similarity: S, ``[..., Na, Nb]`` cosines.
        marginal_a: ``[..., Na]``, not negative.
        marginal_b: ``[..., Nb]``, not negative, of about the same sum.
        temperature: Of the kernel exp(-(1 - S) / temperature).
        max_iterations: Most steps.
        tolerance: Sum of the rows' errors that counts as none.

    Returns:
        T, ``[..., Na, Nb]``, not negative; its columns sum to ``marginal_b`` (to a cell that nothing is like
        may come less), its rows to ``marginal_a`` up to the tolerance, if the steps suffice for it.

    Raises:
        ValueError: If the temperature, the number of steps or the tolerance is not positive.
    """
    if temperature <= 0 or max_iterations < 1 or tolerance <= 0:
        raise ValueError("sinkhorn needs a positive temperature and tolerance, and at least one step")
    *batch, rows, columns = similarity.shape
    S = similarity.reshape(-1, rows, columns)
    u = marginal_a.expand(*batch, rows).reshape(-1, rows)
    v = marginal_b.expand(*batch, columns).reshape(-1, columns)
    if _compilable(S, u, v):
        from avsl_core.functional.lanes import plans_in_place

        T = S.new_empty(S.shape)  # on the CPU, whatever torch makes tensors on by itself
        for start in range(0, len(S), _PAIRS):
            some = slice(start, start + _PAIRS)
            kernel = torch.sub(S[some], 1.0, out=T[some]).div_(temperature).exp_()
            plans_in_place(kernel, u[some], v[some], steps=max_iterations, tolerance=tolerance, tiny=_tiny(S))
        return T.view(similarity.shape)
    plans: list[Tensor] = []
    for start in range(0, len(S), _PAIRS):
        # Pairs last: sums over cells then run along whole vectors of pairs.
        some = slice(start, start + _PAIRS)
        kernel = ((S[some].movedim(0, -1) - 1.0) / temperature).contiguous().exp_()
        plans.append(_plans(kernel, u[some].T, v[some].T, max_iterations, tolerance))
    if not plans:
        return torch.zeros_like(similarity)
    return torch.cat(plans, dim=-1).movedim(-1, 0).reshape(similarity.shape)


def structural_similarity(
    query_cells: Tensor,
    query_global: Tensor,
    gallery_cells: Tensor,
    gallery_global: Tensor,
    *,
    marginals: Marginals = "cross_correlation",
    temperature: float = TEMPERATURE,
    max_iterations: int = 100,
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

    Returns:
        ``[N]``, at most 1.

    Raises:
        ValueError: If there are no such marginals.

    Example:
        >>> cells = torch.eye(4)
        >>> whole = torch.full((4,), 0.5)
        >>> bool(structural_similarity(cells, whole, cells[None], whole[None]) > 0.99)
        True
    """
    products = structural_products(query_cells, query_global, gallery_cells, gallery_global)
    T = structural_plan(products, marginals=marginals, temperature=temperature, max_iterations=max_iterations)
    return (T * products[..., :-1, :-1]).sum(dim=(-2, -1))


def structural_products(cells_a: Tensor, global_a: Tensor, cells_b: Tensor, global_b: Tensor) -> Tensor:
    """All products that a structural similarity needs, by one matrix product.

    Args:
        cells_a: ``[Na, C]``, or ``[B, Na, C]``.
        global_a: ``[C]`` or ``[B, C]``.
        cells_b: ``[B, Nb, C]``.
        global_b: ``[B, C]``.

    Returns:
        ``[B, Na + 1, Nb + 1]``: cells with cells, and in the last row and column each whole with the other
        picture's cells; in the corner the cosine of both wholes.
    """
    a = torch.cat([cells_a, global_a[..., None, :]], dim=-2)
    b = torch.cat([cells_b, global_b[..., None, :]], dim=-2)
    if a.dim() == 3:
        return a @ b.transpose(1, 2)
    flat = b.flatten(0, 1) @ a.T
    return flat.view(b.shape[0], b.shape[1], a.shape[0]).transpose(1, 2)


def structural_plan(
    products: Tensor,
    *,
    marginals: Marginals = "cross_correlation",
    temperature: float = TEMPERATURE,
    max_iterations: int = 100,
) -> Tensor:
    """The plans between cells, from the products of :func:`structural_products`.

    Args:
        products: ``[..., Na + 1, Nb + 1]``.
        marginals: See :data:`Marginals`.
        temperature: As of :func:`sinkhorn`.
        max_iterations: As of :func:`sinkhorn`.

    Returns:
        T, ``[..., Na, Nb]``.

    Raises:
        ValueError: If there are no such marginals.
    """
    u, v = marginals_of(products, marginals)
    similarity = products[..., :-1, :-1]
    return sinkhorn(similarity, u, v, temperature=temperature, max_iterations=max_iterations)


def marginals_of(products: Tensor, marginals: Marginals) -> tuple[Tensor, Tensor]:
    """What each cell of either picture counts (DIML, eq. 9).

    Cross-correlation weighs a cell by its similarity to the *other* picture's whole, not below zero.

    Args:
        products: ``[..., Na + 1, Nb + 1]`` of :func:`structural_products`.
        marginals: Which kind.

    Returns:
        ``[..., Na]`` and ``[..., Nb]``, each summing to about 1.

    Raises:
        ValueError: If there is no such kind.
    """
    raw_a, raw_b = products[..., :-1, -1], products[..., -1, :-1]
    if marginals == "uniform":
        return torch.full_like(raw_a, 1.0 / raw_a.shape[-1]), torch.full_like(raw_b, 1.0 / raw_b.shape[-1])
    if marginals != "cross_correlation":
        raise ValueError(f'marginals must be "cross_correlation" or "uniform", not {marginals!r}')
    raw_a, raw_b = F.relu(raw_a), F.relu(raw_b)
    return (
        raw_a / (raw_a.sum(dim=-1, keepdim=True) + 1e-5),
        raw_b / (raw_b.sum(dim=-1, keepdim=True) + 1e-5),
    )


def _compilable(*inputs: Tensor) -> bool:
    """Whether compiled steps serve: on the CPU, with no gradient to be kept, and in 32 bits.

    In one type only: processes that compile for several at the same time can spoil what Numba keeps on disk.
    """
    tracked = torch.is_grad_enabled() and any(one.requires_grad for one in inputs)
    return not tracked and all(one.device.type == "cpu" and one.dtype == torch.float32 for one in inputs)


def _plans(K: Tensor, u: Tensor, v: Tensor, steps: int, tolerance: float) -> Tensor:  # noqa: N803
    """Plans of kernels ``[Na, Nb, B]``, which are used up, with marginals ``[Na, B]`` and ``[Nb, B]``."""
    rows = torch.empty_like(u)
    numbers = torch.arange(K.shape[2], device=K.device)
    state = _State.of(K, u, v)
    for number in range(steps):
        state.step(relaxed=number > 1, tolerance=tolerance)
        if number % _CHECK_EVERY == _CHECK_EVERY - 1:
            left = int(state.active.sum())
            if left == 0:
                break
            if left <= len(numbers) // 2:  # those that have stopped would only be carried along
                rows[:, numbers] = state.rows
                numbers, state = numbers[state.active], state.keep(state.active)
    rows[:, numbers] = state.rows
    # A last plain step: no column gets more than its marginal.
    product = K.mul_(rows[:, None])
    return product.mul_((v / product.sum(dim=0).clamp_min_(_tiny(K)))[None])


@dataclass
class _State:
    """Scalings of the pairs that still move, pairs last."""

    K: Tensor
    u: Tensor
    v: Tensor
    rows: Tensor
    columns: Tensor
    active: Tensor
    plain: Tensor
    violation: Tensor

    @classmethod
    def of(cls, kernel: Tensor, u: Tensor, v: Tensor) -> "_State":
        none = torch.zeros(kernel.shape[2], dtype=torch.bool, device=kernel.device)
        worst = kernel.new_full(none.shape, torch.inf)
        return cls(kernel, u, v, torch.ones_like(u), torch.ones_like(v), ~none, none, worst)

    def keep(self, chosen: Tensor) -> "_State":
        return _State(*(getattr(self, spec.name)[..., chosen] for spec in fields(self)))

    def step(self, *, relaxed: bool, tolerance: float) -> None:
        sums = (self.K * self.columns).sum(dim=1)
        if relaxed:
            violation = (self.rows * sums).sub_(self.u).abs_().sum(dim=0)
            self.active = self.active & (violation >= tolerance)
            self.plain = self.plain | (violation > self.violation)
            self.violation = violation
        self.rows = self._scaled(self.u, sums, self.rows, relaxed)
        sums = (self.K * self.rows[:, None]).sum(dim=0)
        self.columns = self._scaled(self.v, sums, self.columns, relaxed)

    def _scaled(self, wanted: Tensor, sums: Tensor, old: Tensor, relaxed: bool) -> Tensor:
        tiny = _tiny(sums)
        new = wanted / sums.clamp_min_(tiny)
        if relaxed:
            new = torch.where(self.plain, new, new * (new / old).sqrt_())
        return torch.where(self.active, new.clamp_(tiny, 1.0 / tiny), old)


def _tiny(like: Tensor) -> float:
    """Quotients of two such numbers are still finite."""
    return float(torch.finfo(like.dtype).tiny ** 0.45)
