"""Training: recipes, one loop, and what it needs."""

from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import Process, start_process, stop_process
from avsl_core.training.recipes import RECIPES, find_recipe
from avsl_core.training.trainer import Trainer, TrainResult

__all__ = [
    "RECIPES",
    "Process",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "find_recipe",
    "start_process",
    "stop_process",
]
