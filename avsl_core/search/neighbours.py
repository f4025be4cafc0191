"""The answer to a search."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["Neighbours"]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of some queries, nearest first; equal distances by row number.

    Attributes:
        rows: ``[Q, k]`` int64; -1 where there were fewer than k.
        distances: ``[Q, k]`` float32, in the order searched by; infinite where there is no row.
        parts: ``[Q, k, P]`` float32: the parts that add up to the model's distance, without the search's
            own weights; 0 where there is no row.
        verified: ``[Q]`` int64: pairs whose distance was computed in full.
        bounded: ``[Q]`` int64: pairs that were bounded; the others lay in blocks that were passed over whole.
    """

    rows: Tensor
    distances: Tensor
    parts: Tensor
    verified: Tensor
    bounded: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def empty(cls, queries: int, k: int, parts: int, device: torch.device | str = "cpu") -> Self:
        """No neighbours yet."""
        return cls(
            rows=torch.full((queries, k), -1, device=device),
            distances=torch.full((queries, k), torch.inf, device=device),
            parts=torch.zeros(queries, k, parts, device=device),
            verified=torch.zeros(queries, dtype=torch.int64, device=device),
            bounded=torch.zeros(queries, dtype=torch.int64, device=device),
        )

    @classmethod
    def concatenate(cls, groups: list[Self]) -> Self:
        """Put the answers of several groups of queries one after the other."""
        return cls(
            rows=torch.cat([g.rows for g in groups]),
            distances=torch.cat([g.distances for g in groups]),
            parts=torch.cat([g.parts for g in groups]),
            verified=torch.cat([g.verified for g in groups]),
            bounded=torch.cat([g.bounded for g in groups]),
        )

    def merge(self, rows: Tensor, distances: Tensor, parts: Tensor) -> Self:
        """Keep the k nearest of these and further rows.

        Args:
            rows: ``[Q, m]``, none of which is here already; -1 is no row.
            distances: ``[Q, m]``, infinite where there is no row.
            parts: ``[Q, m, P]``.
        """
        k = self.rows.shape[1]
        all_rows = torch.cat([self.rows, rows], dim=1)
        all_distances = torch.cat([self.distances, distances], dim=1)
        all_parts = torch.cat([self.parts, parts], dim=1)
        # By distance, and among equals by row: a stable sort by the one after a sort by the other.
        by_row = all_rows.argsort(dim=1)
        order = by_row.gather(1, all_distances.gather(1, by_row).argsort(dim=1, stable=True))[:, :k]
        return type(self)(
            rows=all_rows.gather(1, order),
            distances=all_distances.gather(1, order),
            parts=all_parts.gather(1, order[:, :, None].expand(-1, -1, parts.shape[2])),
            verified=self.verified,
            bounded=self.bounded,
        )

    def to(self, device: torch.device | str) -> Self:
        """Move to a device."""
        return type(self)(
            self.rows.to(device),
            self.distances.to(device),
            self.parts.to(device),
            self.verified.to(device),
            self.bounded.to(device),
        )
