"""What a run writes down as it goes: a CSV file, TensorBoard events and a progress bar."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

__all__ = ["EpochBar", "RunLog"]


class RunLog:
    """Appends one row per epoch to ``log.csv`` and the same values to TensorBoard, where installed.

    Args:
        folder: The run's folder.
        fresh: Whether to begin the file anew instead of going on.
    """

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        self._path = folder / "log.csv"
        if fresh:
            self._path.unlink(missing_ok=True)
        self._events = _event_writer(folder / "tensorboard")

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write an epoch's values; a later column widens the file without losing rows."""
        rows = self._read()
        rows = [row for row in rows if int(row["epoch"]) < epoch]
        rows.append({"epoch": epoch, **{key: f"{value:.6g}" for key, value in values.items()}})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self._path)
        if self._events is not None:
            for key, value in values.items():
                self._events.add_scalar(key, value, epoch)
            self._events.flush()

    def close(self) -> None:
        """Finish the event file."""
        if self._events is not None:
            self._events.close()

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            return [dict(row) for row in csv.DictReader(file)]


class EpochBar:
    """A progress bar over one epoch's steps with the running loss and pictures per second.

    Args:
        label: In front of the bar.
        steps: How many there will be.
        shown: Whether to show it.
    """

    def __init__(self, label: str, steps: int, *, shown: bool) -> None:
        self._bar = tqdm(total=steps, desc=label, unit="step", disable=not shown, leave=True)
        self._pictures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, loss: float, pictures: int) -> None:
        """Count a step."""
        self._pictures += pictures
        self._bar.update()
        elapsed = float(self._bar.format_dict["elapsed"] or 0.0)
        rate = self._pictures / elapsed if elapsed else 0.0
        self._bar.set_postfix_str(f"loss {loss:.3f}, {rate:.0f} images/s", refresh=False)


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
