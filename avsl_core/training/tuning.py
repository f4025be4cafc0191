"""Search a recipe's options on the validation classes, trial by trial, interrupted and resumed at will.

Optuna proposes (tree-structured Parzen estimators) and prunes (the median of earlier trials). Everything is
kept in one folder: the search's storage, a table of all trials, the best model, and the maps that the trials
share.
"""

import contextlib
import csv
import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from sqlalchemy.exc import SQLAlchemyError

from avsl_core.config import to_dict, with_defaults
from avsl_core.data import PictureSet
from avsl_core.errors import ConfigError, DataError, TrainingError
from avsl_core.evaluation import Evaluation
from avsl_core.precision import Precision, effective_precision
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import Process
from avsl_core.training.loss_options import require_known
from avsl_core.training.reading import DECIDING, require_effect, require_read
from avsl_core.training.recipes import override
from avsl_core.training.search_space import SearchOption
from avsl_core.training.trainer import Trainer, TrainResult

__all__ = ["TUNE_METRICS", "TrialOutcome", "TuneResult", "tune"]

_log = logging.getLogger(__name__)

TUNE_METRICS = ("map@r", "recall@1")
"""What a search can maximise."""

_STORAGE = "search.db"
_STARTUP = 5  # trials before any is pruned
_SETTINGS = "settings"
_PRECISION = "precision"
_ERROR = "error"
_FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


@dataclass(frozen=True)
class TrialOutcome:
    """How one trial ended.

    Attributes:
        number: Counted from 1.
        state: ``"complete"``; ``"pruned"`` before its last epoch; or ``"failed"``: the options do not go
            together, or the loss did not stay finite.
        value: The metric on the validation classes; of the last epoch seen where the trial was pruned, None
            where it failed.
        options: What was tried, by the options' names.
        seconds: How long it took.
        error: Why it failed, or None.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    options: dict[str, Any]
    seconds: float
    error: str | None


@dataclass(frozen=True)
class TuneResult:
    """What a search came to.

    Attributes:
        checkpoint: The best trial's model.
        best: That trial.
        trials: All of them, in order.
        table: The same as a CSV file.
    """

    checkpoint: Path
    best: TrialOutcome
    trials: tuple[TrialOutcome, ...]
    table: Path


def tune(
    recipe: TrainConfig,
    search: Sequence[SearchOption],
    train: PictureSet,
    validation: PictureSet,
    out: Path,
    process: Process,
    *,
    trials: int,
    metric: str = "map@r",
    seed: int = 0,
    progress: bool = True,
    record: Mapping[str, Any] | None = None,
    on_trial: Callable[[TrialOutcome], None] | None = None,
) -> TuneResult:
    """Train a recipe again and again with other options, and keep the best.

    A search that was interrupted goes on in its folder, with the same arguments or with more ``trials``; only
    the trial that was running is begun anew. Its course does not depend on interruptions.

    Args:
        recipe: What all trials share.
        search: What they differ in; at least one.
        train: Training pictures.
        validation: Pictures of other classes, to judge trials by.
        out: Folder of the search: a new or an empty one, or that of a search to go on with.
        process: This process, alone.
        trials: How many there are to be in all.
        metric: One of :data:`TUNE_METRICS`, to be maximised.
        seed: Of the proposals; every trial trains with the recipe's own.
        progress: Whether to show bars.
        record: Further facts for the best checkpoint's training record.
        on_trial: Called with each trial that has ended.

    Raises:
        ConfigError: If there is nothing to search or to do, the metric is unknown, an option is not read by
            the method, or the folder holds something else; if no trial succeeded.
        TrainingError: If the folder holds another search, or its storage is damaged or in use.
        DataError: If there are too few classes.
    """
    _check(recipe, search, process, trials, metric)
    if out.exists() and any(out.iterdir()) and not (out / _STORAGE).exists():
        raise ConfigError(f"{out}: holds files and no search; name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    with _naming_trouble(out / _STORAGE):
        study = _open_study(out, _settings(recipe, search, metric, seed, train, validation))
        _note_precision(study, effective_precision(recipe.amp, process.device, level=logging.INFO))
        done = len(_outcomes(study))
        while done < trials:
            # A sampler of its own for each trial: the next proposal depends on the trials before it, and not
            # on whether they were made by this process.
            state = np.random.SeedSequence([seed, done]).generate_state(1)[0]
            study.sampler = optuna.samplers.TPESampler(seed=int(state))
            trial = study.ask()
            changes = [option.propose(trial) for option in search]
            facts = dict(record or {}) | {"search": {"metric": metric, "options": changes}}
            pictures = (train, validation)
            _run_trial(study, trial, recipe, changes, pictures, out, process, metric, progress, facts)
            outcomes = _outcomes(study)
            done = len(outcomes)
            _write_table(out / "trials.csv", outcomes, metric)
            if on_trial is not None:
                on_trial(outcomes[-1])
        outcomes = _outcomes(study)
    complete = [outcome for outcome in outcomes if outcome.state == "complete"]
    if not complete:
        raise ConfigError(f"no trial succeeded: {outcomes[0].error}; search other values")
    best = max(complete, key=lambda outcome: outcome.value or 0.0)
    return TuneResult(out / "best.safetensors", best, tuple(outcomes), out / "trials.csv")


@contextlib.contextmanager
def _naming_trouble(storage: Path) -> Iterator[None]:
    """Say in one line which file cannot be used, and what to do."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        reason = str(getattr(cause, "orig", None) or error).splitlines()[0]
        raise TrainingError(
            f"{storage}: cannot be used ({reason}); end whatever else has it open, or name another folder"
        ) from error


