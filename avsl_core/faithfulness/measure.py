"""The whole measurement: every method on the same pairs and the same model."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import ConfigError
from avsl_core.faithfulness.aviary_cases import PartCase, changed_parts, different_species, three_changes
from avsl_core.faithfulness.explainers import Explainer, choose
from avsl_core.faithfulness.level_truth import level_truth
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.faithfulness.perturbation import Curves, perturb
from avsl_core.faithfulness.photographs import photograph_pairs
from avsl_core.faithfulness.sanity import sanity_curve
from avsl_core.faithfulness.tally import Tally, summarize_curves
from avsl_core.models import SimilarityModel

__all__ = ["measure_faithfulness"]

_NOT_SANITY = (
    "random",
    "centre",
    "integrated_gradients",
    "occlusion",
    "occlusion_both",
)  # blind to the model, or too slow
_PERTURBATION_PAIRS, _SANITY_PAIRS = 20, 5

_T = TypeVar("_T")


def measure_faithfulness(
    checkpoint: Checkpoint,
    *,
    pairs: int = 45,
    seed: int = 0,
    methods: Sequence[str] | None = None,
    explainers: Mapping[str, Explainer] = MappingProxyType({}),
    perturbation_pairs: int | None = None,
    photos: str | os.PathLike[str] | None = None,
    sanity: bool = False,
    levels: bool = False,
    split: str = "test",
    progress: bool = False,
) -> dict[str, dict[str, Any]]:
    """Measure how true explanations of a model's distances are, on made pairs that differ in one part.

    Args:
        checkpoint: Whose model is explained.
        pairs: Number of made pairs; they go round the parts of a bird.
        seed: Of the pairs and of everything else that is drawn.
        methods: Names of the methods, in this order; all when None.
        explainers: Further methods by name; the same name replaces one of ours.
        perturbation_pairs: On how many pairs deletion and insertion are measured (they take most of the
            time); at most 20 of the pairs when None.
        photos: Folder of class folders: deletion and insertion on photographs of different classes too.
        sanity: Whether to destroy the model step by step, on at most 5 pairs.
        levels: Whether to measure what the ledger's level bars mean, on as many birds as pairs.
        split: Whose species to show.
        progress: Whether to show bars on standard error.

    Returns:
        By method: ``pointing`` (hit rate), ``pointing_15px``, ``mass``, ``area`` (what chance would reach),
        ``deletion`` and ``insertion`` (both pictures perturbed at the same places, relative to the distance),
        ``blurred``, ``perturbation_pairs``, ``curves``, ``ms`` (median per pair, from pixels to maps),
        ``by_part``, ``by_level`` (methods with levels), ``completeness`` (methods that promise a sum),
        ``species`` and ``photos`` (deletion and insertion, each picture at its own places, on made birds of
        different families and on photographs), ``sanity`` and ``sanity_species`` (rank correlation by step,
        on pairs that differ in one part and on different species) and ``level_truth`` (ledger).

    Raises:
        ConfigError: If a method is unknown, a number out of range, or levels are asked for without the
            ledger, whose they are.
        DataError: If the photographs cannot be used.
        AvslError: If the made birds cannot be drawn here.
    """
    chosen = choose(methods, explainers)
    limit = _limit(pairs, seed, perturbation_pairs)
    if levels and "ledger" not in chosen:
        raise ConfigError("levels are measured on the ledger's bars: add ledger to the methods")
    model, preprocess, device = checkpoint.model, checkpoint.preprocess, checkpoint.model.device
    # Asked for first, so that a wrong folder is reported before the long work.
    of_photos = None if photos is None else photograph_pairs(preprocess, photos, device, limit, seed)
    cases = changed_parts(preprocess, device, count=pairs, seed=seed, split=split)
    report = _measure_parts(model, chosen, _shown(cases, pairs, "pairs", progress), limit)
    of_species = different_species(preprocess, device, count=limit, seed=seed, split=split)
    others = {"species": of_species} | ({} if of_photos is None else {"photos": of_photos})
    for key, its_pairs in others.items():
        for name, values in _perturb_all(model, chosen, _shown(its_pairs, limit, key, progress)).items():
            report[name][key] = values
    if sanity:
        few = min(pairs, _SANITY_PAIRS)
        aligned = changed_parts(preprocess, device, count=few, seed=seed, split=split)
        of_species = different_species(preprocess, device, count=few, seed=seed, split=split)
        for key, its in (
            ("sanity", [(case.a, case.b) for case in aligned]),
            ("sanity_species", list(islice(of_species, few))),
        ):
            names = [name for name in chosen if name not in _NOT_SANITY]
            for name in _shown(names, len(names), key, progress):
                report[name][key] = sanity_curve(model, chosen[name], its, seed=seed)
    if levels:
        birds = three_changes(preprocess, device, count=max(2, pairs), seed=seed, split=split)
        truth = level_truth(model, _shown(birds, max(2, pairs), "levels", progress))
        report["ledger"]["level_truth"] = truth
    return report


def _measure_parts(
    model: SimilarityModel, explainers: Mapping[str, Explainer], cases: Iterable[PartCase], limit: int
) -> dict[str, dict[str, Any]]:
    tallies = {name: Tally() for name in explainers}
    for number, case in enumerate(cases):
        for name, explainer in explainers.items():
            maps, milliseconds = _timed(explainer, model, case.a, case.b)
            tallies[name].add(maps, case.part, case.mask, milliseconds)
            if number < limit:
                tallies[name].curves.append(perturb(model, case.a, case.b, maps, aligned=True))
    return {name: tally.summary() for name, tally in tallies.items()}


def _perturb_all(
    model: SimilarityModel, explainers: Mapping[str, Explainer], pairs: Iterable[tuple[Tensor, Tensor]]
) -> dict[str, dict[str, Any]]:
    curves: dict[str, list[Curves]] = {name: [] for name in explainers}
    for a, b in pairs:
        for name, explainer in explainers.items():
            curves[name].append(perturb(model, a, b, explainer(model, a, b)))
    return {name: summarize_curves(its) for name, its in curves.items() if its}


def _timed(explainer: Explainer, model: SimilarityModel, a: Tensor, b: Tensor) -> tuple[PairMaps, float]:
    _wait_for(a.device)
    started = time.perf_counter()
    maps = explainer(model, a, b)
    _wait_for(a.device)
    return maps, 1000.0 * (time.perf_counter() - started)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _limit(pairs: int, seed: int, perturbation_pairs: int | None) -> int:
    if pairs < 1:
        raise ConfigError(f"pairs must be at least 1, not {pairs}")
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}")
    if perturbation_pairs is not None and not 1 <= perturbation_pairs <= pairs:
        raise ConfigError(f"perturbation_pairs must be 1 to {pairs} (pairs), not {perturbation_pairs}")
    return min(pairs, _PERTURBATION_PAIRS) if perturbation_pairs is None else perturbation_pairs


def _shown(items: Iterable[_T], count: int, name: str, progress: bool) -> Iterable[_T]:
    shown: Iterable[_T] = tqdm(islice(items, count), total=count, desc=name, disable=not progress)
    return shown
