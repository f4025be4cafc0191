"""Trunks: any timm network as a pyramid of feature maps, from low to high level."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from avsl_core.errors import ConfigError
from avsl_core.models.pretrained import create_pretrained
from avsl_core.models.undownsampled import keep_resolution

__all__ = ["Backbone", "BackboneConfig", "TrainableStages"]

TrainableStages = Literal["none", "last", "all"]

_NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True)
class BackboneConfig:
    """Which network, and which of its feature maps are the levels.

    Attributes:
        name: timm model name.
        levels: timm's feature indices from low to high (for a ViT: block indices). The last entry may be
            ``"head"``: the map behind the network's own final 1x1 convolution, where it has one
            (EfficientNets).
        undownsampled: Whether the stage of the highest level keeps the resolution of the stage before it:
            its strided convolutions move by one cell, without dilation, and its pools do nothing. The
            weights are the same.
    """

    name: str = "resnet50"
    levels: tuple[int | str, ...] = (2, 3, 4)
    undownsampled: bool = False

    def __post_init__(self) -> None:
        indices = self.stage_indices
        if not self.levels or any(isinstance(level, str) for level in self.levels[:-1]):
            raise ConfigError(f'levels {self.levels}: need feature indices, and "head" only as the last one')
        if isinstance(self.levels[-1], str) and self.levels[-1] != "head":
            raise ConfigError(f'levels {self.levels}: the only named level is "head"')
        if list(indices) != sorted(set(indices)) or any(index < 0 for index in indices):
            raise ConfigError(f"levels {self.levels}: must rise from low to high, starting at 0 or above")

    @property
    def stage_indices(self) -> tuple[int, ...]:
        """The levels that are timm features."""
        return tuple(level for level in self.levels if isinstance(level, int))

    @property
    def has_head(self) -> bool:
        """Whether the final 1x1 convolution is the highest level."""
        return self.levels[-1] == "head"


class Backbone(nn.Module):
    """A timm network that returns the maps of the configured levels.

    Args:
        config: Network and levels.
        weights: Source of the first weights, see :func:`avsl_core.models.pretrained.create_pretrained`.

    Raises:
        ConfigError: If the network is unknown, has no such levels or no final convolution, or its last stage
            cannot do without down-sampling.
        CheckpointError: If the weights cannot be had.
    """

    features: Any  # timm gives feature networks attributes that nn.Module does not declare

    def __init__(self, config: BackboneConfig, weights: str = "none") -> None:
        super().__init__()
        self.config = config
        whole = create_pretrained(config.name, weights)
        self.features = _feature_network(config, whole)
        self.head = _final_convolution(config, whole) if config.has_head else None
        channels = list(self.features.feature_info.channels())
        reductions = list(self.features.feature_info.reduction())
        self._emitted = len(config.stage_indices)
        if self.head is not None:
            if _last_stage_index(whole) not in config.stage_indices:
                channels, reductions = channels[:-1], reductions[:-1]
            channels.append(_output_channels(self.head))
            reductions.append(self.features.feature_info.reduction()[-1])
        if config.undownsampled:
            keep_resolution(self.features, config.name)
            # The map behind the head, and that of the last stage, where it is a level too.
            coarsest = self.features.feature_info.reduction()[-1]
            reductions = [r // 2 if r == coarsest else r for r in reductions]
        self.channels: tuple[int, ...] = tuple(channels)
        self.reductions: tuple[int, ...] = tuple(int(r) for r in reductions)
        self.freeze_norm = True

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the levels' maps.

        Args:
            images: ``[B, 3, S, S]``, normalised.

        Returns:
            One ``[B, C, H, W]`` per level, from low to high, in float32 at least.
        """
        maps: list[Tensor] = self.features(images)
        if getattr(self.features, "output_fmt", None) == "NHWC":  # timm's Swin
            maps = [m.permute(0, 3, 1, 2) for m in maps]
        if self.head is not None:
            maps = [*maps[: self._emitted], self.head(maps[-1])]
        # Heads, certainties and distances are always computed in full precision.
        return [m.float() if m.dtype in (torch.float16, torch.bfloat16) else m for m in maps]

    def train(self, mode: bool = True) -> "Backbone":
        """Switch mode, holding batch-norm at its running statistics while ``freeze_norm`` is set."""
        super().train(mode)
        if mode and self.freeze_norm:
            for module in self.modules():
                if isinstance(module, _NORMS):
                    module.eval()
        return self

    def set_trainable(self, stages: TrainableStages) -> None:
        """Choose what learns: nothing, the last stage (and the final convolution), or everything.

        Frozen batch-norm keeps its statistics but its scale and shift may still learn.
        """
        for parameter in self.parameters():
            parameter.requires_grad_(stages == "all")
        if stages == "last":
            for parameter in self.last_stage():
                parameter.requires_grad_(True)

    def last_stage(self) -> Iterator[nn.Parameter]:
        """Parameters behind the second-highest resolution change: those worth adapting first."""
        named = list(self.features.named_parameters())
        # timm lists every stage of the network, also those above the highest level in use.
        used = max(self.features.feature_info.out_indices) + 1
        modules = [str(entry["module"]).replace(".", "_") for entry in self.features.feature_info.info[:used]]
        before = modules[-2] if len(modules) > 1 else ""
        flat = ["_" + name.replace(".", "_") for name, _ in named]
        cut = max((i + 1 for i, name in enumerate(flat) if f"_{before}_" in name), default=0)
        yield from (parameter for _, parameter in named[cut:])
        if self.head is not None:
            yield from self.head.parameters()


def _feature_network(config: BackboneConfig, whole: nn.Module) -> Any:
    wanted = list(config.stage_indices)
    if config.has_head:
        # The final convolution reads the last stage, which need not be a level of its own.
        wanted = sorted({*wanted, _last_stage_index(whole)})
    try:
        network: nn.Module = timm.create_model(
            config.name,
            pretrained=True,
            features_only=True,
            out_indices=tuple(wanted),
            pretrained_cfg_overlay={"state_dict": _stages_only(whole), "custom_load": False},
        )
    except Exception as error:  # timm raises AssertionError, IndexError, RuntimeError ... per architecture
        raise ConfigError(
            f"{config.name} has no feature levels {config.levels} ({type(error).__name__}: {error})"
        ) from error
    _cut_above(network)
    return network


def _cut_above(network: Any) -> None:
    """Drop what lies above the highest level: timm's EfficientNets compute it all the same."""
    places = getattr(network, "_stage_out_idx", None)
    if isinstance(places, dict) and isinstance(getattr(network, "blocks", None), nn.Sequential):
        network.blocks = network.blocks[: max(places)]


def _stages_only(whole: nn.Module) -> dict[str, Tensor]:
    """The weights that feature networks have: without the final convolution of EfficientNets."""
    final = ("conv_head.", "bn2.") if hasattr(whole, "conv_head") else ()
    return {key: value for key, value in whole.state_dict().items() if not key.startswith(final)}


def _last_stage_index(whole: Any) -> int:
    return len(whole.feature_info) - 1


def _final_convolution(config: BackboneConfig, whole: nn.Module) -> nn.Sequential:
    convolution, norm = getattr(whole, "conv_head", None), getattr(whole, "bn2", None)
    if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.Module):
        raise ConfigError(
            f'{config.name} has no final convolution before pooling: leave "head" out of levels'
        )
    return nn.Sequential(convolution, norm)


def _output_channels(head: nn.Sequential) -> int:
    convolution = head[0]
    assert isinstance(convolution, nn.Conv2d)
    return convolution.out_channels