def _check(
    recipe: TrainConfig, search: Sequence[SearchOption], process: Process, trials: int, metric: str
) -> None:
    if not search:
        raise ConfigError("nothing to search: name at least one option with its values")
    names = [option.key for option in search]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{', '.join(sorted(twice))}: searched twice; name each option once")
    # Where methods are searched too, each must read all options: a trial would come to nothing otherwise.
    tried = next((option.choices for option in search if option.key == "method"), (recipe.method,))
    for method in tried:
        require_read(names, method)
    losses = next((option.choices for option in search if option.key == "loss"), (recipe.loss,))
    for key in names:
        if key.startswith("loss_options."):
            for loss in losses:
                require_known(loss, key.removeprefix("loss_options."))
    _require_effect(recipe, search)
    if trials < 1:
        raise ConfigError(f"trials={trials}: must be at least 1")
    if metric not in TUNE_METRICS:
        raise ConfigError(f"unknown metric {metric!r}; known: {', '.join(TUNE_METRICS)}")
    if process.count > 1:
        raise ConfigError("a search runs in one process; start it without torchrun")


def _require_effect(recipe: TrainConfig, search: Sequence[SearchOption]) -> None:
    """Refuse options that no trial would read, whatever it draws of those that decide it.

    Raises:
        ConfigError: If there is one.
    """
    drawn = [
        [f"{option.key}={value}" for value in option.choices or _written(option)]
        for option in search
        if option.key in DECIDING or option.key.partition(".")[0] in DECIDING
    ]
    possible = [config for config in map(partial(_possible, recipe), itertools.product(*drawn)) if config]
    for option in search:
        refused: ConfigError | None = None
        for config in possible:
            try:
                require_effect([option.key], config)
            except ConfigError as error:
                refused = refused or error
            else:
                break
        else:
            if refused is not None:
                raise refused


def _written(option: SearchOption) -> tuple[str, ...]:
    """Both ends of a range, and the middle of whole numbers.

    At 0 some options turn others off; a teacher's epochs do so at 0 and where they are all of them.
    """
    if not option.whole:
        return repr(option.low), repr(option.high)
    low, high = int(option.low), int(option.high)
    return str(low), str((low + high) // 2), str(high)


def _possible(recipe: TrainConfig, changes: Sequence[str]) -> TrainConfig | None:
    try:
        return override(recipe, changes, idle=True)
    except ConfigError:
        return None  # a trial that draws these fails, and says why


def _settings(
    recipe: TrainConfig,
    search: Sequence[SearchOption],
    metric: str,
    seed: int,
    train: PictureSet,
    validation: PictureSet,
) -> dict[str, Any]:
    """What must not change while a search goes on."""
    settings: dict[str, Any] = {
        "recipe": to_dict(recipe),
        "search": [option.text for option in search],
        "metric": metric,
        "seed": seed,
        "training classes": list(train.class_names),
        "validation classes": list(validation.class_names),
        "training pictures": _fingerprint(train),
        "validation pictures": _fingerprint(validation),
    }
    loaded: dict[str, Any] = json.loads(json.dumps(settings))
    return loaded


def _note_precision(study: optuna.Study, precision: Precision) -> None:
    """Say so if trials of one search do not all work in the same precision."""
    began = study.user_attrs.get(_PRECISION)
    if began is None:
        study.set_user_attr(_PRECISION, precision)
    elif began != precision:
        named = ("float32" if name == "none" else name for name in (began, precision))
        _log.warning("the search began in %s, its trials here work in %s: compare them with care", *named)


def _fingerprint(pictures: PictureSet) -> dict[str, Any]:
    """Which pictures these are, wherever their folder lies, and how they are looked at."""
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in pictures.paths)
    digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
    return {"count": len(pictures), "cropped": pictures.cropped, "names": digest}


