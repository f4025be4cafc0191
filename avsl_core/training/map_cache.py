"""A trunk's maps of augmented views on disk: training heads on them costs no pass of the trunk.

Memory-mapped half-precision arrays, one per level, beside a manifest that says how far the build has
come. An interrupted build goes on where it stopped; a build for other pictures, another trunk or
another augmentation has another key and so another folder.
"""

import contextlib
import errno
import hashlib
import json
import logging
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from avsl_core.config import to_dict
from avsl_core.data import PictureSet
from avsl_core.data.loading import in_order
from avsl_core.encoding import load_for
from avsl_core.errors import TrainingError
from avsl_core.images import load_image, sample_generator, train_transform
from avsl_core.models.base import SimilarityModel
from avsl_core.training.config import TrainConfig

__all__ = ["MapCache", "build_map_cache"]

log = logging.getLogger(__name__)

_CHUNK = 32  # pictures per pass of the trunk, views counted
_SAVE_EVERY = 256  # pictures between notes of how far the build has come
_MANIFEST = "manifest.json"

TrunkPass = Callable[[Tensor], list[Tensor]]


class MapCache:
    """Finished maps, read by picture and view.

    Args:
        folder: As :func:`build_map_cache` left it.

    Raises:
        TrainingError: If the folder holds no finished cache.
    """

    def __init__(self, folder: Path) -> None:
        manifest = _read_manifest(folder)
        if manifest is None or manifest["done"] < manifest["pictures"]:
            raise TrainingError(f"{folder}: no finished cache of maps; build it again")
        self.views = int(manifest["views"])
        self._levels: list[NDArray[np.float16]] = [
            np.load(folder / f"level{level + 1}.npy", mmap_mode="r") for level in range(manifest["levels"])
        ]

    def __len__(self) -> int:
        return int(self._levels[0].shape[0])

    def read(self, pictures: Sequence[int], views: Sequence[int]) -> list[Tensor]:
        """Read one view of each picture: a float32 ``[B, C, H, W]`` per level."""
        return [torch.from_numpy(level[list(pictures), list(views)]).float() for level in self._levels]


def build_map_cache(
    root: Path,
    model: SimilarityModel,
    pictures: PictureSet,
    config: TrainConfig,
    *,
    augmented: bool,
    trunk_pass: TrunkPass,
    progress: bool = True,
) -> MapCache:
    """Run the trunk once over every view of every picture, and keep the maps.

    Args:
        root: Folder for caches; this one gets a subfolder named after its key.
        model: Its trunk makes the maps.
        pictures: What to cache.
        config: Views, augmentation, preprocessing, seed, workers.
        augmented: ``config.views`` training views, or the one plain view that testing uses.
        trunk_pass: Runs the trunk on ``[B, 3, S, S]`` in the precision wanted.
        progress: Whether to show a bar.

    Returns:
        The finished cache.

    Raises:
        TrainingError: If the disk is full or not writable.
        ImageError: If a picture cannot be read.
    """
    views = config.views if augmented else 1
    folder = root / _key(model, pictures, config, views, augmented)
    manifest = _read_manifest(folder)
    done = 0 if manifest is None else int(manifest["done"])
    if manifest is None or done < len(pictures):
        try:
            _build(folder, pictures, config, (views, done, augmented), trunk_pass, progress=progress)
        except OSError as error:
            raise TrainingError(
                f"{folder}: could not write the cache of maps ({error.strerror or error}); free some space "
                "or choose another folder with --cache, then run again: it goes on where it stopped"
            ) from error
    return MapCache(folder)


def _build(
    folder: Path,
    pictures: PictureSet,
    config: TrainConfig,
    plan: tuple[int, int, bool],
    trunk_pass: TrunkPass,
    *,
    progress: bool,
) -> None:
    views, done, augmented = plan
    folder.mkdir(parents=True, exist_ok=True)
    arrays: list[Any] = []
    noted = done
    shown = tqdm(
        total=len(pictures),
        initial=done,
        unit=" pictures",
        desc=f"caching {views} views",
        disable=not progress,
    )
    with shown as bar:
        for images in _chunks(pictures, config, views, done, augmented):
            count = images.shape[0] // views
            maps = [m.to(torch.float16).cpu().numpy() for m in trunk_pass(images)]
            if not arrays:
                arrays = [
                    _open(folder, level, (len(pictures), views, *m.shape[1:])) for level, m in enumerate(maps)
                ]
            for array, m in zip(arrays, maps, strict=True):
                array[done : done + count] = m.reshape(count, views, *m.shape[1:])
            done += count
            bar.update(count)
            if done == len(pictures) or done - noted >= _SAVE_EVERY:
                noted = done
                for array in arrays:
                    array.flush()
                _write_manifest(
                    folder, {"pictures": len(pictures), "views": views, "levels": len(arrays), "done": done}
                )


