"""The state of a run between epochs, in safetensors: enough to go on as if nothing had happened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avsl_core.checkpoint import read_tensors, write_tensors
from avsl_core.errors import TrainingError

__all__ = ["load_state", "save_state"]

_KEY = "avsl-training"


def save_state(
    path: Path,
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Mapping[str, Any],
) -> None:
    """Write the state of a run; the old state stays whole until the new one is.

    Args:
        path: Where to.
        objective: Model and proxies.
        optimizer: Its moments are kept by parameter position.
        progress: JSON-ready: epochs done, best score, configuration, history.

    Raises:
        CheckpointError: If it cannot be written.
    """
    tensors = {
        f"objective/{name}": t.detach().cpu().contiguous() for name, t in objective.state_dict().items()
    }
    for position, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer/{position}/{name}"] = (
                torch.as_tensor(value).detach().cpu().clone().contiguous()
            )
    write_tensors(tensors, {_KEY: json.dumps(dict(progress))}, path)


def load_state(path: Path, objective: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a run back where it stopped.

    Returns:
        The progress that :func:`save_state` was given.

    Raises:
        TrainingError: If the file is not a run's state, or of a run of another shape.
        CheckpointError: If it is damaged.
    """
    tensors, metadata = read_tensors(path)
    if _KEY not in metadata:
        raise TrainingError(f"{path}: not the state of a training run")
    own = {name.removeprefix("objective/"): t for name, t in tensors.items() if name.startswith("objective/")}
    try:
        objective.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise TrainingError(f"{path}: the run had another model or other classes; start anew") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, position, moment = name.split("/")
            state.setdefault(int(position), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    progress: dict[str, Any] = json.loads(metadata[_KEY])
    return progress
