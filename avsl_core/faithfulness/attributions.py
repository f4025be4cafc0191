"""Attributions to pixels: gradient x input, integrated gradients and occlusion of the distance.

A pair has two inputs. Each picture is explained in turn while the other stays as it is. Channels are
summed. Zero, the baseline, is the mean colour that the model's preprocessing subtracts.

All take a model in evaluation mode and two normalised pictures, ``[1, 3, S, S]``, return maps ``[S, S]``, and
raise EncodingError for anything but one picture a side.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from avsl_core.faithfulness.gradients import check_single, distance_of
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.models import Encoding, Role, SimilarityModel

__all__ = ["gradient_x_input", "integrated_gradients", "occlusion", "occlusion_both"]

_STEPS = 32
_BATCH = 32  # pictures per pass of the network
_WINDOW = 8  # the hidden square is an eighth of the side, and moves by half of that

OneSided = Callable[[Tensor], Tensor]


def gradient_x_input(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Gradient of the distance with respect to every pixel, times the pixel's (normalised) value."""
    return _both_sides(model, images_a, images_b, _gradient_x_input)


def integrated_gradients(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Integrated gradients (Sundararajan et al., ICML 2017) from the mean colour, 32 Gauss-Legendre steps.

    Each picture's map should sum to what the distance gains when that picture takes the place of the
    baseline beside the other one; ``target`` is the sum of the two gains.
    """
    return _both_sides(model, images_a, images_b, _integrated_gradients)


def occlusion(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Occlusion (Zeiler and Fergus, ECCV 2014): how far the distance falls when a square is hidden.

    The square is an eighth of the side wide (32 pixels of 256) and moves by half its width.
    """
    return _both_sides(model, images_a, images_b, _occlusion)


def occlusion_both(model: SimilarityModel, images_a: Tensor, images_b: Tensor) -> PairMaps:
    """Occlusion of the same place in both pictures at once, half of the fall given to each.

    For pictures that show the same thing in the same place, where hiding a place in one of them only would
    make a difference rather than remove one.
    """
    check_single(images_a, images_b)
    channels = images_a.shape[1]

    def measure(stacked: Tensor) -> Tensor:
        a, b = stacked[:, :channels], stacked[:, channels:]
        return model.distance(_encode(model, a, "query"), _encode(model, b, "gallery"))

    values, _ = _occlusion(measure, torch.cat([images_a, images_b], dim=1).detach())
    half = values.sum(dim=1)[0] / 2
    return PairMaps(half, half.clone())


def _both_sides(
    model: SimilarityModel,
    images_a: Tensor,
    images_b: Tensor,
    attribute: Callable[[OneSided, Tensor], tuple[Tensor, float | None]],
) -> PairMaps:
    check_single(images_a, images_b)
    a, target_a = _one_side(model, images_a, images_b, "query", attribute)
    b, target_b = _one_side(model, images_b, images_a, "gallery", attribute)
    complete = target_a is not None and target_b is not None
    return PairMaps(a, b, target=(target_a or 0.0) + (target_b or 0.0) if complete else None)


def _one_side(
    model: SimilarityModel,
    images: Tensor,
    others: Tensor,
    role: Role,
    attribute: Callable[[OneSided, Tensor], tuple[Tensor, float | None]],
) -> tuple[Tensor, float | None]:
    with torch.no_grad():
        other = _encode(model, others, "gallery" if role == "query" else "query")

    def measure(batch: Tensor) -> Tensor:
        return distance_of(model, batch, other, role)

    values, target = attribute(measure, images.detach())
    return values.detach().sum(dim=1)[0], target


def _gradient_x_input(measure: OneSided, images: Tensor) -> tuple[Tensor, float | None]:
    free = images.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(measure(free).sum(), free)
    return gradient * images, None


def _integrated_gradients(measure: OneSided, images: Tensor) -> tuple[Tensor, float | None]:
    from captum.attr import IntegratedGradients

    attributor: Any = IntegratedGradients(measure, multiply_by_inputs=True)
    # captum switches requires_grad of what it is given: it gets a tensor of its own.
    values: Tensor = attributor.attribute(
        images.clone(), baselines=0.0, n_steps=_STEPS, internal_batch_size=_BATCH
    )
    with torch.no_grad():
        ends = measure(torch.cat([images, torch.zeros_like(images)])).double()
    return values, float(ends[0] - ends[1])


def _occlusion(measure: OneSided, images: Tensor) -> tuple[Tensor, float | None]:
    from captum.attr import Occlusion

    window = max(2, images.shape[-1] // _WINDOW)
    stride = max(1, window // 2)
    attributor: Any = Occlusion(measure)
    with torch.no_grad():
        values: Tensor = attributor.attribute(
            images.clone(),
            sliding_window_shapes=(images.shape[1], window, window),
            strides=(images.shape[1], stride, stride),
            baselines=0.0,
            perturbations_per_eval=_BATCH,
        )
    # A square is hidden in all channels at once, and each of them gets the whole fall.
    return values / images.shape[1], None


def _encode(model: SimilarityModel, images: Tensor, role: Role) -> Encoding:
    return model.encode(images.contiguous(memory_format=torch.channels_last), role, keep_maps=False)
