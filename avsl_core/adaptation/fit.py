"""Learning an adaptation from pairs: Adam on the whole training set at once, a few seconds on a CPU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, TrainingError
from avsl_core.models.adaptation_head import AdaptationHead, AdaptationKind

__all__ = ["FitOptions", "PairFeatures", "fit_head"]


@dataclass(frozen=True)
class FitOptions:
    """How an adaptation is learned.

    Attributes:
        kind: Which adaptation.
        width: Outputs of the original kind.
        pca: Principal components that it sees; 0 for the features as they are.
        temperature: t, which multiplies the cosines.
        steps: Of Adam, each on all training pairs.
        lr: Learning rate of Adam; None for one that suits the kind.
    """

    kind: AdaptationKind = "original"
    width: int = 1024
    pca: int = 0
    temperature: float = 15.0
    steps: int = 150
    lr: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in RATES:
            raise ConfigError(f"kind must be one of {', '.join(RATES)}, not {self.kind!r}")
        if self.width < 1 or self.pca < 0:
            raise ConfigError(f"width must be at least 1 and pca 0 or more, not {self.width} and {self.pca}")
        if self.steps < 0:
            raise ConfigError(f"steps must be 0 or more, not {self.steps}")
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(f"temperature must be positive and finite, not {self.temperature}")
        if not 0 < self.rate < float("inf"):
            raise ConfigError(f"lr must be positive and finite, not {self.rate}")

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        if self.lr is not None:
            return self.lr
        return _RATE_OF_MANY if self.kind == "original" and not self.pca else RATES[self.kind]


RATES: dict[str, float] = {"original": 1e-3, "peterson": 3e-2, "dummy": 1e-3}
"""Learning rates that suit each kind. The dummy has nothing to learn."""

_RATE_OF_MANY = 3e-5
"""Of the original without PCA: faster, W learns some hundred training pairs by heart within the 150 steps."""


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """Features of pairs, row i of each belonging to row i of the others.

    Attributes:
        left: ``[N, D]``.
        right: ``[N, D]``.
        mirrored_left: Of the mirror images, or None.
        mirrored_right: The same.
    """

    left: Tensor
    right: Tensor
    mirrored_left: Tensor | None = None
    mirrored_right: Tensor | None = None

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: Sequence[int]) -> "PairFeatures":
        chosen = torch.as_tensor(rows, dtype=torch.long, device=self.left.device)
        return PairFeatures(
            self.left[chosen],
            self.right[chosen],
            None if self.mirrored_left is None else self.mirrored_left[chosen],
            None if self.mirrored_right is None else self.mirrored_right[chosen],
        )

    def to(self, device: torch.device) -> "PairFeatures":
        """Move to a device."""
        mirrored = [
            None if side is None else side.to(device) for side in (self.mirrored_left, self.mirrored_right)
        ]
        return PairFeatures(self.left.to(device), self.right.to(device), *mirrored)

    def sets(self) -> list[tuple[Tensor, Tensor]]:
        """The pairs as they are and, where there are any, mirrored: (left, right) each."""
        found = [(self.left, self.right)]
        if self.mirrored_left is not None and self.mirrored_right is not None:
            found.append((self.mirrored_left, self.mirrored_right))
        return found


def fit_head(
    pairs: PairFeatures,
    options: FitOptions,
    *,
    seed: int = 0,
    on_step: Callable[[int, float], object] | None = None,
) -> tuple[AdaptationHead, float]:
    """Learn an adaptation from pairs; a PCA is fitted on their features and no others.

    Each step looks at all pairs, as they are and mirrored, and lets every picture pick its partner among all
    others of its own set.

    Args:
        pairs: To learn from.
        options: How.
        seed: Of the first weights.
        on_step: Called after each step with its number, from 1, and the loss before it.

    Returns:
        The adaptation, and the loss that it ends with.

    Raises:
        DataError: If there are too few pairs for the PCA.
        TrainingError: If the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(seed)
    head = AdaptationHead(
        pairs.left.shape[1], kind=options.kind, width=options.width, pca=options.pca, generator=generator
    ).to(pairs.left.device)
    sets = pairs.sets()
    if options.pca:
        head.fit_pca(torch.cat([side for both in sets for side in both]))
    learning = list(head.parameters())
    optimizer = torch.optim.Adam(learning, lr=options.rate) if learning else None
    for step in range(1, options.steps + 1 if optimizer is not None else 1):
        assert optimizer is not None
        optimizer.zero_grad()
        loss = _loss(head, sets, options.temperature)
        if not bool(loss.isfinite()):
            raise TrainingError(f"the loss of step {step} is {loss.item()}: set a smaller learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if on_step is not None:
            on_step(step, loss.item())
    with torch.no_grad():
        return head.requires_grad_(False), float(_loss(head, sets, options.temperature))


def _loss(head: AdaptationHead, sets: Sequence[tuple[Tensor, Tensor]], temperature: float) -> Tensor:
    losses = [AF.adaptation_loss(head(left), head(right), temperature) for left, right in sets]
    return torch.stack(losses).mean()
