"""Encode files chunk by chunk, and save each chunk as soon as it is finished."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from avsl_core.checkpoint import Checkpoint
from avsl_core.data.loading import in_order
from avsl_core.gallery.chunks import ChunkKey, Outcome, write_chunk
from avsl_core.gallery.files import sync_folder, typed_errors
from avsl_core.gallery.options import BuildCancelled, BuildOptions, Progress
from avsl_core.gallery.pictures import Pictures, ReadPicture
from avsl_core.gallery.plan import Plan
from avsl_core.gallery.sources import FileEntry
from avsl_core.gallery.store import thumbnail_path
from avsl_core.models import Rows
from avsl_core.precision import trunk_precision

__all__ = ["encode_chunks"]

_NOT_FINITE = "the model's numbers for it are not finite; try --precision none or --dtype fp32"


def encode_chunks(
    checkpoint: Checkpoint,
    gallery: Path,
    plan: Plan,
    todo: Sequence[tuple[int, list[FileEntry]]],
    key: ChunkKey,
    options: BuildOptions,
    *,
    progress: Callable[[Progress], None] | None,
    cancelled: Callable[[], bool] | None,
    lock: int | None,
) -> None:
    """Encode this process's share of a plan into ``pending/``.

    Args:
        checkpoint: Model and preprocessing.
        gallery: The gallery's folder.
        plan: The whole plan.
        todo: This process's chunks of it, in order.
        key: What the chunks depend on.
        options: Of the build.
        progress: Told after every batch.
        cancelled: Asked after every batch.
        lock: Descriptor that workers must not hold on to, or None.

    Raises:
        BuildCancelled: If ``cancelled`` said so.
        GalleryError: If the disk is full.
    """
    entries = [entry for _, chunk in todo for entry in chunk]
    batches = list(_batches([len(chunk) for _, chunk in todo], options.batch_size))
    dataset = Pictures(
        entries, checkpoint.preprocess, gallery, plan.known, options.thumbnail_side, options.load
    )
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=options.workers,
        collate_fn=_as_list,
        worker_init_fn=_Closing(lock),
    )
    meter = _Meter(plan.finished_files, plan.finished_files + len(entries), progress)
    encoder = _Encoder(checkpoint, options, key, plan)
    places = [first + offset for first, chunk in todo for offset in range(len(chunk))]
    waiting = iter([len(chunk) for _, chunk in todo])
    missing = next(waiting, 0)
    for pictures in in_order(loader):
        encoder.take(pictures, [places[picture.number] for picture in pictures])
        missing -= len(pictures)
        if missing == 0:
            with typed_errors(gallery):
                encoder.save(gallery, entries)
            missing = next(waiting, 0)
        meter.count(pictures, encoder.skipped)
        if cancelled is not None and cancelled():
            raise BuildCancelled(f"{gallery}: stopped; run the same again, it goes on where it stopped")


class _Encoder:
    """Holds one chunk until it is saved, and knows which contents came before."""

    def __init__(self, checkpoint: Checkpoint, options: BuildOptions, key: ChunkKey, plan: Plan) -> None:
        self._checkpoint, self._options, self._key = checkpoint, options, key
        self._known, self._seen = plan.known, dict(plan.seen)
        self._type = torch.float16 if key.dtype == "fp16" else torch.float32
        self._bad: set[bytes] = set()
        self.skipped = 0
        self._start()

    def _start(self) -> None:
        self._outcomes: list[tuple[int, Outcome]] = []
        self._rows: list[Rows] = [self._empty()]
        self._digests: list[bytes] = []

    def take(self, pictures: Sequence[ReadPicture], places: Sequence[int]) -> None:
        """Encode a batch's new contents and note what came of each file."""
        fresh: dict[bytes, ReadPicture] = {}
        for picture, place in zip(pictures, places, strict=True):
            if picture.image is not None and not self._is_earlier(picture.digest, place):
                fresh.setdefault(picture.digest, picture)
        self._encode(list(fresh.values()))
        for picture, place in zip(pictures, places, strict=True):
            outcome = self._outcome(picture, fresh)
            if outcome.kind == "row":
                self._seen[picture.digest] = place
                self._digests.append(picture.digest)
            self.skipped += outcome.kind == "bad"
            self._outcomes.append((picture.number, outcome))

    def save(self, gallery: Path, entries: Sequence[FileEntry]) -> None:
        """Write the chunk, and start the next."""
        rows = Rows.concatenate(self._rows)
        # A chunk says that its thumbnails are there: their names must be on the disk before it is.
        places = {thumbnail_path(gallery, digest.hex()).parent for digest in self._digests}
        for folder in sorted({gallery, *places, *(place.parent for place in places)}):
            sync_folder(folder)
        files = [(entries[number], outcome) for number, outcome in self._outcomes]
        pending = gallery / "pending"
        write_chunk(pending, self._key, files, rows.vectors.numpy(), rows.gates.numpy(), self._digests)
        self._start()

    def _is_earlier(self, digest: bytes, place: int) -> bool:
        # A row further on does not count: the first of equal files must be the one that has the row.
        return digest in self._known or self._seen.get(digest, place) < place or digest in self._bad

    def _outcome(self, picture: ReadPicture, fresh: dict[bytes, ReadPicture]) -> Outcome:
        if picture.reason is not None:
            return Outcome("bad", picture.reason)
        if picture.digest in self._bad:
            return Outcome("bad", _NOT_FINITE)
        if fresh.get(picture.digest) is picture:
            return Outcome("row", "", picture.width, picture.height)
        return Outcome("same", picture.digest.hex())

    def _encode(self, pictures: Sequence[ReadPicture]) -> None:
        images = [picture.image for picture in pictures if picture.image is not None]
        if not images:
            return
        rows = self._pass(torch.stack(images))
        finite = rows.vectors.isfinite().all(dim=1) & rows.gates.isfinite().all(dim=1)
        self._bad |= {picture.digest for picture, fine in zip(pictures, finite, strict=True) if not fine}
        self._rows.append(rows[finite])

    @torch.inference_mode()
    def _pass(self, images: Tensor) -> Rows:
        model = self._checkpoint.model
        moved = images.to(model.device, memory_format=torch.channels_last)
        with trunk_precision(self._options.precision, model.device):
            maps = model.trunk_maps(moved, "gallery")
        rows = model.rows(model.encode_maps(maps, "gallery", keep_maps=False))
        return rows.to(torch.float32).to("cpu").to(self._type)

    def _empty(self) -> Rows:
        measure = self._checkpoint.model.measure()
        return Rows(
            torch.empty(0, measure.dimensions, dtype=self._type),
            torch.empty(0, measure.gates, dtype=self._type),
        )


