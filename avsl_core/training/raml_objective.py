"""What RAML learns from: first the teacher as any embedding, then the student from the teacher at rest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.checkpoint import load_checkpoint
from avsl_core.errors import ConfigError
from avsl_core.models.backbone import Backbone, TrainableStages
from avsl_core.models.base import Role, SimilarityModel
from avsl_core.models.raml import RamlModel
from avsl_core.precision import trunk_precision
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import gather_rows, own_rank
from avsl_core.training.losses import MetricLoss, build_loss
from avsl_core.training.objectives import Objective, keep_layout_of_gradients

__all__ = ["RamlObjective"]

_STUDENT, _TEACHER = 0, 1
_NEGATIVES = 4  # of each anchor, as published


class RamlObjective(Objective):
    """Resolution-asymmetric distillation (Suma and Tolias, WACV 2023, section 3).

    For ``raml.teacher_epochs`` the teacher learns by ``loss``. Then it rests, and the student learns by
    ``raml.distillation``. Whoever does not learn has neither gradient nor moving batch statistics. A student
    that looks through the teacher's trunk begins with a copy of the teacher's head and leaves the trunk
    alone while it is distilled.
    """

    model: RamlModel

    def __init__(
        self,
        model: SimilarityModel,
        config: TrainConfig,
        num_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model, config, num_classes, generator)
        if self.model.student_trunk is not None:
            first = Backbone(self.model.student_trunk.config, config.raml.student_weights)
            self.model.student_trunk.load_state_dict(first.state_dict())
        if config.raml.teacher is not None:
            _take_teacher(self.model, config.raml.teacher)
        self._epoch = 0
        self._mixer = np.random.default_rng(config.seed)
        self._taught: dict[int, Tensor] = {}

    @staticmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """Both backbones, the student's size, nodes and pooling."""
        raml = config.raml
        teacher = {"name": config.backbone, "levels": config.levels}
        shared = raml.student_backbone == "shared"
        return {
            "backbone": teacher,
            "student": None if shared else teacher | {"name": raml.student_backbone},
            "student_size": raml.student_size,
            "nodes": config.nodes,
            "pooling": raml.pooling,
        }

    def begin_epoch(self, epoch: int) -> None:
        """Hand over to the student when its epochs begin, and pin the epoch's mixing of pictures."""
        self._epoch = epoch
        self._mixer = np.random.default_rng([self.config.seed, epoch, 2, own_rank()])
        raml = self.config.raml
        if epoch == 0 and raml.teacher is not None:
            _take_teacher(self.model, raml.teacher)  # again: heads may have been given another start
        if epoch == raml.teacher_epochs and raml.distils and self._shared:
            _begin_as_teacher(self.model)

    def set_trainable(self, stages: TrainableStages) -> None:
        """Let the one who learns in this epoch learn, and the other rest."""
        model, learner = self.model, self._learner
        resting = self._shared and learner == _STUDENT and self.config.raml.distils
        learning = model.trunk if self._shared or learner == _TEACHER else model.student_trunk
        for trunk in model.trunks:
            trunk.set_trainable(stages if trunk is learning and not resting else "none")
        for parameters in (model.exponents, model.projections, model.biases):
            for side, parameter in enumerate(parameters):
                parameter.requires_grad_(side == learner)

    def train(self, mode: bool = True) -> "RamlObjective":
        """Switch mode; a trunk at rest stays in evaluation mode."""
        super().train(mode)
        for trunk in self.model.trunks:
            if not any(p.requires_grad for p in trunk.parameters()):
                trunk.eval()
        return self

    @property
    def judged(self) -> RamlModel:
        """The teacher while it learns, the student if it learns on its own, else the two together."""
        if self._learner == _TEACHER:
            return self.model.with_sides("teacher")
        return self.model if self.config.raml.distils else self.model.with_sides("student")

    def judges_anew_at(self, epoch: int) -> bool:
        """From the student's first epoch on: the teacher's scores say nothing of the student."""
        return epoch == self.config.raml.teacher_epochs

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As of every objective; exponents, at the gates' rate, do not decay."""
        groups = super().parameter_groups()
        return [g | ({"weight_decay": 0.0} if g["name"] == "gates" else {}) for g in groups]

    def forward(
        self, inputs: Tensor | Sequence[Tensor], labels: Tensor, pictures: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the losses of one batch.

        Args:
            inputs: Pictures ``[B, 3, S, S]``, or the maps of student and teacher; the views of a picture in
                consecutive rows.
            labels: ``[B]``, dense.
            pictures: Which training pictures they are, ``[B]``: for plain pictures, so that the teacher looks
                at each only once in the run.

        Returns:
            Scalars by name; ``"total"`` is the one to minimise.
        """
        sides = [self._learner]
        if self._learner == _STUDENT and self.config.raml.distils:
            sides = [_STUDENT, _TEACHER]
        if not isinstance(inputs, Tensor):
            vectors = {side: self.model.vectors(inputs[side], side) for side in sides}
        elif self.config.is_plain_at(self._epoch) and pictures is not None:
            taught = self._teach_once(inputs, pictures)
            vectors = {_STUDENT: self._look(inputs, _STUDENT), _TEACHER: taught}
        else:
            images = self._mix(inputs) if len(sides) == 2 else inputs
            vectors = {side: self._look(images, side) for side in sides}
        return self._compare({side: gather_rows(v) for side, v in vectors.items()}, gather_rows(labels))

    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        return self.forward(maps, labels)

    def _compare(self, vectors: Mapping[int, Tensor], labels: Tensor) -> dict[str, Tensor]:
        raml = self.config.raml
        if len(vectors) == 1:
            ((side, own),) = vectors.items()
            if side == _STUDENT and raml.distillation == "sym":
                loss = AF.mined_triplet_loss(own, labels, margin=raml.triplet_margin, negatives=_NEGATIVES)
            else:
                loss = self._metric(own, labels, side)
            return {"teacher" if side == _TEACHER else "student": loss, "total": loss}
        views = self.config.views_at(self._epoch)
        width = self.model.config.nodes
        student, teacher = (vectors[side].view(-1, views, width) for side in (_STUDENT, _TEACHER))
        losses = {"absolute": AF.absolute_distillation(student, teacher)}
        if views > 1:
            losses["relational_ts"] = AF.relational_distillation(student, teacher)
            losses["relational_ss"] = AF.relational_distillation(student, teacher, student_only=True)
        weights = {"relational_ts": raml.relational_ts, "relational_ss": raml.relational_ss}
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        return losses | {"total": total}

    def _metric(self, vectors: Tensor, labels: Tensor, side: int) -> Tensor:
        """The recipe's loss on one side's vectors."""
        if self.criterion is not None:
            loss: Tensor = self.criterion(vectors, labels)
            return loss
        proxies, positive = self._select(labels)
        return self._loss(2.0 - 2.0 * vectors @ proxies[side].T, positive)

    def _look(self, images: Tensor, side: int) -> Tensor:
        """One side's vectors of pictures."""
        role: Role = "query" if side == _STUDENT else "gallery"
        with trunk_precision(self.config.amp, images.device):
            maps = self.model.trunk_maps(images, role)
        keep_layout_of_gradients(maps)
        return self.model.vectors(maps[0], side)

    def _teach_once(self, images: Tensor, pictures: Tensor) -> Tensor:
        """The teacher's vectors of plain pictures: it rests, so each is computed once and remembered."""
        numbers = pictures.tolist()
        new = [row for row, number in enumerate(numbers) if number not in self._taught]
        if new:
            vectors = self._look(images[new], _TEACHER).detach()
            self._taught.update(zip((numbers[row] for row in new), vectors, strict=True))
        return torch.stack([self._taught[number] for number in numbers])

    def _mix(self, images: Tensor) -> Tensor:
        """Each row with another of this process, in shares drawn from Beta, before either network looks."""
        strength = self.config.raml.mixup
        if not strength or not self.training:
            return images
        rows = len(images)
        share = torch.from_numpy(self._mixer.beta(strength, strength, size=rows)).to(images)
        others = images[torch.from_numpy(self._mixer.permutation(rows)).to(images.device)]
        return others.lerp(images, share[:, None, None, None])

    def _proxy_widths(self) -> list[int]:
        # Of the student and of the teacher: either may learn by proxies.
        return [self.model.config.nodes] * 2 if self.config.loss == "proxy_anchor" else []

    def _gates(self) -> list[nn.Parameter]:
        return list(self.model.exponents)

    def _build_criterion(self) -> MetricLoss | None:
        config = self.config
        if config.loss == "proxy_anchor":
            return None
        return build_loss(config.loss, self.num_classes, self.model.config.nodes, options=config.loss_options)

    @property
    def _shared(self) -> bool:
        return self.model.student_trunk is None

    @property
    def _learner(self) -> int:
        return _TEACHER if self._epoch < self.config.raml.teacher_epochs else _STUDENT


@torch.no_grad()
def _begin_as_teacher(model: RamlModel) -> None:
    """Copy the teacher's pooling and head to the student."""
    for parameters in (model.exponents, model.projections, model.biases):
        if len(parameters):
            parameters[_STUDENT].copy_(parameters[_TEACHER])


@torch.no_grad()
def _take_teacher(model: RamlModel, path: str) -> None:
    """Copy the teacher of a checkpoint.

    Raises:
        CheckpointError: If there is no such checkpoint.
        ConfigError: If its teacher is another network.
    """
    other = load_checkpoint(path).model
    shape = ("backbone", "nodes", "pooling")
    if not isinstance(other, RamlModel) or any(
        getattr(other.config, name) != getattr(model.config, name) for name in shape
    ):
        raise ConfigError(
            f"raml.teacher={path}: its teacher must be a RAML model with the recipe's backbone, levels, "
            "nodes and pooling"
        )
    model.trunk.load_state_dict(other.trunk.state_dict())
    for own, theirs in (
        (model.exponents, other.exponents),
        (model.projections, other.projections),
        (model.biases, other.biases),
    ):
        if len(own):
            own[_TEACHER].copy_(theirs[_TEACHER])
