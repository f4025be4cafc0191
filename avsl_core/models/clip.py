"""The visual ResNets of CLIP (Radford et al., 2021) as trunks, by way of open_clip where it is installed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from avsl_core.errors import CheckpointError, ConfigError, MissingPackageError
from avsl_core.models.backbone import Backbone, BackboneConfig

__all__ = ["CLIP_PREFIX", "ClipTrunk", "build_trunk", "pools_at_top"]

CLIP_PREFIX = "clip:"
"""Before open_clip's name of a network, such as ``clip:RN50x4``."""

_STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


def build_trunk(config: BackboneConfig, weights: str = "none") -> Backbone:
    """A trunk of timm's, or of open_clip's where the name begins with ``clip:``.

    Raises:
        ConfigError: If there is no such network or level, or open_clip is needed and not installed.
        CheckpointError: If the weights cannot be had.
    """
    kind = ClipTrunk if config.name.startswith(CLIP_PREFIX) else Backbone
    return kind(config, weights)


def pools_at_top(config: BackboneConfig) -> bool:
    """Whether the highest level is a CLIP's pooled embedding, one cell for the whole picture."""
    return config.has_head and config.name.startswith(CLIP_PREFIX)


class ClipTrunk(Backbone):
    """The picture side of a CLIP with a ResNet.

    Levels 1 to 4 are its stages, 0 its stem, and ``"head"`` the embedding that its attention pools, a map of
    one cell, for pictures of the network's own size only.

    Args:
        config: Network and levels.
        weights: ``"none"`` (random), ``"hub"`` (OpenAI's, downloaded by open_clip), or the path of a file
            that open_clip reads.

    Raises:
        ConfigError: If open_clip is not installed, or has no such ResNet.
        CheckpointError: If the weights cannot be had.
    """

    def __init__(self, config: BackboneConfig, weights: str = "none") -> None:
        nn.Module.__init__(self)
        self.config = config
        highest = max(config.stage_indices, default=0)
        if highest >= len(_STAGES):
            raise ConfigError(f"{config.name} has no level {highest}: its levels are 0 to 4 and head")
        if config.undownsampled:
            raise ConfigError(f"{config.name} cannot be had undownsampled: leave that to timm's networks")
        visual = _visual(config.name, weights)
        self.image_size = int(visual.image_size)
        channels = [
            visual.conv3.out_channels,
            *(stage[-1].conv3.out_channels for stage in _stages(visual)[1:]),
        ]
        self.channels = tuple(channels[index] for index in config.stage_indices)
        self.reductions = tuple(4 * 2 ** max(index - 1, 0) for index in config.stage_indices)
        if config.has_head:
            self.channels += (int(visual.output_dim),)
            self.reductions += (self.image_size,)
        else:
            visual.attnpool = nn.Identity()
        self.visual = visual
        self.freeze_norm = True

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the levels' maps, one ``[B, C, H, W]`` per level, from low to high.

        Raises:
            ConfigError: If the pooled embedding is asked for and the pictures are of another size.
        """
        if self.config.has_head and set(images.shape[2:]) != {self.image_size}:
            raise ConfigError(
                f"{self.config.name} pools pictures of {self.image_size} x {self.image_size} pixels only, "
                f"not {images.shape[2]} x {images.shape[3]}: keep the preprocessing, or leave out head"
            )
        maps: list[Tensor] = []
        x = images
        for index, stage in enumerate(_stages(self.visual)):
            if index > max(self.config.stage_indices, default=0) and not self.config.has_head:
                break
            x = stage(x)
            if index in self.config.stage_indices:
                maps.append(x)
        if self.config.has_head:
            maps.append(self.visual.attnpool(x)[:, :, None, None])
        return [m.float() for m in maps]

    def last_stage(self) -> Iterator[nn.Parameter]:
        """The last stage and the attention that pools it."""
        yield from self.visual.layer4.parameters()
        yield from self.visual.attnpool.parameters()


def _stages(visual: Any) -> list[Any]:
    return [getattr(visual, name) for name in _STAGES]


def _visual(name: str, weights: str) -> Any:
    architecture = name.removeprefix(CLIP_PREFIX)
    try:
        import open_clip
    except ImportError as error:
        raise MissingPackageError(f"{name} needs open_clip: pip install open_clip_torch") from error
    known = [model for model in open_clip.list_models() if model.startswith("RN")]
    if architecture.lower().startswith("vit"):
        raise ConfigError(
            f"{name}: open_clip is here for CLIP's ResNets; its ViTs are timm's as well: leave clip: out and "
            "name one of those, such as vit_base_patch32_clip_quickgelu_224.openai"
        )
    if architecture not in known:
        raise ConfigError(f"{name}: open_clip has no ResNet of that name; it has {', '.join(known)}")
    if weights == "none":
        return _empty(open_clip, architecture)
    if weights == "packaged":
        raise ConfigError(f'{name} has no packaged weights: give a file, "hub" or "none"')
    if weights != "hub" and not Path(weights).is_file():
        raise CheckpointError(f'{weights}: no such weights file; give a file, "hub" or "none"')
    openai = weights == "hub"
    try:
        # OpenAI's networks have the quick GELU; told so, open_clip does not warn of it.
        whole = open_clip.create_model(
            architecture, pretrained="openai" if openai else weights, force_quick_gelu=openai
        )
    except Exception as error:  # downloads and damaged files raise a dozen kinds
        raise CheckpointError(
            f"{name}: its weights could not be had from {weights} ({type(error).__name__}); check the "
            "network, or give a file that open_clip reads"
        ) from error
    return whole.float().visual


def _empty(open_clip: Any, architecture: str) -> Any:
    """The picture side alone, to be filled from a checkpoint: a fraction of the whole network."""
    from open_clip.modified_resnet import ModifiedResNet

    config = open_clip.get_model_config(architecture)
    vision = config["vision_cfg"]
    return ModifiedResNet(
        layers=vision["layers"],
        output_dim=config["embed_dim"],
        heads=vision["width"] * 32 // vision.get("head_width", 64),
        image_size=vision["image_size"],
        width=vision["width"],
    )
