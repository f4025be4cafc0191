"""Checkpoints: one safetensors file with the weights and everything needed to use and to judge them.

The JSON description travels in the file's metadata. Nothing is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from avsl_core.config import chosen_options, to_dict
from avsl_core.errors import CheckpointError, ConfigError, DataError, MissingPackageError
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution
from avsl_core.models import SimilarityModel, build_model, model_config

__all__ = [
    "Checkpoint",
    "CheckpointPapers",
    "describe_checkpoint",
    "find_checkpoint",
    "fingerprint",
    "load_checkpoint",
    "round_weights",
    "save_checkpoint",
    "shipped_checkpoints",
]

_FORMAT = "avsl-checkpoint"
_VERSION = 1
_KEY = "avsl"
_UNREADABLE = (OSError, safetensors.SafetensorError, ValueError)
_SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained model and its papers.

    Attributes:
        model: Ready to use, in evaluation mode.
        preprocess: What the model was trained to see.
        class_names: The classes it was trained on.
        record: How it was trained: recipe, data, epochs, seed, versions.
        metrics: Retrieval metrics by part (``"validation"``, ``"test"`` ...), as fractions.
        pairs: Distances of same-kind and different-kind pairs of validation classes, or None.
        path: The file it came from, or None.
    """

    model: SimilarityModel
    preprocess: Preprocess
    class_names: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    pairs: PairDistribution | None = None
    path: Path | None = None


@dataclass(frozen=True)
class CheckpointPapers:
    """What a checkpoint says of itself, without its weights.

    Attributes:
        path: The file.
        method: Name of its model's method.
        class_names: The classes it was trained on.
        record: How it was trained.
        metrics: Retrieval metrics by part.
    """

    path: Path
    method: str
    class_names: tuple[str, ...]
    record: Mapping[str, Any]
    metrics: Mapping[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: str | os.PathLike[str], *, compact: bool = False) -> Path:
    """Write a checkpoint; the file appears whole or not at all.

    Args:
        checkpoint: The model and its papers.
        path: The file to write.
        compact: Whether to store numbers in half precision where that loses nothing, see
            :func:`round_weights`.

    Raises:
        CheckpointError: If it cannot be written.
    """
    path = Path(path)
    description = {
        "format": _FORMAT,
        "version": _VERSION,
        "method": checkpoint.model.method,
        "model": model_config(checkpoint.model),
        "preprocess": to_dict(checkpoint.preprocess),
        "class_names": list(checkpoint.class_names),
        "record": dict(checkpoint.record),
        "metrics": dict(checkpoint.metrics),
        "pairs": None if checkpoint.pairs is None else checkpoint.pairs.to_dict(),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.model.state_dict().items()}
    if compact:
        tensors = {name: _halved(tensor) for name, tensor in tensors.items()}
    write_tensors(tensors, {_KEY: json.dumps(description)}, path)
    return path


@torch.no_grad()
def round_weights(model: SimilarityModel) -> None:
    """Round matrices and filters of a model to half precision, in place, so that it can be kept compactly.

    Vectors (biases, batch-norm, exponents) keep all digits: they are few, and some are very small.
    """
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.copy_(parameter.half().to(parameter))


