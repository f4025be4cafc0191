"""Which checkpoint made a gallery's vectors."""

from dataclasses import dataclass
from pathlib import Path

import torch

from avsl_core.checkpoint import (
    Checkpoint,
    find_checkpoint,
    fingerprint,
    load_checkpoint,
    shipped_checkpoints,
)
from avsl_core.errors import CheckpointError, GalleryError

__all__ = ["CheckpointStamp", "load_checkpoint_of", "stamp_of"]


@dataclass(frozen=True)
class CheckpointStamp:
    """What a gallery remembers of the checkpoint that made it.

    Attributes:
        name: The file's name without its ending, for messages.
        fingerprint: As :func:`avsl_core.checkpoint.fingerprint` gives it: this decides.
        method: Of the model.
        parts: Names of the parts of its distance.
        widths: Numbers of each part in a row.
        gates: Gates in a row.
        path: The checkpoint's file, absolute; None for a shipped one, which its name finds.
    """

    name: str
    fingerprint: str
    method: str
    parts: tuple[str, ...]
    widths: tuple[int, ...]
    gates: int
    path: str | None = None

    @property
    def dimensions(self) -> int:
        """Numbers in a row, gates not counted."""
        return sum(self.widths)

    def check(self, other: "CheckpointStamp", where: object) -> None:
        """Refuse another checkpoint.

        Args:
            other: The one given.
            where: The gallery, for the message.

        Raises:
            GalleryError: Naming both, and saying what to do.
        """
        if other.fingerprint != self.fingerprint:
            raise GalleryError(
                f"{where}: was made by checkpoint {_words(self)}, not by {_words(other)}; give "
                f"--checkpoint {self.name}, or index the pictures again into a new folder"
            )


def stamp_of(checkpoint: Checkpoint) -> CheckpointStamp:
    """The stamp of a checkpoint."""
    measure = checkpoint.model.measure()
    file = checkpoint.path
    name = file.stem if file is not None else f"unsaved-{checkpoint.model.method}"
    shipped = file is None or file in shipped_checkpoints().values()
    return CheckpointStamp(
        name,
        fingerprint(checkpoint),
        checkpoint.model.method,
        tuple(measure.parts),
        tuple(measure.widths),
        measure.gates,
        None if shipped else str(Path(str(file)).absolute()),
    )


def load_checkpoint_of(
    stamp: CheckpointStamp, given: str | Path | None = None, *, device: torch.device | str = "cpu"
) -> Checkpoint:
    """Load the checkpoint that made a gallery.

    Args:
        stamp: The gallery's.
        given: Where the user says it is; None to look where it was.
        device: Where the model goes.

    Raises:
        GalleryError: If it is no longer where it was; the message asks for it.
        CheckpointError: If the one given does not exist, or what is found is damaged.
    """
    place = given or stamp.path or stamp.name
    try:
        file = find_checkpoint(place)
    except CheckpointError as error:
        if given is not None:
            raise
        raise GalleryError(
            f"the gallery was made by checkpoint {_words(stamp)}, which is no longer at {place}: say where "
            "it is with --checkpoint"
        ) from error
    return load_checkpoint(file, device)


def _words(stamp: CheckpointStamp) -> str:
    return f"{stamp.name!r} ({stamp.method}, {stamp.fingerprint[:8]})"
