"""Where batches come from: pictures decoded by workers, or a trunk's maps read from a cache.

Both give the same batches for the same (seed, epoch), in one process or split over several, so that a
resumed run sees exactly what the uninterrupted one would have seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avsl_core.data import PictureSet
from avsl_core.data.loading import in_order
from avsl_core.encoding import load_for
from avsl_core.errors import TrainingError
from avsl_core.images import load_image, sample_generator, train_transform
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import Process
from avsl_core.training.map_cache import MapCache

__all__ = ["Batch", "BatchSource", "CacheSource", "PictureSource", "epoch_batches", "own_parts"]


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's inputs on this process.

    Attributes:
        inputs: Pictures ``[B, 3, S, S]``, or the trunk's maps, one ``[B, C, H, W]`` per level.
        labels: ``[B]``. Where a batch has several views of each picture, they are in consecutive rows.
        pictures: Which training picture each row shows, ``[B]``.
    """

    inputs: Tensor | list[Tensor]
    labels: Tensor
    pictures: Tensor


class BatchSource(Protocol):
    """Anything that yields the batches of an epoch."""

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this process's part of each batch of an epoch, parts of an accumulated batch in a row."""
        ...


def epoch_batches(labels: Sequence[int], config: TrainConfig, epoch: int) -> list[list[int]]:
    """Draw the batches of an epoch: the same for the same labels, seed and epoch.

    Args:
        labels: Of all training pictures.
        config: Batch size, pictures per class (0 shuffles plainly) and seed.
        epoch: Counted from 0.

    Returns:
        Full batches of picture indices; what does not fill a batch waits for another epoch.

    Raises:
        TrainingError: If there are fewer pictures than one batch holds.
    """
    generator = np.random.default_rng([config.seed, epoch])
    if len(labels) < config.batch_size:
        raise TrainingError(
            f"{len(labels)} training pictures do not fill one batch of {config.batch_size}; "
            f"set batch_size to {max(2, len(labels) // 2)} or less, or give more pictures"
        )
    if config.samples_per_class:
        order = _balanced_order(labels, config, generator)
    else:
        order = generator.permutation(len(labels)).tolist()
    full = len(order) // config.batch_size * config.batch_size
    return [order[start : start + config.batch_size] for start in range(0, full, config.batch_size)]


class PictureSource:
    """Training views decoded and augmented by worker processes, as many of each picture as the epoch wants.

    Args:
        pictures: The training pictures.
        config: Augmentation, preprocessing, batches and workers.
        process: This process among its peers.
    """

    def __init__(self, pictures: PictureSet, config: TrainConfig, process: Process) -> None:
        self.pictures, self.config, self.process = pictures, config, process

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this process's part of each batch, on its device."""
        parts = own_parts(epoch_batches(self.pictures.labels, self.config, epoch), self.config, self.process)
        loader: DataLoader[Any] = DataLoader(
            _Views(self.pictures, self.config, epoch),
            batch_sampler=parts,
            num_workers=self.config.workers,
            pin_memory=self.process.device.type == "cuda",
        )
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        views = self.config.views_at(epoch)
        for part, (images, labels) in zip(parts, in_order(loader), strict=True):
            moved = images.flatten(0, 1).to(self.process.device, memory_format=layout, non_blocking=True)
            yield _batch(moved, labels, part, views, self.process)


class CacheSource:
    """Training views as cached maps of a trunk at rest, as many of each picture as the epoch wants.

    Args:
        cache: Maps of every view of every training picture, or of its one plain view.
        labels: Of the same pictures.
        config: Batches and seed.
        process: This process among its peers.
    """

    def __init__(self, cache: MapCache, labels: Sequence[int], config: TrainConfig, process: Process) -> None:
        self.cache, self.labels, self.config, self.process = cache, labels, config, process
        self._labels = torch.tensor(labels, dtype=torch.long)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this process's part of each batch, a view drawn for each picture."""
        drawn = self._draw(epoch)
        views = drawn.shape[1]
        for part in own_parts(epoch_batches(self.labels, self.config, epoch), self.config, self.process):
            maps = self.cache.read(np.repeat(part, views).tolist(), drawn[part].flatten().tolist())
            labels = self._labels[torch.tensor(part)]
            yield _batch([m.to(self.process.device) for m in maps], labels, part, views, self.process)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        """Different cached views for each picture, ``[pictures, views]``."""
        generator = np.random.default_rng([self.config.seed, epoch, 1])
        wanted = self.config.views_at(epoch)
        if wanted == 1:
            return generator.integers(self.cache.views, size=(len(self.labels), 1))
        everything = np.tile(np.arange(self.cache.views), (len(self.labels), 1))
        return generator.permuted(everything, axis=1)[:, :wanted]


class _Views(Dataset[tuple[Tensor, int]]):
    """The views of one picture, ``[views, 3, S, S]``, decided by (seed, epoch, picture, view) alone."""

    def __init__(self, pictures: PictureSet, config: TrainConfig, epoch: int) -> None:
        self.pictures, self.config, self.epoch = pictures, config, epoch

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        config, label, box = self.config, self.pictures.labels[index], self.pictures.crop_of(index)
        if config.is_plain_at(self.epoch):
            plain = config.preprocess(load_for(config.preprocess, self.pictures.paths[index], box=box))
            return plain[None], label
        image = load_image(self.pictures.paths[index], box=box)
        views = [
            train_transform(image, config.preprocess, config.augmentation, generator)
            for generator in self._generators(index)
        ]
        return torch.stack(views), label

    def _generators(self, index: int) -> list[np.random.Generator]:
        seed, wanted = self.config.seed, self.config.views_at(self.epoch)
        if wanted == 1:
            return [sample_generator(seed, self.epoch, index)]
        return [np.random.default_rng([seed, self.epoch, index, view]) for view in range(wanted)]


def _batch(
    inputs: Tensor | list[Tensor], labels: Tensor, part: Sequence[int], views: int, process: Process
) -> Batch:
    """A batch on its device, labels and picture numbers repeated for each view."""
    rows = [torch.as_tensor(values).repeat_interleave(views) for values in (labels, part)]
    labels, pictures = (r.to(process.device, non_blocking=True) for r in rows)
    return Batch(inputs, labels, pictures)


def own_parts(batches: list[list[int]], config: TrainConfig, process: Process) -> list[list[int]]:
    """Cut each batch into its accumulated parts, and take this process's share of each.

    Raises:
        TrainingError: If a part does not divide among the processes.
    """
    share = config.batch_size // config.accumulation
    if share % process.count:
        raise TrainingError(
            f"a part of {share} pictures does not divide among {process.count} processes; "
            f"choose batch_size so that it does"
        )
    own = share // process.count
    return [
        batch[start + process.rank * own : start + (process.rank + 1) * own]
        for batch in batches
        for start in range(0, config.batch_size, share)
    ]


def _balanced_order(labels: Sequence[int], config: TrainConfig, generator: np.random.Generator) -> list[int]:
    """Order pictures in groups of one class, so that a batch holds whole groups of several classes."""
    wanted = config.samples_per_class
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    groups: list[list[int]] = []
    for label in sorted(by_class):
        members = [by_class[label][i] for i in generator.permutation(len(by_class[label]))]
        # A class with fewer pictures than wanted repeats some: better than leaving it out.
        while len(members) % wanted:
            members.append(members[int(generator.integers(len(members)))])
        groups += [members[start : start + wanted] for start in range(0, len(members), wanted)]
    return [index for group in generator.permutation(len(groups)) for index in groups[group]]
