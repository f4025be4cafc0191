"""Everything that decides a training run, in one frozen value that travels in the checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from avsl_core.errors import ConfigError
from avsl_core.images import Augmentation, Preprocess
from avsl_core.models.backbone import TrainableStages
from avsl_core.training.loss_options import LossValue, loss_values
from avsl_core.training.losses import LOSS_NAMES, PAIR_LOSSES
from avsl_core.training.options import CgdOptions, DimlOptions, RamlOptions

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A training recipe.

    Learning rates follow the published split: trunk; heads (projections); gates (alpha and beta); proxies.

    Attributes:
        method: ``"avsl"``; ``"embedding"`` (one vector per level and any loss); ``"diml"``, ``"cgd"`` or
            ``"raml"``, with further options in the groups of that name.
        backbone: timm name.
        levels: Feature levels, low to high; ``"head"`` for a final 1x1 convolution.
        weights: The trunk's first weights: ``hub``, ``packaged``, ``none`` or a file.
        nodes: Similarity nodes per level.
        top_k: Lower nodes linked to each higher node.
        gamma: Steepness of the gate.
        certainty: ``"row"`` or ``"global"``.
        momentum: Of the linkage's moving average.
        pooling: Of the embedding method.
        head_init: ``"kaiming"``, as published; or ``"pca"``, see :mod:`avsl_core.training.head_init`: for
            heads on a resting trunk whose features are good to begin with; ``"whitening"`` also gives all
            directions the same spread.
        loss: One of :data:`avsl_core.training.losses.LOSS_NAMES`. AVSL knows ``"proxy_anchor"``, and
            ``"margin"`` on the pairs of a batch. Losses on pairs and triplets want ``samples_per_class``, so
            that there are positive ones.
        loss_options: Other settings of a loss than its paper's, by name, see
            :data:`avsl_core.training.loss_options.LOSS_OPTIONS`; Proxy-Anchor has the next four instead, and
            AVSL's ``margin`` the two margins.
        loss_alpha: Sharpness of Proxy-Anchor.
        positive_margin: Of Proxy-Anchor, and of AVSL's ``margin``, on squared distances in [0, 4].
        negative_margin: As above.
        final_weight: Weight of the loss on the final distance (it trains the gates only); AVSL only.
        level_weights: Weight of each level's own loss, low to high; AVSL only.
        all_proxies_up_to: Above this many classes only those in the batch have their proxies used.
        epochs: Epochs of the main part.
        warmup_epochs: The first of them that leave the trunk alone.
        stages: What of the trunk learns after the warm-up.
        finetune_epochs: Further epochs, on pictures, with ``finetune_stages`` learning.
        finetune_stages: ``"last"`` or ``"all"``.
        freeze_norm: Whether batch-norm keeps its statistics.
        lr_trunk: Learning rate of the trunk.
        lr_heads: Of projections.
        lr_gates: Of alpha and beta; of RAML's exponents.
        lr_proxies: Of proxies.
        finetune_lr_scale: Factor on the other rates while fine-tuning.
        schedule: ``"step"``, ``"cosine"`` (one cycle with a short rise), ``"constant"``, ``"onecycle"``,
            ``"cyclic"`` or ``"exponential"``; see :mod:`avsl_core.training.schedule`.
        step_epochs: Epochs between steps; half a cycle of ``"cyclic"``.
        step_factor: Factor of each step, also of ``"exponential"``, which takes it gradually, and of each
            further cycle's height.
        weight_decay: Of AdamW.
        clip: Largest gradient norm per group; 0 for none.
        batch_size: Pictures per step, over all processes.
        accumulation: Parts a batch is computed in, one after the other, to save memory. Each part has a loss
            of its own (their mean is minimised) and moves the linkage once: not the loss of the whole batch.
        samples_per_class: Class-balanced batches with this many pictures of each class; 0 shuffles plainly.
        cached: Whether epochs with a resting trunk read its maps from a cache on disk.
        views: Augmented views per picture in the cache; each epoch draws one of them.
        workers: Processes that read pictures.
        amp: Precision of the trunk: ``"none"``, ``"bf16"`` or ``"fp16"``.
        channels_last: Memory format of the trunk.
        compile: Whether to compile the trunk.
        seed: Of everything random.
        evaluate_every: Epochs between looks at the validation classes.
        preprocess: What the network sees at test time.
        augmentation: What it sees while training.
        diml: What DIML adds.
        cgd: What CGD adds.
        raml: What RAML adds.
    """

    method: Literal["avsl", "embedding", "diml", "cgd", "raml"] = "avsl"
    backbone: str = "resnet50"
    levels: tuple[int | str, ...] = (2, 3, 4)
    weights: str = "hub"
    nodes: int = 512
    top_k: int = 128
    gamma: float = 10.0
    certainty: Literal["row", "global"] = "row"
    momentum: float = 0.5
    pooling: Literal["avg", "avgmax"] = "avgmax"
    head_init: Literal["kaiming", "pca", "whitening"] = "kaiming"
    loss: str = "proxy_anchor"
    loss_options: Mapping[str, LossValue] = field(default_factory=dict)
    loss_alpha: float = 16.0
    positive_margin: float = 1.8
    negative_margin: float = 2.2
    final_weight: float = 1.0
    level_weights: tuple[float, ...] = (0.5, 1.0, 0.5)
    all_proxies_up_to: int = 1000
    epochs: int = 30
    warmup_epochs: int = 0
    stages: TrainableStages = "all"
    finetune_epochs: int = 0
    finetune_stages: TrainableStages = "last"
    freeze_norm: bool = True
    lr_trunk: float = 1e-5
    lr_heads: float = 5.5e-4
    lr_gates: float = 1.1e-4
    lr_proxies: float = 1.1e-4
    finetune_lr_scale: float = 0.1
    schedule: Literal["step", "cosine", "constant", "onecycle", "cyclic", "exponential"] = "step"
    step_epochs: int = 10
    step_factor: float = 0.5
    weight_decay: float = 1e-4
    clip: float = 10.0
    batch_size: int = 180
    accumulation: int = 1
    samples_per_class: int = 0
    cached: bool = False
    views: int = 6
    workers: int = 2
    amp: Literal["none", "bf16", "fp16"] = "none"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    evaluate_every: int = 1
    preprocess: Preprocess = field(default_factory=Preprocess)
    augmentation: Augmentation = field(default_factory=Augmentation)
    diml: DimlOptions = field(default_factory=DimlOptions)
    cgd: CgdOptions = field(default_factory=CgdOptions)
    raml: RamlOptions = field(default_factory=RamlOptions)

    def __post_init__(self) -> None:
        self._require(self.epochs >= 1, "epochs", "at least 1")
        self._require(self.loss in LOSS_NAMES, "loss", f"one of {', '.join(LOSS_NAMES)}")
        self._check_loss_options()
        self._require(self.head_init == "kaiming" or self.nodes > 0, "head_init", '"kaiming" when nodes=0')
        # With a trunk that rests anyway the warm-up is not read, and may be longer than the run.
        longest = self.epochs if self.stages != "none" else math.inf
        self._require(0 <= self.warmup_epochs <= longest, "warmup_epochs", "between 0 and epochs")
        self._require(self.finetune_epochs >= 0, "finetune_epochs", "0 or more")
        self._require(self.finetune_stages != "none", "finetune_stages", '"last" or "all"')
        self._require(self.batch_size >= 2, "batch_size", "at least 2")
        self._require(self.accumulation >= 1, "accumulation", "at least 1")
        self._require(self.batch_size % self.accumulation == 0, "accumulation", "a divisor of batch_size")
        self._require(self.samples_per_class >= 0, "samples_per_class", "0 or more")
        self._require(
            not self.samples_per_class or self.batch_size // self.accumulation % self.samples_per_class == 0,
            "samples_per_class",
            f"a divisor of batch_size / accumulation, {self.batch_size // self.accumulation}",
        )
        self._require(self.views >= 1, "views", "at least 1")
        self._require(self.workers >= 0, "workers", "0 or more")
        self._require(self.evaluate_every >= 1, "evaluate_every", "at least 1")
        self._require(0 <= self.clip < math.inf, "clip", "0 (off) or more, and finite")
        self._require(0 < self.loss_alpha < math.inf, "loss_alpha", "above 0, and finite")
        self._require(self.step_epochs >= 1, "step_epochs", "at least 1")
        if self.method == "avsl":
            self._require(
                self.loss in ("proxy_anchor", "margin"), "loss", "proxy_anchor or margin with method avsl"
            )
            self._require(
                len(self.level_weights) == len(self.levels), "level_weights", "as many as there are levels"
            )
        self._require(0 <= self.seed < 2**31, "seed", "between 0 and 2147483647")
        self._require(0 < self.step_factor <= 1, "step_factor", "in (0, 1]")
        self._require(
            self.negative_margin >= self.positive_margin, "negative_margin", "at least positive_margin"
        )
        self._require(all(0 <= w < math.inf for w in self.level_weights), "level_weights", "0 or more each")
        for name in (
            "lr_trunk",
            "lr_heads",
            "lr_gates",
            "lr_proxies",
            "finetune_lr_scale",
            "weight_decay",
            "final_weight",
        ):
            self._require(0 <= getattr(self, name) < math.inf, name, "0 or more, and finite")
        if self.method == "raml":
            self._check_raml()
        if self.method == "diml" and self.diml.structural and self.loss not in PAIR_LOSSES:
            raise ConfigError(
                f"loss={self.loss}: cannot learn from structural distances; set diml.structural=false, or "
                f"one of {', '.join(PAIR_LOSSES)}"
            )

    @property
    def total_epochs(self) -> int:
        """Main and fine-tuning epochs together."""
        return self.epochs + self.finetune_epochs

    def stages_at(self, epoch: int) -> TrainableStages:
        """What of the trunk learns in an epoch, counted from 0."""
        if epoch >= self.epochs:
            return self.finetune_stages
        return "none" if epoch < self.warmup_epochs else self.stages

    def uses_cache_at(self, epoch: int) -> bool:
        """Whether an epoch reads cached maps: only a resting trunk's maps stay true."""
        return self.cached and self.stages_at(epoch) == "none"

    def part_at(self, epoch: int) -> tuple[int, int]:
        """First epoch and length of the part of the run that an epoch is in; schedules begin anew in each."""
        if epoch >= self.epochs:
            return self.epochs, self.finetune_epochs
        cut = self._handover
        return (0, cut) if epoch < cut else (cut, self.epochs - cut)

    def learner_since(self, epoch: int) -> int:
        """The epoch in which whoever learns in an epoch began: RAML's student begins after its teacher."""
        return self._handover if epoch >= self._handover else 0

    def views_at(self, epoch: int) -> int:
        """Augmented views of each picture in a batch of an epoch."""
        return self.raml.views if self._distils_at(epoch, "ts_aug") else 1

    def is_plain_at(self, epoch: int) -> bool:
        """Whether an epoch shows pictures as testing does, without augmentation."""
        return self._distils_at(epoch, "ts_reg")

    @property
    def _handover(self) -> int:
        return self.raml.teacher_epochs if self.method == "raml" else 0

    def _distils_at(self, epoch: int, how: str) -> bool:
        return self.method == "raml" and epoch >= self.raml.teacher_epochs and self.raml.distillation == how

    def _check_loss_options(self) -> None:
        if self.method == "avsl" and self.loss_options:
            raise ConfigError(
                f"loss_options.{next(iter(self.loss_options))}: method=avsl has losses of its own; set "
                "positive_margin and negative_margin, or another method"
            )
        values = loss_values(self.loss, self.loss_options)
        # A copy of what was given, of the right types: the caller's mapping may change.
        object.__setattr__(self, "loss_options", {name: values[name] for name in self.loss_options})

    def _check_raml(self) -> None:
        raml = self.raml
        self._require(len(self.levels) == 1, "levels", "one level, such as 4 or head, with method raml")
        student_epochs = self.total_epochs - raml.teacher_epochs
        for fine, message in (
            (
                raml.teacher_epochs <= self.epochs,
                f"raml.teacher_epochs={raml.teacher_epochs}: must be at most epochs, {self.epochs}",
            ),
            (
                raml.student_size <= self.preprocess.size,
                f"raml.student_size={raml.student_size}: must be at most preprocess.size, "
                f"{self.preprocess.size}",
            ),
            (
                not (raml.distils and student_epochs) or raml.teacher_epochs > 0 or raml.teacher is not None,
                f"raml.distillation={raml.distillation}: needs a teacher; set raml.teacher_epochs, or "
                "raml.teacher to a checkpoint",
            ),
            (
                raml.distils or not (raml.teacher_epochs and student_epochs),
                f"raml.distillation={raml.distillation}: the student learns on its own; set "
                "raml.teacher_epochs=0",
            ),
            (
                all(
                    self.views_at(epoch) <= self.views
                    for epoch in range(self.total_epochs)
                    if self.uses_cache_at(epoch)
                ),
                f"raml.views={raml.views}: must be at most views, {self.views}, of which they are drawn",
            ),
            (
                not (self.cached and raml.mixup),
                f"raml.mixup={raml.mixup}: pictures are mixed before the networks see them; set cached=false",
            ),
        ):
            if not fine:
                raise ConfigError(message)

    def _require(self, fine: bool, name: str, need: str) -> None:
        if not fine:
            raise ConfigError(f"{name}={getattr(self, name)}: must be {need}")