class _Meter:
    """Tells how far a build has come, and how long it will take."""

    def __init__(self, done: int, total: int, tell: Callable[[Progress], None] | None) -> None:
        self._done, self._total, self._tell = done, total, tell
        self._before, self._started = done, time.monotonic()
        self._report(0)

    def count(self, pictures: Sequence[ReadPicture], skipped: int) -> None:
        self._done += len(pictures)
        self._report(skipped)

    def _report(self, skipped: int) -> None:
        if self._tell is None:
            return
        new = self._done - self._before
        rate = new / max(time.monotonic() - self._started, 1e-9)
        left = (self._total - self._done) / rate if new else None
        self._tell(Progress(self._done, self._total, skipped, rate if new else 0.0, left))


class _Closing:
    """Closes the lock in a worker: one that outlives a killed build must not keep the gallery locked."""

    def __init__(self, lock: int | None) -> None:
        self._lock, self._owner = lock, os.getpid()
        self._file = None if lock is None else _identity(lock)

    def __call__(self, worker: int) -> None:
        if self._lock is None or os.getpid() == self._owner:
            return
        with suppress(OSError):
            # A worker that was spawned, not forked, has not got the lock: that number may be another file.
            if _identity(self._lock) == self._file:
                os.close(self._lock)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _batches(chunks: Sequence[int], size: int) -> Iterator[list[int]]:
    """Numbers of files batch by batch; no batch reaches across chunks."""
    first = 0
    for count in chunks:
        for start in range(first, first + count, size):
            yield list(range(start, min(start + size, first + count)))
        first += count


def _as_list(pictures: list[ReadPicture]) -> list[ReadPicture]:
    return pictures
