"""Bounds for a whole block of rows by one matrix product in reduced precision, safe against rounding.

A query's bound is a weighted squared distance whose weights w(x) depend on the query
(:meth:`avsl_core.models.Measure.bound_weights`). Computed as it stands it takes two products, with the rows
and with their squares. Here the columns are scaled once by the root of reference weights v, those of a
typical pair, and gathered into groups whose weights behave alike; within a group w is at least the least
ratio rho = min(w / v) times v, so that

    sum_r w_r (x_r - y_r)^2  >=  sum_g rho_g |z_g(x) - z_g(y)|^2,    z = sqrt(v) (y - centre)

and the right side takes one product with the stored z, and a narrow one with its squared norm per group. z is
held in half of float32's size. What its rounding can do to a distance is bounded by the triangle inequality
with the rounding errors themselves, what the product's rounding can do by its unit roundoff; both widen the
threshold, so that nothing is lost, whatever the number type.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import Measure, Rows
from avsl_core.search.source import Block

__all__ = ["BoundSpace", "BoundedBlock", "Outline", "ScaledQueries", "fast_type"]

_GROUPS_PER_PART = 8
_FLOAT = 2.0**-24
_NEGLIGIBLE = 1e-12
_LARGEST = 1e30  # squares of longer points would overflow
_PIECE = 256


@dataclass(frozen=True, eq=False)
class Outline:
    """A ball around the points of a block.

    Attributes:
        middle: Mean point, ``[D]`` float32.
        radius: Largest distance of a point from the middle.
    """

    middle: Tensor
    radius: float


@dataclass(frozen=True, eq=False)
class BoundedBlock:
    """A block of rows, ready for products.

    Attributes:
        points: z, ``[B, D]`` in the space's number type.
        norms: Squared norm of z per group, ``[B, G]`` float32.
        rounding: Largest squared distance of a point from its rounded self, per group and in all,
            ``[G + 1]``.
        longest: Largest squared norm of a point, per group and in all, ``[G + 1]``.
        outline: Of the points before rounding.
    """

    points: Tensor
    norms: Tensor
    rounding: Tensor
    longest: Tensor
    outline: Outline

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self.points.nbytes + self.norms.nbytes


@dataclass(frozen=True, eq=False)
class ScaledQueries:
    """Queries scaled for rows in which some gates occur.

    Attributes:
        points: rho z, ``[Q, D]`` in the space's number type.
        ratios: rho, ``[Q, G]`` float32.
        constants: sum_g |points_g|^2 / rho_g, ``[Q]``.
        rounding: Distance, by rho, of each query from its rounded self, ``[Q]``.
    """

    points: Tensor
    ratios: Tensor
    constants: Tensor
    rounding: Tensor


class BoundSpace:
    """The scaled columns in which distances are bounded.

    Args:
        measure: Of the model, on the device that computes.
        low: Least gates of all rows, ``[G]``.
        high: Greatest gates of all rows, ``[G]``.
        centre: A typical row, ``[D]``: the shorter the points, the smaller the rounding.
        dtype: Of the points, float32 or bfloat16; None takes the faster one of the device.

    Raises:
        ConfigError: If the type is another one.
    """

    def __init__(
        self, measure: Measure, low: Tensor, high: Tensor, centre: Tensor, dtype: torch.dtype | None = None
    ) -> None:
        self.measure, self.centre = measure, centre
        self.dtype = dtype or fast_type(centre.device)
        if self.dtype not in (torch.float32, torch.bfloat16):
            raise ConfigError(f"bounds in {self.dtype}: use float32 or bfloat16, which reach equally far")
        # Products come in the points' own type on the CPU: rounded once more.
        exact_output = self.dtype == torch.float32 or centre.is_cuda
        self._output = 0.0 if exact_output else torch.finfo(self.dtype).eps
        self.reference = measure.typical_weights((low + high) / 2).contiguous()
        # Columns that count nothing in a typical pair are left out: fewer columns still bound.
        self.reference[self.reference < _NEGLIGIBLE] = 0.0
        self.scale, self._inverse = self.reference.sqrt(), _inverse(self.reference)
        ends = [measure.typical_weights(end) * self._inverse for end in (low, high)]
        self._members, self._group_of = _group_columns(measure.widths, (ends[1] - ends[0]))
        self._indicator = torch.zeros(measure.dimensions, len(self._members), device=centre.device)
        self._indicator[torch.arange(measure.dimensions, device=centre.device), self._group_of] = 1.0

    def prepare(self, rows: Rows) -> BoundedBlock:
        """Scale and round a block of rows.

        Raises:
            EncodingError: If a number is not finite, or too large to compute with.
        """
        count, groups = len(rows), len(self._members)
        points = torch.empty(count, self.measure.dimensions, dtype=self.dtype, device=self.centre.device)
        norms = torch.empty(count, groups, device=self.centre.device)
        total, rounding = torch.zeros_like(self.centre), norms.new_zeros(groups + 1)
        for start in range(0, count, _PIECE):  # pieces stay in the cache, which is several times faster
            piece = slice(start, start + _PIECE)
            exact = (rows.vectors[piece] - self.centre).mul_(self.scale)
            points[piece] = exact
            rounded = points[piece].to(torch.float32, copy=True)
            total += exact.sum(dim=0)
            errors = exact.sub_(rounded).square_() @ self._indicator
            rounding = torch.maximum(rounding, _largest(errors))
            norms[piece] = rounded.square_() @ self._indicator
        longest = _largest(norms)
        if not bool((longest <= _LARGEST).all()):  # false for NaN as well
            raise EncodingError(
                "a stored picture has numbers that are not finite, or far too large; encode it again"
            )
        return BoundedBlock(
            points, norms, rounding, longest, _outline(points, norms, rounding, total / count)
        )

    def scale_queries(
        self, queries: Rows, block: Block, column_weights: Tensor | None = None
    ) -> ScaledQueries:
        """Scale queries for the rows of a block.

        Args:
            queries: Q rows.
            block: Its gate limits hold.
            column_weights: ``[D]`` not negative, what the search multiplies each column's part with.
        """
        weights = self.measure.bound_weights(queries, block.low, block.high)
        if column_weights is not None:
            weights = weights * column_weights
        # A column that counts nothing in a typical pair is 0 in every point, whatever its ratio.
        open_ended = (weights * self._inverse).masked_fill_(self.reference == 0, torch.inf)
        ratios = open_ended[:, self._members].amin(dim=2).nan_to_num_(posinf=0.0)
        # Never more than the true ratio, and finite in what follows.
        ratios = torch.where(ratios > _NEGLIGIBLE, ratios * (1.0 - 1e-6), torch.zeros_like(ratios))
        spread = ratios[:, self._group_of]
        exact = spread * ((queries.vectors - self.centre) * self.scale)
        points = exact.to(self.dtype)
        rounded = points.float()
        inverse = _inverse(spread)
        return ScaledQueries(
            points=points,
            ratios=ratios,
            constants=(rounded.square() * inverse).sum(dim=1),
            rounding=((exact - rounded).square() * inverse).sum(dim=1).sqrt(),
        )

    def squared(self, queries: ScaledQueries, block: BoundedBlock, out: Tensor | None = None) -> Tensor:
        """Squared distances of the rounded points by rho, up to the product's rounding.

        Args:
            queries: Q.
            block: B rows.
            out: ``[Q, B]`` float32 to write into.

        Returns:
            ``[Q, B]``.
        """
        norms = torch.addmm(queries.constants[:, None], queries.ratios, block.norms.T, out=out)
        return norms.sub_(_product(queries.points, block.points), alpha=2.0)

    def thresholds(self, queries: ScaledQueries, block: BoundedBlock, nearest: Tensor) -> Tensor:
        """Up to where :meth:`squared` leaves room for a row within a distance.

        Args:
            queries: As given to :meth:`squared`.
            block: As given to :meth:`squared`.
            nearest: ``[Q]``, the distance that a row must not exceed; may be infinite.

        Returns:
            ``[Q]``: a row whose squared distance exceeds it is farther than ``nearest``.
        """
        rounding = _at_most(queries.ratios, block.rounding).sqrt()
        reach = nearest.clamp_min(0.0).sqrt() + queries.rounding + rounding
        farthest = _at_most(queries.ratios, block.longest)
        product = (queries.constants * farthest).sqrt()  # no dot product exceeds it (Cauchy and Schwarz)
        sums = queries.constants + 2.0 * product + farthest
        slack = self._output * product + 4.0 * _FLOAT * (self.measure.dimensions + 64) * sums
        return reach.square() * (1.0 + 1e-5) + slack

    def least_squared(self, queries: ScaledQueries, outline: Outline) -> Tensor:
        """What no row inside an outline falls below, ``[Q]``: by the triangle inequality."""
        spread = queries.ratios[:, self._group_of]
        offset = queries.points.float() - spread * outline.middle
        gap = (offset.square() * _inverse(spread)).sum(dim=1).sqrt() - queries.rounding
        widest = queries.ratios.amax(dim=1).sqrt()
        return (gap * (1.0 - 1e-4) - widest * outline.radius * (1.0 + 1e-4)).clamp_min(0.0).square()


def _outline(points: Tensor, norms: Tensor, rounding: Tensor, middle: Tensor) -> Outline:
    """A ball around the points, from |z - m|^2 = |z|^2 - 2 z m + |m|^2, with room for rounding."""
    squares = norms.sum(dim=1)
    along = torch.cat([piece.float() @ middle for piece in torch.split(points, _PIECE)])
    room = 1e-4 * (squares.max() + middle.square().sum())
    widest = (squares - 2.0 * along + middle.square().sum()).max().clamp_min(0.0) + room
    return Outline(middle, float(widest.sqrt() + rounding[-1].sqrt()))


def _largest(squares: Tensor) -> Tensor:
    """The largest of each column of ``[B, G]``, and of the rows' sums, ``[G + 1]``."""
    return torch.cat([squares.amax(dim=0), squares.sum(dim=1).max()[None]])