def _chunks(
    pictures: PictureSet, config: TrainConfig, views: int, done: int, augmented: bool
) -> Iterator[Tensor]:
    dataset = _AllViews(pictures, config, views, done, augmented)
    per_chunk = max(1, _CHUNK // views)
    loader: DataLoader[Tensor] = DataLoader(
        dataset, batch_size=per_chunk, num_workers=config.workers, collate_fn=torch.cat
    )
    yield from in_order(loader)


class _AllViews(Dataset[Tensor]):
    """Every view of one picture, ``[views, 3, S, S]``: decoded once."""

    def __init__(
        self, pictures: PictureSet, config: TrainConfig, views: int, first: int, augmented: bool
    ) -> None:
        self.pictures, self.config, self.views, self.first = pictures, config, views, first
        self.augmented = augmented

    def __len__(self) -> int:
        return len(self.pictures) - self.first

    def __getitem__(self, offset: int) -> Tensor:
        index = self.first + offset
        config = self.config
        if not self.augmented:
            plain = load_for(config.preprocess, self.pictures.paths[index], box=self.pictures.crop_of(index))
            return config.preprocess(plain)[None]
        image = load_image(self.pictures.paths[index], box=self.pictures.crop_of(index))
        return torch.stack(
            [
                train_transform(
                    image, config.preprocess, config.augmentation, sample_generator(config.seed, view, index)
                )
                for view in range(self.views)
            ]
        )


def _key(
    model: SimilarityModel, pictures: PictureSet, config: TrainConfig, views: int, augmented: bool
) -> str:
    """Name the cache after everything its content depends on."""
    digest = hashlib.sha256()
    for trunk in (part.state_dict() for part in model.trunks):
        for name in sorted(trunk):
            digest.update(name.encode())
            digest.update(trunk[name].detach().cpu().contiguous().numpy().tobytes())
    settings: dict[str, Any] = {
        "preprocess": to_dict(config.preprocess),
        "levels": list(config.levels),
        "amp": config.amp,
        "views": views,
    }
    if model.trunk.config.undownsampled:
        settings["undownsampled"] = True  # only then, so that caches of other trunks keep their names
    settings |= model.maps_settings  # so are these
    if augmented:
        settings |= {"augmentation": to_dict(config.augmentation), "seed": config.seed}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in pictures.paths:
        status = path.stat()
        digest.update(f"{path.name}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    if pictures.crops is not None:
        digest.update(repr(pictures.crops).encode())
    return f"{pictures.name}-{digest.hexdigest()[:16]}"


def _open(folder: Path, level: int, shape: tuple[int, ...]) -> Any:
    path = folder / f"level{level + 1}.npy"
    if path.exists():
        with contextlib.suppress(ValueError, EOFError):  # cut short while it was being made
            existing = np.load(path, mmap_mode="r+")
            if existing.shape == shape:
                return existing
    # Writing to a mapped file on a full disk ends the process by a signal: refuse before that.
    need, free = 2 * math.prod(shape), shutil.disk_usage(folder).free
    if need > free:
        raise OSError(errno.ENOSPC, f"it needs {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free")
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)


def _read_manifest(folder: Path) -> dict[str, int] | None:
    try:
        manifest: dict[str, int] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        # Half-written: the maps cannot be trusted either, so build them again.
        log.warning("%s: unreadable manifest, building the cache again", folder)
        return None
    return manifest


def _write_manifest(folder: Path, manifest: dict[str, int]) -> None:
    temporary = folder / f"{_MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest), encoding="utf-8")
    temporary.replace(folder / _MANIFEST)
