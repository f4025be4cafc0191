"""Recipes by name: the published ones, and five for small sets of your own pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from avsl_core.config import parse_override
from avsl_core.errors import ConfigError
from avsl_core.images import Augmentation, Preprocess
from avsl_core.training.config import TrainConfig
from avsl_core.training.loss_options import parse_loss_option
from avsl_core.training.options import CgdOptions, RamlOptions
from avsl_core.training.reading import option_value, require_effect, require_read

__all__ = ["GROUPS", "RECIPES", "find_recipe", "override"]

_IMAGENET = Preprocess(size=224, resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

# AVSL, CVPR 2022, as its published configurations have it.
_CUB = TrainConfig(
    epochs=60,
    warmup_epochs=5,
    level_weights=(0.5, 1.0, 0.5),
    lr_trunk=1e-5,
    lr_heads=5.5e-4,
    lr_gates=1.1e-4,
    lr_proxies=1.1e-4,
    step_epochs=10,
    step_factor=0.5,
    batch_size=180,
    amp="bf16",
    workers=8,
    preprocess=_IMAGENET,
    augmentation=Augmentation(scale=(0.16, 1.0), flip=0.5, resize=256),
)
_CARS = replace(
    _CUB,
    level_weights=(1.0, 4.0, 4.0),
    lr_trunk=2.5e-4,
    lr_heads=1.6e-4,
    lr_gates=0.1,
    lr_proxies=0.1,
    step_epochs=5,
)
_SOP = replace(
    _CARS,
    lr_trunk=6e-4,
    lr_heads=6e-4,
    lr_gates=0.06,
    lr_proxies=0.06,
    step_epochs=15,
    step_factor=0.25,
    freeze_norm=False,
)

# Two CPU cores, minutes: heads on cached maps of the packaged Lite0 trunk. What differs from the published
# recipes, and what it is worth on one seed (benchmarks/results/birds_ablation.json): heads that begin on
# principal directions (2.7 points of R@1 over random ones), narrower margins for distances that begin near 1
# rather than near 2 (0.8 points of MAP@R). The gates' rate hardly matters between 0.01 and 0.05; the lower
# one leaves more to the lower levels.
_CPU = TrainConfig(
    backbone="tf_efficientnet_lite0",
    levels=(3, 4, "head"),
    weights="packaged",
    stages="none",
    cached=True,
    views=8,
    epochs=24,
    head_init="pca",
    positive_margin=0.4,
    negative_margin=1.2,
    level_weights=(1.0, 1.0, 1.0),
    schedule="cosine",
    lr_heads=3e-4,
    lr_gates=0.01,
    lr_proxies=5e-3,
    lr_trunk=1e-5,
    batch_size=90,
    amp="bf16",
    workers=2,
    evaluate_every=3,
    preprocess=Preprocess(size=256, resize=256),
    augmentation=Augmentation(scale=(0.3, 1.0), flip=0.5),
)

# The same network learning as a whole, for a machine with a GPU: heads first, on cached maps, then all of it.
_WHOLE = replace(
    _CPU,
    epochs=40,
    warmup_epochs=10,
    stages="all",
    lr_trunk=1e-5,
    evaluate_every=1,
    workers=8,
)

# CGD, 2019, with its own losses, sizes and Adam (AdamW without decay). Approximate: the published code crops
# 224 of 252 pixels of the picture squeezed into a square, where views here keep the shape's ratio within the
# usual bounds; it drops the rate at 60 and at 80 % of the epochs, here once; its batches need not hold
# several pictures of a class; it normalises by each set's own mean colour.
_CGD = TrainConfig(
    method="cgd",
    backbone="resnet50",
    levels=(4,),
    nodes=1536,
    loss="batch_hard_triplet",
    epochs=20,
    step_epochs=12,
    step_factor=0.1,
    freeze_norm=False,
    lr_trunk=1e-4,
    lr_heads=1e-4,
    lr_proxies=1e-4,
    weight_decay=0.0,
    clip=0.0,
    batch_size=128,
    samples_per_class=4,
    amp="bf16",
    workers=8,
    preprocess=replace(_IMAGENET, resize=224),
    augmentation=Augmentation(scale=(0.79, 1.0), flip=0.5),
)

# CGD's heads on cached maps. A resting trunk must keep its down-sampling, because it cannot get used to doing
# without: on 300 photographs of 60 kinds of bird R@1 fell from 0.88 to 0.74 (untrained heads). The auxiliary
# classifier teaches the trunk alone, so that it would do nothing here. Circle loss found as many neighbours
# as CGD's triplets on one seed (R@1 0.889 and 0.891, MAP@R 0.666 and 0.653), in less time.
_CPU_CGD = replace(
    _CPU,
    method="cgd",
    levels=("head",),
    level_weights=(1.0,),
    nodes=1536,
    loss="circle",
    samples_per_class=3,
    cgd=CgdOptions(undownsampled=False, auxiliary_weight=0.0),
)

# DIML, ICCV 2021: the pairs of a batch by margin loss, on structural distances.
_DIML = TrainConfig(
    method="diml",
    levels=(4,),
    nodes=128,
    pooling="avg",
    loss="margin",
    epochs=150,
    schedule="constant",
    lr_trunk=1e-5,
    lr_heads=1e-5,
    lr_proxies=5e-4,
    weight_decay=4e-4,
    clip=0.0,
    batch_size=112,
    samples_per_class=2,
    amp="bf16",
    workers=8,
    preprocess=_IMAGENET,
    augmentation=Augmentation(scale=(0.16, 1.0), flip=0.5, resize=256),
)

# The same on cached maps: with few pictures to learn from, multi-similarity on heads that begin well.
_CPU_DIML = replace(
    _CPU,
    method="diml",
    levels=("head",),
    level_weights=(1.0,),
    loss="multi_similarity",
    samples_per_class=3,
    lr_proxies=1e-3,
)

# RAML, WACV 2023: 224 pixels after 448. Published in its own terms: batches of 8 pictures in 8 views, a step
# every 25 of them; 200 epochs; one rate for trunk and head, ten times as much for the exponents; the weights
# are those found for CUB. What differs: the teacher learns in the same run, rather than in one before; the
# triplets' negatives are semi-hard ones of the batch, not mined from a pool; view and partner of mixing come
# from the same batch, not from all pictures; whole batches only.
_RAML = TrainConfig(
    method="raml",
    levels=(4,),
    nodes=512,
    loss="triplet",
    samples_per_class=4,
    epochs=400,
    schedule="onecycle",
    lr_trunk=1.4e-4,
    lr_heads=1.4e-4,
    lr_gates=1.4e-3,
    weight_decay=1e-6,
    clip=0.0,
    batch_size=200,
    accumulation=25,
    amp="bf16",
    workers=8,
    evaluate_every=20,
    preprocess=replace(_IMAGENET, size=448, resize=512),
    augmentation=Augmentation(
        scale=(0.08, 1.0), flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    ),
    raml=RamlOptions(
        student_size=224,
        student_backbone="resnet50",
        teacher_epochs=200,
        views=8,
        relational_ts=0.77,
        relational_ss=0.67,
        mixup=0.2,
    ),
)

# The same with heads on cached maps of one resting trunk, at 256 pixels and at 128. On 104 validation kinds
# of bird, one seed, queries of the student in the teacher's gallery: MAP@R 0.527 with a copy of the teacher's
# head, 0.545 once taught on views, 0.528 on plain pictures, 0.423 without the copy to begin with (the teacher
# at both sides: 0.654; a student alone: 0.508). The relational weights hardly matter between 0 and 4, nor do
# more than 4 views; higher rates do harm.
_CPU_RAML = replace(
    _CPU,
    method="raml",
    levels=("head",),
    level_weights=(1.0,),
    epochs=36,
    raml=RamlOptions(student_size=128, student_weights="packaged", teacher_epochs=24, views=4),
)

GROUPS = ("preprocess", "augmentation", "diml", "cgd", "raml")
"""Options that are written with a dot: ``raml.views``."""

RECIPES: Mapping[str, TrainConfig] = MappingProxyType(
    {
        "cub": _CUB,
        "cars": _CARS,
        "sop": _SOP,
        "cpu": _CPU,
        "whole": _WHOLE,
        "cgd": _CGD,
        "cpu-cgd": _CPU_CGD,
        "diml": _DIML,
        "cpu-diml": _CPU_DIML,
        "raml": _RAML,
        "cpu-raml": _CPU_RAML,
    }
)


def find_recipe(name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Look up a recipe and change some of its options.

    Args:
        name: One of :data:`RECIPES`.
        overrides: ``key=value`` texts; those of a group (the picture pipeline, or one method) as
            ``preprocess.key``, ``augmentation.key``, ``diml.key``, ``cgd.key`` and ``raml.key``; those of
            the loss as ``loss_options.key``.

    Raises:
        ConfigError: If the recipe or an option is unknown, an option has no effect with the recipe's method,
            loss or way of learning, or a value does not fit.

    Example:
        >>> find_recipe("cpu", ["epochs=3", "augmentation.flip=0"]).augmentation.flip
        0.0
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    return override(RECIPES[name], overrides)


def override(recipe: TrainConfig, overrides: Sequence[str], *, idle: bool = False) -> TrainConfig:
    """Change some options of a recipe.

    Args:
        recipe: Stays as it is.
        overrides: As of :func:`find_recipe`.
        idle: Whether options that the method reads may be without effect here, as in a search that also
            tries what decides it.

    Raises:
        ConfigError: If an option is unknown, the recipe (as changed) does not read it, or a value does not
            fit.
    """
    changes: dict[str, Any] = {}
    inside: dict[str, dict[str, Any]] = {}
    of_loss: list[str] = []
    for text in overrides:
        group, dot, rest = text.partition(".")
        if dot and group == "loss_options" and "=" in rest:
            of_loss.append(rest)
        elif dot and group in GROUPS and "=" in rest:
            key, value = parse_override(type(getattr(recipe, group)), rest)
            inside.setdefault(group, {})[key] = value
        else:
            key, value = parse_override(TrainConfig, text)
            changes[key] = value
    written = [text.partition("=")[0] for text in overrides]
    require_read(written, changes.get("method", recipe.method))
    # All at once: values that only go together may be written in any order.
    groups: dict[str, Any] = {
        group: replace(getattr(recipe, group), **values) for group, values in inside.items()
    }
    loss = changes.get("loss", recipe.loss)
    if of_loss or loss != recipe.loss:
        own = dict(recipe.loss_options) if loss == recipe.loss else {}  # another loss has other options
        for text in of_loss:
            name, _, value = text.partition("=")
            own[name] = parse_loss_option(loss, name, value)
        groups["loss_options"] = own
    changed = replace(recipe, **changes, **groups)
    if not idle:
        given = [key for key in written if option_value(changed, key) != option_value(recipe, key)]
        require_effect(given, changed)
    return changed
