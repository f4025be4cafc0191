"""One loop for one process or many: the few collective operations that training needs.

Without an initialised process group every function is the identity, so the loop has no branches.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import Tensor

from avsl_core.errors import ConfigError

__all__ = ["Process", "gather_rows", "mean_over_processes", "own_rank", "start_process", "stop_process"]


@dataclass(frozen=True)
class Process:
    """This process among its peers.

    Attributes:
        rank: 0-based; rank 0 writes files and shows progress.
        count: Number of processes.
        device: Where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0


def start_process(device: str = "auto") -> Process:
    """Join the group that ``torchrun`` describes in the environment, or stand alone.

    Args:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ConfigError: If the device does not exist here.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = resolve_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if count > 1 and not dist.is_initialized():
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        # The first process builds caches and judges alone while the others wait.
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(hours=12))
    return Process(rank, count, chosen)


def resolve_device(device: str, *, local_rank: int = 0) -> torch.device:
    """Turn ``"auto"`` into the best device there is.

    Raises:
        ConfigError: If the device does not exist here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device {device!r}: use auto, cpu or cuda") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {device!r}: use auto, cpu or cuda")
    if chosen.type == "cpu":
        return chosen
    if not torch.cuda.is_available():
        raise ConfigError(f"device {device!r}: no GPU is usable here; use cpu")
    index = local_rank if chosen.index is None else chosen.index
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"device cuda:{index}: there are {torch.cuda.device_count()} GPUs here, from cuda:0"
        )
    return torch.device("cuda", index)


def stop_process() -> None:
    """Leave the group, if any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def own_rank() -> int:
    """This process's number among its peers, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather_rows(tensor: Tensor) -> Tensor:
    """Stack all processes' rows, ``[B, ...]`` to ``[count * B, ...]``, with gradient to the own rows."""
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    if not tensor.requires_grad:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)
    parts_with_gradient = dist_nn.all_gather(tensor.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(parts_with_gradient)


def mean_over_processes(tensor: Tensor) -> Tensor:
    """Average a tensor over all processes, without gradient."""
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