def _open_study(out: Path, settings: dict[str, Any]) -> optuna.Study:
    storage = f"sqlite:///{(out / _STORAGE).resolve()}"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP)
    study = optuna.create_study(
        storage=storage, study_name="search", direction="maximize", pruner=pruner, load_if_exists=True
    )
    kept = study.user_attrs.get(_SETTINGS)
    if kept is None:
        study.set_user_attr(_SETTINGS, settings)
    elif (kept := kept | {"recipe": _completed(kept["recipe"])}) != settings:
        changed = ", ".join(key for key in settings if kept.get(key) != settings[key])
        raise TrainingError(f"{out}: holds a search with another {changed}; use the same, or another folder")
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # interrupted
    return study


def _completed(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe that an earlier version kept, as JSON has it."""
    completed: dict[str, Any] = json.loads(json.dumps(with_defaults(TrainConfig, recipe)))
    return completed


def _run_trial(
    study: optuna.Study,
    trial: optuna.Trial,
    recipe: TrainConfig,
    changes: Sequence[str],
    pictures: tuple[PictureSet, PictureSet],
    out: Path,
    process: Process,
    metric: str,
    progress: bool,
    record: dict[str, Any],
) -> None:
    """Train once and tell the study how it ended."""
    work = out / "trial"
    shutil.rmtree(work, ignore_errors=True)  # of a trial that was interrupted
    work.mkdir()

    def report(epoch: int, evaluation: Evaluation | None) -> None:
        if evaluation is None or epoch <= first:
            return
        trial.report(_score(evaluation.metrics.to_dict(), metric), epoch)
        if epoch < epochs and trial.should_prune():
            raise optuna.TrialPruned

    try:
        config = override(recipe, changes, idle=True)
        epochs = config.total_epochs
        trainer = Trainer(
            config,
            *pictures,
            work / "model.safetensors",
            process,
            cache_root=out / "maps",
            progress=progress,
            record=record,
        )
        # Until then something else is judged, RAML's teacher, which says nothing of how the trial will end.
        first = max(filter(trainer.objective.judges_anew_at, range(epochs)), default=0)
        result = trainer.fit(after_epoch=report)
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except (ConfigError, TrainingError) as error:
        trial.set_user_attr(_ERROR, str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        value = _score(result.validation, metric)
        _keep_if_best(study, result, value, out / "best.safetensors")
        study.tell(trial, value)
    shutil.rmtree(work)


def _keep_if_best(study: optuna.Study, result: TrainResult, value: float, best: Path) -> None:
    with contextlib.suppress(ValueError):  # no trial is complete yet
        if study.best_value >= value:
            return
    result.checkpoint.replace(best)


def _score(metrics: dict[str, Any], metric: str) -> float:
    value = metrics.get(metric)
    if value is None:
        raise DataError(f"the validation classes give no {metric}; give more pictures per class")
    return float(value)


def _outcomes(study: optuna.Study) -> list[TrialOutcome]:
    """Trials that have ended, without those that were interrupted."""
    ended = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in _FINISHED or _ERROR in trial.user_attrs
    ]
    return [_outcome(number, trial) for number, trial in enumerate(ended, start=1)]


def _outcome(number: int, trial: optuna.trial.FrozenTrial) -> TrialOutcome:
    complete = trial.state == optuna.trial.TrialState.COMPLETE
    error = trial.user_attrs.get(_ERROR)
    duration = trial.duration
    return TrialOutcome(
        number=number,
        state="failed" if error is not None else "complete" if complete else "pruned",
        value=trial.value if complete else _last_value(trial),
        options=dict(trial.params),
        seconds=0.0 if duration is None else duration.total_seconds(),
        error=error,
    )


def _last_value(trial: optuna.trial.FrozenTrial) -> float | None:
    last = trial.last_step
    return None if last is None or _ERROR in trial.user_attrs else trial.intermediate_values[last]


def _write_table(path: Path, outcomes: Sequence[TrialOutcome], metric: str) -> None:
    keys = list(dict.fromkeys(key for outcome in outcomes for key in outcome.options))
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", metric, "seconds", *keys, _ERROR])
        for outcome in outcomes:
            value = "" if outcome.value is None else f"{outcome.value:.6f}"
            tried = [outcome.options.get(key, "") for key in keys]
            seconds = f"{outcome.seconds:.1f}"
            writer.writerow([outcome.number, outcome.state, value, seconds, *tried, outcome.error or ""])
    temporary.replace(path)