def load_checkpoint(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint by path, or by the name of a shipped one.

    Args:
        path: A file, or a name such as ``default``.
        device: Where the model goes.

    Raises:
        CheckpointError: If there is no such file, or it is damaged, foreign, or from a newer version.
    """
    file = find_checkpoint(path)
    tensors, metadata = read_tensors(file)
    description = _describe(file, metadata)
    try:
        model = build_model(description["method"], description["model"])
        preprocess = Preprocess.from_dict(description["preprocess"])
        pairs = None if description["pairs"] is None else PairDistribution.from_dict(description["pairs"])
        _load_weights(model, tensors, file)
        return Checkpoint(
            model=model.to(device).eval().requires_grad_(False),
            preprocess=preprocess,
            class_names=tuple(description["class_names"]),
            record=description["record"],
            metrics=description["metrics"],
            pairs=pairs,
            path=file,
        )
    except MissingPackageError as error:
        raise CheckpointError(f"{file}: {error}") from error
    except (KeyError, TypeError, ValueError, ConfigError, DataError) as error:
        raise CheckpointError(
            f"{file}: its description does not hold together ({error}); get it again"
        ) from error


def describe_checkpoint(path: str | os.PathLike[str]) -> CheckpointPapers:
    """Read what a checkpoint says of itself; its weights stay on the disk.

    Args:
        path: A file, or the name of a shipped checkpoint.

    Raises:
        CheckpointError: If there is no such file, or it is damaged, foreign, or from a newer version.
    """
    file = find_checkpoint(path)
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except _UNREADABLE as error:
        raise _unreadable(file, error) from error
    description = _describe(file, metadata)
    method = description.get("method")
    if not isinstance(method, str):
        raise CheckpointError(f"{file}: its description names no method; get it again")
    return CheckpointPapers(
        file,
        method,
        tuple(description.get("class_names", ())),
        description.get("record", {}),
        description.get("metrics", {}),
    )


def find_checkpoint(path: str | os.PathLike[str]) -> Path:
    """Resolve a path or a shipped name to a file.

    Raises:
        CheckpointError: If neither exists.
    """
    given = Path(path)
    with contextlib.suppress(OSError):  # a name too long for a file is no file
        if given.is_file():
            return given
    shipped = shipped_checkpoints()
    if str(path) in shipped:
        return shipped[str(path)]
    names = ", ".join(shipped) or "none"
    raise CheckpointError(f"{path}: no such checkpoint; give a file, or the name of a shipped one ({names})")


def shipped_checkpoints() -> dict[str, Path]:
    """Names and files of the checkpoints that come with the project."""
    return {file.stem: file for file in sorted(_SHIPPED.glob("*.safetensors"))}


def fingerprint(checkpoint: Checkpoint) -> str:
    """A mark of everything that decides a checkpoint's encodings and distances, and of nothing else.

    Equal for the same weights, configuration and preprocessing, whatever the file's name or papers.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    settings = {
        "method": checkpoint.model.method,
        "model": chosen_options(checkpoint.model.config),
        "preprocess": chosen_options(checkpoint.preprocess),
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(checkpoint.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        # As bytes: NumPy lacks some of torch's number types.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def write_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> None:
    """Write a safetensors file by way of a temporary one beside it.

    Raises:
        CheckpointError: If the folder is not writable or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's umask has it; safetensors makes files private
        safetensors.torch.save_file(dict(tensors), temporary, metadata=dict(metadata))
        temporary.chmod(mode)
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: could not be written ({error}); is the folder writable?") from error
    finally:
        with contextlib.suppress(OSError):  # gone when all went well; left over after an interruption
            temporary.unlink()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file and its metadata.

    Raises:
        CheckpointError: If it is damaged or something else.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
            return tensors, opened.metadata() or {}
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a readable safetensors file ({error}); it may be cut short - get it again"
    )


def _describe(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        description = json.loads(metadata[_KEY])
    except KeyError as error:
        raise CheckpointError(
            f"{path}: a safetensors file, but not one of ours; as first weights of a trunk "
            "give it as weights=PATH"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description is damaged; get it again") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this library")
    if description.get("version") != _VERSION:
        raise CheckpointError(
            f"{path}: written in version {description.get('version')} of the format, this library reads "
            f"version {_VERSION}; update the library"
        )
    _check_papers(path, description)
    return description


def _halved(tensor: Tensor) -> Tensor:
    """In half precision where that loses nothing."""
    if tensor.dtype != torch.float32:
        return tensor
    half = tensor.half()
    return half if torch.equal(half.float(), tensor) else tensor


def _check_papers(path: Path, description: Mapping[str, Any]) -> None:
    """Refuse papers that later readers would trip over; their absence is reported where they are used."""
    names = description.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{path}: its class_names are not a list of names; get it again")
    for key in ("record", "metrics"):
        if not isinstance(description.get(key, {}), dict):
            raise CheckpointError(f"{path}: its {key} is not a group of values; get it again")


def _load_weights(model: SimilarityModel, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"{path}: its weights do not fit its description: {first}") from error
