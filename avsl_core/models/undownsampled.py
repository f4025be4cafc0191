"""A trunk whose last stage keeps the resolution of the stage before it, with the weights it has.

CGD (Jun et al., *Combination of Multiple Global Descriptors for Image Retrieval*, 2019) leaves the
down-sampling out of ResNet's last stage, so that its descriptors pool over four times as many cells.
"""

from typing import Any

import torch
from torch import Tensor, nn

from avsl_core.errors import ConfigError

__all__ = ["keep_resolution"]

_SIDE = 64  # divides by every usual reduction, and leaves the last stage two cells


@torch.no_grad()
def keep_resolution(features: Any, name: str) -> None:
    """Take the down-sampling out of the last stage of a feature network, in place.

    Strided convolutions move by one cell, without dilation: those of a block and of its shortcut alike.
    Pools that halve become identities, as timm builds a ResNet-D whose stage does not down-sample.

    Args:
        features: timm's feature network, which gives one map per stage in use.
        name: What messages call it.

    Raises:
        ConfigError: If the map of the last stage does not come out twice as large.
    """
    was_training = features.training
    features.eval()
    halving, before = _halving_modules(features, name)
    for path, module in halving:
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
        else:
            features.set_submodule(path, nn.Identity())
    after = _last_map(features, name)
    features.train(was_training)
    wanted = torch.Size([*before.shape[:2], *(2 * side for side in before.shape[2:])])
    if after.shape != wanted:
        raise ConfigError(
            f"{name}: its last stage cannot keep the resolution before it (it gave {_grid(after)} cells for "
            f"{_grid(before)}); set undownsampled to false"
        )


def _halving_modules(features: Any, name: str) -> tuple[list[tuple[str, nn.Module]], Tensor]:
    """What halves the resolution to that of the last map, by dotted name; and that map."""
    seen: list[tuple[str, nn.Module, tuple[int, ...], tuple[int, ...]]] = []

    def watch(path: str, module: nn.Module) -> Any:
        def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen.append((path, module, tuple(inputs[0].shape[2:]), tuple(output.shape[2:])))

        return module.register_forward_hook(note)

    kinds = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)
    handles = [watch(path, module) for path, module in features.named_modules() if isinstance(module, kinds)]
    try:
        last = _last_map(features, name)
    finally:
        for handle in handles:
            handle.remove()
    grid = tuple(last.shape[2:])
    double = tuple(2 * side for side in grid)
    return [(path, module) for path, module, before, after in seen if (before, after) == (double, grid)], last


def _last_map(features: Any, name: str) -> Tensor:
    try:
        maps: list[Tensor] = features(torch.zeros(1, 3, _SIDE, _SIDE))
    except Exception as error:  # networks of one fixed size raise whatever their shapes run into
        raise ConfigError(
            f"{name}: its last stage cannot keep the resolution before it (tried on {_SIDE} x {_SIDE} "
            f"pixels: {type(error).__name__}); set undownsampled to false"
        ) from error
    return maps[-1]


def _grid(features: Tensor) -> str:
    return " x ".join(str(side) for side in features.shape[2:])