def _at_most(ratios: Tensor, largest: Tensor) -> Tensor:
    """What a sum over groups of ratio times square cannot exceed, ``[Q]``, given :func:`_largest`."""
    return torch.minimum(ratios @ largest[:-1], ratios.amax(dim=1) * largest[-1])


def _inverse(values: Tensor) -> Tensor:
    """1 / x, and 0 for 0."""
    return torch.where(values > 0, 1.0 / values, torch.zeros_like(values))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T`` in float32."""
    if a.is_cuda and a.dtype != torch.float32:
        # Otherwise CUDA may add up partial sums in the reduced type, which the threshold does not allow for.
        return torch.mm(a, b.T, out_dtype=torch.float32)
    return (a @ b.T).float()


def fast_type(device: torch.device) -> torch.dtype:
    """The type whose products are fastest and still sum in float32: bfloat16 where the hardware has it."""
    if device.type == "cuda":
        return torch.bfloat16
    native = any(
        getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return torch.bfloat16 if native else torch.float32


def _group_columns(widths: tuple[int, ...], change: Tensor) -> tuple[Tensor, Tensor]:
    """Gather each part's columns into groups whose ratio changes alike over the gates.

    Returns:
        Columns of each group, ``[G, longest]``, short groups filled by repetition; and each column's
        group, ``[D]``.
    """
    groups: list[Tensor] = []
    start = 0
    for width in widths:
        if width == 0:
            continue
        order = change[start : start + width].argsort() + start
        groups += torch.tensor_split(order, min(_GROUPS_PER_PART, width))
        start += width
    longest = max(len(group) for group in groups)
    members = torch.stack([torch.cat([g, g[-1:].expand(longest - len(g))]) for g in groups])
    group_of = torch.empty(sum(widths), dtype=torch.int64, device=change.device)
    for number, group in enumerate(groups):
        group_of[group] = number
    return members, group_of
