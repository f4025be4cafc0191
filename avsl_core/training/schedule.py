"""Learning rate by step: a pure function of the recipe, so that resuming needs no scheduler state."""

import math

from avsl_core.training.config import TrainConfig

__all__ = ["rate_factor"]

_RISE = 0.1
_FLOOR = 0.01
_ONECYCLE_RISE, _ONECYCLE_START, _ONECYCLE_END = 0.3, 0.1, 1e-5
_CYCLIC_LOW = 0.1


def rate_factor(config: TrainConfig, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Factor on every learning rate.

    With x the share of the part of the run (see :meth:`TrainConfig.part_at`) that is done, from 0 to 1, and e
    the epochs of it that are done, counted in fractions:

    * ``"step"``: ``step_factor`` per ``step_epochs``, in whole steps.
    * ``"exponential"``: ``step_factor ** (e / step_epochs)``, the same without its stairs.
    * ``"cosine"``: a linear rise over the first tenth, then half a cosine down to 0.01.
    * ``"onecycle"`` (Smith and Topin, 2019): half a cosine from 0.1 up to 1 over the first 0.3 of x, then
      half a cosine down to 1e-5.
    * ``"cyclic"`` (Smith, 2017, triangular2): straight from 0.1 up in ``step_epochs`` and down in as many;
      the first peak is 1, and each further one rises ``step_factor`` times as high above 0.1.
    * ``"constant"``: 1.

    Args:
        config: The recipe.
        epoch: Counted from 0.
        step: Within the epoch, counted from 0.
        steps_per_epoch: Steps of one epoch.

    Returns:
        A factor in (0, 1]; times ``finetune_lr_scale`` in fine-tuning.

    Example:
        >>> rate_factor(TrainConfig(step_epochs=10, step_factor=0.5), epoch=25, step=0, steps_per_epoch=8)
        0.25
    """
    scale = config.finetune_lr_scale if epoch >= config.epochs else 1.0
    first, epochs = config.part_at(epoch)
    if config.schedule == "constant":
        return scale
    if config.schedule == "step":
        since = config.learner_since(epoch)  # fine-tuning goes on with the steps of the part before it
        return scale * config.step_factor ** ((epoch - since) // config.step_epochs)
    steps = (epoch - first) * steps_per_epoch + step + 0.5
    if config.schedule == "exponential":
        return scale * math.pow(config.step_factor, steps / steps_per_epoch / config.step_epochs)
    if config.schedule == "cyclic":
        return scale * _cyclic(steps / steps_per_epoch / config.step_epochs, config.step_factor)
    done = steps / max(1, epochs * steps_per_epoch)
    if config.schedule == "onecycle":
        return scale * _onecycle(done)
    if done < _RISE:
        return scale * done / _RISE
    return scale * max(_FLOOR, 0.5 * (1.0 + math.cos(math.pi * (done - _RISE) / (1.0 - _RISE))))


def _onecycle(done: float) -> float:
    if done < _ONECYCLE_RISE:
        return _half_cosine(_ONECYCLE_START, 1.0, done / _ONECYCLE_RISE)
    return _half_cosine(1.0, _ONECYCLE_END, (done - _ONECYCLE_RISE) / (1.0 - _ONECYCLE_RISE))


def _cyclic(half_cycles: float, shrink: float) -> float:
    cycle, place = divmod(half_cycles, 2.0)
    return _CYCLIC_LOW + (1.0 - _CYCLIC_LOW) * math.pow(shrink, cycle) * (1.0 - abs(1.0 - place))


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * done))
