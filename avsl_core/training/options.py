"""Options of single methods, each a group of its own in a recipe: ``--set cgd.descriptors=SM``."""

import math
from dataclasses import dataclass
from typing import Literal

from avsl_core import functional as AF
from avsl_core.errors import ConfigError

__all__ = ["CgdOptions", "DimlOptions", "RamlOptions"]


@dataclass(frozen=True)
class DimlOptions:
    """What DIML adds to a recipe.

    Attributes:
        grid: Cells along each side.
        marginals: What a cell counts.
        temperature: Of the transport's kernel.
        max_iterations: Most Sinkhorn steps.
        structural: Whether the loss sees structural distances, which takes a loss on pairs (``margin``,
            ``multi_similarity`` ...); else the vectors alone are trained and cells matched only afterwards.
    """

    grid: int = 4
    marginals: AF.Marginals = "cross_correlation"
    temperature: float = 0.05
    max_iterations: int = 100
    structural: bool = True


@dataclass(frozen=True)
class CgdOptions:
    """What CGD adds to a recipe.

    Attributes:
        descriptors: One to three of S, M and G; the first one feeds the auxiliary classifier.
        undownsampled: Whether the last stage keeps the resolution of the one before: for trunks that learn.
        auxiliary_weight: Of the auxiliary classification loss; 0 leaves it out.
        smoothing: Of its labels.
        auxiliary_temperature: Its logits are divided by this.
    """

    descriptors: str = "SMG"
    undownsampled: bool = True
    auxiliary_weight: float = 1.0
    smoothing: float = 0.1
    auxiliary_temperature: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.auxiliary_weight < math.inf:
            raise ConfigError(f"cgd.auxiliary_weight={self.auxiliary_weight}: must be 0 or more, and finite")
        if not 0.0 <= self.smoothing < 1.0:
            raise ConfigError(f"cgd.smoothing={self.smoothing}: must be in [0, 1)")
        if not 0.0 < self.auxiliary_temperature < math.inf:
            raise ConfigError(
                f"cgd.auxiliary_temperature={self.auxiliary_temperature}: must be above 0, and finite"
            )


@dataclass(frozen=True)
class RamlOptions:
    """What RAML adds to a recipe.

    The recipe's backbone and ``preprocess.size`` are the teacher's; ``loss`` trains the teacher.

    Attributes:
        student_size: Side in pixels of what the student sees.
        student_backbone: timm name of the student's trunk; ``"shared"`` looks with the teacher's.
        student_weights: Source of that trunk's first weights, as ``weights``.
        pooling: Of both.
        teacher_epochs: The first epochs of the run, in which the teacher learns; then it rests.
        teacher: A RAML checkpoint whose teacher to begin with; it needs no epochs then.
        distillation: How the student learns: ``"ts_aug"`` from the teacher on several views of each picture,
            ``"ts_reg"`` on one plain view, ``"sym"`` by triplets of its own, ``"alone"`` by ``loss``
            without a teacher.
        views: A, augmented views of a picture in a batch of ``ts_aug``.
        relational_ts: Weight of the relational loss between student and teacher.
        relational_ss: Of that within the student.
        triplet_margin: Of ``"sym"``, on squared distances.
        mixup: Strength (Beta's parameter) of mixing pictures, the same for both networks; 0 for none. Needs
            ``ts_aug``, and pictures rather than cached maps.
    """

    student_size: int = 224
    student_backbone: str = "shared"
    student_weights: str = "hub"
    pooling: Literal["gem", "gemmp", "mac", "spoc", "rmac"] = "gem"
    teacher_epochs: int = 0
    teacher: str | None = None
    distillation: Literal["ts_aug", "ts_reg", "sym", "alone"] = "ts_aug"
    views: int = 8
    relational_ts: float = 1.0
    relational_ss: float = 1.0
    triplet_margin: float = 0.7
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("relational_ts", "relational_ss", "triplet_margin", "mixup"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"raml.{name}={getattr(self, name)}: must be 0 or more, and finite")
        for name, least in (("student_size", 1), ("views", 1), ("teacher_epochs", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"raml.{name}={getattr(self, name)}: must be {least} or more")
        if self.mixup and self.distillation != "ts_aug":
            raise ConfigError(f"raml.mixup={self.mixup}: must be 0 unless raml.distillation is ts_aug")

    @property
    def distils(self) -> bool:
        """Whether the student learns from the teacher."""
        return self.distillation in ("ts_aug", "ts_reg")
