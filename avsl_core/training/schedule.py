"""Learning rate by step: a pure function of the recipe, so that resuming needs no scheduler state."""

import math

from avsl_core.training.config import TrainConfig

__all__ = ["rate_factor"]

_RISE = 0.1
_FLOOR = 0.01


def rate_factor(config: TrainConfig, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Factor on every learning rate.

    Args:
        config: The recipe.
        epoch: Counted from 0.
        step: Within the epoch, counted from 0.
        steps_per_epoch: Steps of one epoch.

    Returns:
        A factor in (0, 1]. ``"step"``: ``step_factor`` per ``step_epochs``. ``"cosine"``: a linear rise over
        the first tenth, then half a cosine, in the main part and again in fine-tuning.

    Example:
        >>> rate_factor(TrainConfig(step_epochs=10, step_factor=0.5), epoch=25, step=0, steps_per_epoch=8)
        0.25
    """
    tuning = epoch >= config.epochs
    scale = config.finetune_lr_scale if tuning else 1.0
    if config.schedule == "constant":
        return scale
    if config.schedule == "step":
        return scale * config.step_factor ** (epoch // config.step_epochs)
    first, epochs = (config.epochs, config.finetune_epochs) if tuning else (0, config.epochs)
    done = ((epoch - first) * steps_per_epoch + step + 0.5) / max(1, epochs * steps_per_epoch)
    if done < _RISE:
        return scale * done / _RISE
    return scale * max(_FLOOR, 0.5 * (1.0 + math.cos(math.pi * (done - _RISE) / (1.0 - _RISE))))
