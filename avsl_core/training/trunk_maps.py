"""A run's access to the maps of its trunk: cached while the trunk rests, fresh from pictures otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from avsl_core.data import PictureSet
from avsl_core.encoding import encode_pictures, load_for
from avsl_core.models import Encoding, SimilarityModel
from avsl_core.precision import trunk_precision
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import Process
from avsl_core.training.map_cache import MapCache, build_map_cache
from avsl_core.training.sources import BatchSource, CacheSource, PictureSource

__all__ = ["TrunkMaps"]

_PASS = 64


class TrunkMaps:
    """Maps of one run's training and validation pictures.

    Args:
        model: Its trunk makes the maps.
        train: Training pictures.
        validation: Validation pictures, or None.
        config: The recipe.
        process: This process among its peers.
        cache_root: Folder for caches.
        progress: Whether to show bars.
    """

    def __init__(
        self,
        model: SimilarityModel,
        train: PictureSet,
        validation: PictureSet | None,
        config: TrainConfig,
        process: Process,
        cache_root: Path,
        *,
        progress: bool,
    ) -> None:
        self.model, self.train, self.validation = model, train, validation
        self.config, self.process = config, process
        self.cache_root, self.progress = cache_root, progress
        self._caches: dict[str, MapCache] = {}

    def prepare(self, first_trunks: Sequence[Mapping[str, Tensor]] | None, *, done: int = 0) -> None:
        """Build the maps of training views, as far as they are still to be read, and of validation views.

        Args:
            first_trunks: The trunks' weights at the start of the run, if they have changed since: the maps,
                and the cache's name, are those of the trunks before they learn.
            done: Epochs that are over.
        """
        trunks = self.model.trunks
        now = [{name: tensor.clone() for name, tensor in trunk.state_dict().items()} for trunk in trunks]
        for trunk, weights in zip(trunks, first_trunks or now, strict=True):
            trunk.load_state_dict(dict(weights))
        self.model.eval()
        left = [epoch for epoch in range(done, self.config.total_epochs) if self.config.uses_cache_at(epoch)]
        begins_on_maps = not done and self.config.head_init != "kaiming"
        if begins_on_maps or not all(map(self._reads_plain, left)):
            self._caches["train"] = self._build_on_first(self.train, augmented=True)
        if any(map(self._reads_plain, left)):
            self._caches["plain"] = self._build_on_first(self.train, augmented=False)
        if self.validation is not None:
            self._caches["validation"] = self._build_on_first(self.validation, augmented=False)
        for trunk, weights in zip(trunks, now, strict=True):
            trunk.load_state_dict(weights)

    def source(self, epoch: int) -> BatchSource:
        """The batches of an epoch."""
        if self.config.uses_cache_at(epoch):
            cache = self._caches["plain" if self._reads_plain(epoch) else "train"]
            return CacheSource(cache, self.train.labels, self.config, self.process)
        return PictureSource(self.train, self.config, self.process)

    def training_maps(self) -> Iterator[tuple[list[Tensor], Tensor]]:
        """One view of every training picture in order: maps per level, and labels ``[B]``."""
        labels = torch.tensor(self.train.labels, device=self.process.device)
        cache = self._caches.get("train")
        for start in range(0, len(self.train), _PASS):
            stop = min(start + _PASS, len(self.train))
            maps = self._fresh(start, stop) if cache is None else self._read(cache, start, stop)
            yield maps, labels[start:stop]

    @torch.inference_mode()
    def encode_validation(self, epoch: int) -> Encoding:
        """Encode the validation pictures with the model as it stands in an epoch."""
        assert self.validation is not None
        if not self.config.uses_cache_at(epoch):
            return encode_pictures(
                self.model,
                self.config.preprocess,
                self.validation.paths,
                boxes=self.validation.crops,
                workers=self.config.workers,
                precision=self.config.amp,
                emulate=True,  # what the run works in is decided
            )
        cache, parts = self._caches["validation"], []
        for start in range(0, len(cache), _PASS):
            maps = self._read(cache, start, min(start + _PASS, len(cache)))
            parts.append(self.model.encode_maps(maps, keep_maps=False))
        return type(parts[0]).concatenate(parts)

    def _reads_plain(self, epoch: int) -> bool:
        return self.config.uses_cache_at(epoch) and self.config.is_plain_at(epoch)

    def _read(self, cache: MapCache, start: int, stop: int) -> list[Tensor]:
        maps = cache.read(range(start, stop), [0] * (stop - start))
        return [m.to(self.process.device) for m in maps]

    def _fresh(self, start: int, stop: int) -> list[Tensor]:
        preprocess = self.config.preprocess
        images = [
            preprocess(load_for(preprocess, self.train.paths[index], box=self.train.crop_of(index)))
            for index in range(start, stop)
        ]
        return self._trunk_pass(torch.stack(images))

    def _build_on_first(self, pictures: PictureSet, *, augmented: bool) -> MapCache:
        """Let the first process build, and the others wait for it."""

        def build(progress: bool) -> MapCache:
            return build_map_cache(
                self.cache_root,
                self.model,
                pictures,
                self.config,
                augmented=augmented,
                trunk_pass=self._trunk_pass,
                progress=progress,
            )

        if self.process.count == 1:
            return build(self.progress)
        if self.process.is_first:
            build(self.progress)
        torch.distributed.barrier()
        return build(False)

    @torch.inference_mode()
    def _trunk_pass(self, images: Tensor) -> list[Tensor]:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        with trunk_precision(self.config.amp, self.process.device):
            return self.model.trunk_maps(images.to(self.process.device, memory_format=layout))
