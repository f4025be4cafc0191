"""The training loop: one process or many, pictures or cached maps, interrupted and resumed at will."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.config import to_dict, with_defaults
from avsl_core.data import PictureSet
from avsl_core.errors import ConfigError, DataError, TrainingError
from avsl_core.evaluation import Evaluation, evaluate_encoding
from avsl_core.models import SimilarityModel, build_model
from avsl_core.precision import Precision, effective_precision
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import Process
from avsl_core.training.head_init import begin_on_principal_directions
from avsl_core.training.log import EpochBar, RunLog
from avsl_core.training.methods import OBJECTIVES
from avsl_core.training.objectives import Objective
from avsl_core.training.schedule import rate_factor
from avsl_core.training.sources import (
    Batch,
    epoch_batches,
    own_parts,
)
from avsl_core.training.state import load_state, save_state
from avsl_core.training.trunk_maps import TrunkMaps

__all__ = ["TrainResult", "Trainer"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        checkpoint: File of the best epoch's model.
        best_epoch: Counted from 1.
        validation: Metrics of that epoch on the validation classes; empty without any.
        losses: Mean total loss of every epoch.
    """

    checkpoint: Path
    best_epoch: int
    validation: dict[str, float | None]
    losses: tuple[float, ...]


class Trainer:
    """Trains one model by a recipe, keeping the best epoch by validation classes.

    Beside the checkpoint ``NAME.safetensors`` a folder ``NAME.run`` holds the state after the last whole
    epoch, the log and TensorBoard events. An interruption loses at most the epoch it falls into.

    A recipe's bf16 becomes float32 on a CPU that is slow in it. A run keeps to the precision that it began
    in, wherever it is resumed; the checkpoint's record holds the one that was used.

    Args:
        config: The recipe.
        train: Training pictures.
        validation: Pictures of other classes to choose the epoch by, or None to keep the last.
        out: The checkpoint to write.
        process: This process among its peers.
        cache_root: Folder for cached maps; the run's folder when None.
        progress: Whether to show bars.
        record: Further facts for the checkpoint's training record (data, licences ...).

    Raises:
        ConfigError: If the recipe does not fit the machine.
        DataError: If there are too few classes to learn from or to choose by.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: PictureSet,
        validation: PictureSet | None,
        out: Path,
        process: Process,
        *,
        cache_root: Path | None = None,
        progress: bool = True,
        record: dict[str, Any] | None = None,
    ) -> None:
        if config.amp == "fp16" and process.device.type != "cuda":
            raise ConfigError("amp=fp16 needs a GPU; on a CPU use amp=bf16 or amp=none")
        _check_classes(train, validation)
        # Drawn once here so that batches that cannot be formed are refused before hours of caching.
        own_parts(epoch_batches(train.labels, config, 0), config, process)
        self.recipe = config
        config = replace(config, amp=effective_precision(config.amp, process.device, level=logging.INFO))
        self.config, self.train, self.validation = config, train, validation
        self.process = process
        self.out = out
        self.folder = out.with_name(out.name.removesuffix(".safetensors") + ".run")
        self.progress = progress and process.is_first
        self.record = record or {}
        # timm draws random trunks from the global generator; every process must begin with the same one.
        torch.manual_seed(config.seed)
        generator = torch.Generator().manual_seed(config.seed)
        objective = OBJECTIVES[config.method]
        model = build_model(
            config.method, objective.model_options(config), weights=config.weights, generator=generator
        )
        for trunk in model.trunks:
            trunk.freeze_norm = config.freeze_norm
        if not config.freeze_norm and process.count > 1 and process.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        model = model.to(process.device, memory_format=layout)  # type: ignore[call-overload]
        self.objective: Objective = objective(model, config, train.num_classes, generator).to(process.device)
        self.optimizer = torch.optim.AdamW(
            [group | {"base": group["lr"]} for group in self.objective.parameter_groups()],
            weight_decay=config.weight_decay,
        )
        self.scaler = torch.amp.GradScaler("cuda", enabled=config.amp == "fp16")
        self.maps = TrunkMaps(
            self.model,
            train,
            validation,
            config,
            process,
            cache_root or self.folder / "maps",
            progress=self.progress,
        )
        self._first_trunks: list[dict[str, Tensor]] | None = None

    @property
    def model(self) -> SimilarityModel:
        """The model as it stands."""
        return self.objective.model

    def fit(
        self,
        *,
        resume: bool = False,
        on_begin: Callable[[], None] | None = None,
        after_epoch: Callable[[int, Evaluation | None], None] | None = None,
    ) -> TrainResult:
        """Run all epochs.

        Args:
            resume: Go on from the last whole epoch; without one, start from the beginning.
            on_begin: Called once the run may begin or go on: it has not been refused, and nothing is written.
            after_epoch: Called with each epoch, counted from 1, once its state is saved, and with what
                validation found, if it looked. What it raises ends the run, which can be resumed.

        Raises:
            TrainingError: If a run of the same name exists and ``resume`` is off, or belongs to another
                recipe; if the loss stops being finite.
            ImageError: If a picture cannot be read.
        """
        progress = self._begin(resume)
        if on_begin is not None:
            on_begin()
        if any(map(self.config.uses_cache_at, range(progress["done"], self.config.total_epochs))):
            self.maps.prepare(self._first_trunks, done=progress["done"])
        if self.config.head_init != "kaiming" and not progress["done"]:
            self._begin_on_principal_directions()
        epoch_log = RunLog(self.folder, fresh=not progress["done"]) if self.process.is_first else None
        try:
            for epoch in range(progress["done"], self.config.total_epochs):
                values = self._run_epoch(epoch)
                evaluation = self._evaluate(epoch)
                self._finish_epoch(epoch, values, evaluation, progress)
                if epoch_log is not None:
                    scores = {} if evaluation is None else evaluation.metrics.to_dict()
                    epoch_log.write(epoch + 1, values | _numbers(scores))
                if after_epoch is not None:
                    after_epoch(epoch + 1, evaluation)
        finally:
            if epoch_log is not None:
                epoch_log.close()
        return TrainResult(
            self.out, progress["best_epoch"], progress["validation"], tuple(progress["losses"])
        )

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.safetensors"

    def _begin(self, resume: bool) -> dict[str, Any]:
        """Fresh progress, or that of the run to go on with."""
        fresh: dict[str, Any] = {
            "done": 0,
            "best": None,
            "best_epoch": 0,
            "validation": {},
            "losses": [],
            "config": to_dict(self.recipe),
            "precision": self.config.amp,
            "classes": list(self.train.class_names),
            "pictures": len(self.train),
        }
        if not self._state_file.exists():
            return fresh
        if not resume:
            raise TrainingError(
                f"{self.folder}: holds a run already; add --resume to go on with it, or delete the folder "
                "to start anew"
            )
        # Before the trunk learns its maps may be cached, and the cache is named after the first trunk.
        self._first_trunks = [
            {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
            for trunk in self.model.trunks
        ]
        progress = load_state(self._state_file, self.objective, self.optimizer)
        progress["config"] = with_defaults(TrainConfig, progress.get("config") or {})
        self.scaler.load_state_dict(progress["scaler"])
        for key in ("config", "classes", "pictures"):
            if progress.get(key) != fresh[key]:
                what = "recipe" if key == "config" else "data set"
                raise TrainingError(
                    f"{self.folder}: the run to resume had another {what}"
                    f"{_differences(progress.get(key), fresh[key])}; use the same, or delete the folder"
                )
        # Runs of before it was kept worked in just what their recipe says.
        self._work_in(progress.setdefault("precision", self.recipe.amp))
        return progress

    def _work_in(self, precision: Precision) -> None:
        """Go on in the precision a run began in, whatever this machine would choose."""
        if precision == self.config.amp:
            return
        log.warning(
            "the run began in %s and goes on in it; this machine would choose %s",
            *("float32" if name == "none" else name for name in (precision, self.config.amp)),
        )
        self.config = replace(self.config, amp=precision)
        self.objective.config = self.maps.config = self.config

    def _begin_on_principal_directions(self) -> None:
        """Every process does the same pass: they must begin alike, and cached maps make it cheap."""
        self.objective.eval()
        generator = torch.Generator().manual_seed(self.config.seed)
        whiten = self.config.head_init == "whitening"
        begin_on_principal_directions(self.objective, self.maps.training_maps(), generator, whiten=whiten)

    def _run_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; returns the mean of each loss and the pictures per second."""
        config = self.config
        # Dropout and its kin are the only users of the global generator: pinned per epoch, so that a
        # resumed run draws the same.
        torch.manual_seed(config.seed * 100_003 + epoch)
        self.objective.begin_epoch(epoch)
        module = self._wrap(epoch)
        self.objective.train()
        steps = len(epoch_batches(self.train.labels, config, epoch))
        sums: dict[str, float] = {}
        started = time.monotonic()
        label = f"epoch {epoch + 1}/{config.total_epochs}"
        with EpochBar(label, steps, shown=self.progress) as bar:
            parts: list[Batch] = []
            step = 0
            for batch in self.maps.source(epoch).batches(epoch):
                parts.append(batch)
                if len(parts) < config.accumulation:
                    continue
                losses = self._step(module, parts, rate_factor(config, epoch, step, steps))
                parts, step = [], step + 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value
                bar.step(losses["total"], config.batch_size)
        means = {f"loss/{name}": value / step for name, value in sums.items()}
        return means | {"images_per_second": step * config.batch_size / (time.monotonic() - started)}

    def _step(self, module: nn.Module, parts: Sequence[Batch], factor: float) -> dict[str, float]:
        """One optimiser step over the parts of a batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        self.optimizer.zero_grad(set_to_none=True)
        values: dict[str, float] = {}
        for part in parts:
            losses: dict[str, Tensor] = module(part.inputs, part.labels, part.pictures)
            self.scaler.scale(losses["total"] / len(parts)).backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                values[name] = values.get(name, 0.0) + float(loss.detach()) / len(parts)
        if not all(map(_is_finite, values.values())):
            raise TrainingError(
                f"the loss is no longer finite ({values}); lower the learning rates or set amp=none, and "
                f"start anew (delete {self.folder})"
            )
        self.scaler.unscale_(self.optimizer)
        if self.config.clip:
            for group in self.optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values

    def _wrap(self, epoch: int) -> nn.Module:
        """Set what learns in this epoch, and share gradients if there are several processes."""
        self.objective.set_trainable(self.config.stages_at(epoch))
        module: nn.Module = self.objective
        if self.config.compile:
            for trunk in self.model.trunks:
                trunk.compile()
        if self.process.count > 1:
            devices = [self.process.device] if self.process.device.type == "cuda" else None
            # Which parameters learn changes between phases, hence a fresh wrapper per epoch. The linkage is
            # averaged over all processes and batch-norm at rest or synchronised: no buffer needs sending.
            module = DistributedDataParallel(
                module, device_ids=devices, broadcast_buffers=False, find_unused_parameters=True
            )
        return module

    def _evaluate(self, epoch: int) -> Evaluation | None:
        """Judge by the validation classes, on the first process."""
        last = epoch + 1 == self.config.total_epochs
        due = (epoch + 1) % self.config.evaluate_every == 0 or last
        if self.validation is None or not due or not self.process.is_first:
            return None
        self.objective.eval()
        encoding = self.maps.encode_validation(epoch)
        return evaluate_encoding(
            self.objective.judged, encoding, self.validation.labels, seed=self.config.seed
        )

    def _finish_epoch(
        self, epoch: int, values: dict[str, float], evaluation: Evaluation | None, progress: dict[str, Any]
    ) -> None:
        """Keep the epoch if it is the best, then make it the one to resume from."""
        progress["done"] = epoch + 1
        progress["losses"].append(values["loss/total"])
        if not self.process.is_first:
            return
        last = epoch + 1 == self.config.total_epochs
        if self.objective.judges_anew_at(epoch):
            progress["best"] = None
        if evaluation is not None:
            metrics = evaluation.metrics
            score = [metrics.recall[1], metrics.map_at_r]
            log.info("epoch %d: validation R@1 %.4f, MAP@R %.4f", epoch + 1, *score)
            if progress["best"] is None or score > progress["best"]:
                progress |= {"best": score, "best_epoch": epoch + 1, "validation": metrics.to_dict()}
                self._save(progress, evaluation)
        elif self.validation is None and last:
            progress["best_epoch"] = epoch + 1
            self._save(progress, None)
        progress["scaler"] = self.scaler.state_dict()
        save_state(self._state_file, self.objective, self.optimizer, progress)

    def _save(self, progress: dict[str, Any], evaluation: Evaluation | None) -> None:
        record = {
            "recipe": to_dict(self.config),
            "epoch": progress["best_epoch"],
            "training_pictures": len(self.train),
            "training_classes": self.train.num_classes,
            "torch": torch.__version__,
            **self.record,
        }
        checkpoint = Checkpoint(
            model=self.objective.judged,
            preprocess=replace(self.config.preprocess),
            class_names=self.train.class_names,
            record=record,
            metrics={} if evaluation is None else {"validation": evaluation.metrics.to_dict()},
            pairs=None if evaluation is None else evaluation.pairs,
        )
        save_checkpoint(checkpoint, self.out)


def _check_classes(train: PictureSet, validation: PictureSet | None) -> None:
    for part, pictures in (("training", train), ("validation", validation)):
        if pictures is not None and pictures.num_classes < 2:
            raise DataError(
                f"the {part} part has {pictures.num_classes} class ({pictures.name}); at least two are "
                "needed: give more classes, or other shares with --split"
            )
    if validation is not None and max(Counter(validation.labels).values()) < 2:
        raise DataError(
            "no validation class has two pictures, so none could find its like; give more pictures per class"
        )


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if value is not None}


def _is_finite(value: float) -> bool:
    return value - value == 0.0


def _differences(old: Any, new: Any) -> str:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return ""
    changed = [f"{key} was {old.get(key)!r}" for key in new if old.get(key) != new[key]]
    return f" ({', '.join(changed[:3])})"
