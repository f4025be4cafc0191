"""Where one node answers on a picture."""

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import AvslEncoding, AvslModel, Encoding

__all__ = ["node_map"]


@torch.no_grad()
def node_map(model: AvslModel, encoding: Encoding, level: int, node: int) -> Tensor:
    """The activation map A of one node on one picture; its mean is the node's embedding e.

    Args:
        model: The model that encoded.
        encoding: Of one picture, with its maps.
        level: 0 for the lowest.
        node: Index within the level.

    Returns:
        ``[H, W]``.

    Raises:
        EncodingError: If the encoding is not one picture of this method with its maps.
        ConfigError: If there is no such level or node.
    """
    if not isinstance(encoding, AvslEncoding):
        raise EncodingError(f"need an AvslEncoding, not {type(encoding).__name__}: encode with this model")
    if encoding.maps is None or len(encoding) != 1:
        raise EncodingError("a node's map needs one picture, encoded with keep_maps=True")
    if not 0 <= level < model.levels or not 0 <= node < model.config.nodes:
        raise ConfigError(
            f"no node {node} on level {level}: {model.levels} levels of {model.config.nodes} nodes"
        )
    weight, bias = model.projections[level][node : node + 1], model.biases[level][node : node + 1]
    return AF.activation_map(encoding.maps[level], weight, bias)[0, 0]
