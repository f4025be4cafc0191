"""What every method can do: encode once, then compare and explain without another pass."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from avsl_core.errors import EncodingError
from avsl_core.models.backbone import Backbone
from avsl_core.models.explanation import Explanation
from avsl_core.models.measure import Measure, Rows

__all__ = ["Encoding", "Role", "SimilarityModel"]

Role = Literal["query", "gallery"]
"""Side of a comparison, for methods that look at the two sides differently (RAML)."""

_DEFAULT_BYTE_BUDGET = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Encoding:
    """What a method remembers of a batch of pictures: an immutable value.

    Subclasses add fields; each is a tensor with the batch first, a tuple of such tensors, another encoding
    of the same pictures, or None.
    """

    def __len__(self) -> int:
        for value in self._values():
            for tensor in _tensors(value):
                return int(tensor.shape[0])
        return 0

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Self:
        """Select pictures; a single number, also a tensor's or numpy's, keeps a batch of one."""
        if not isinstance(index, int | slice):
            index = torch.as_tensor(index)
            if index.dim() == 0 and index.dtype != torch.bool:
                index = int(index)
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"picture {index} of an encoding of {len(self)}")
            index = slice(index, index + 1 or None)
        elif isinstance(index, Tensor) and index.numel() == 0:
            index = index.long()  # torch takes an empty list for float
        return self._map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Self:
        """Move to a device."""
        return self._map(lambda tensor: tensor.to(device))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join batches of the same method.

        Raises:
            EncodingError: If there are none, or they do not fit together.
        """
        if not parts:
            raise EncodingError("nothing to join: give at least one encoding")
        if strange := next((part for part in parts if not isinstance(part, cls)), None):
            raise EncodingError(
                f"cannot join {type(strange).__name__} to {cls.__name__}: encode with one model"
            )
        try:
            return cls._join(parts)
        except (RuntimeError, ValueError) as error:  # sizes, or numbers of levels
            raise EncodingError(
                f"the encodings do not fit together ({error}): encode with one model"
            ) from error

    @classmethod
    def _join(cls, parts: Sequence[Self]) -> Self:
        joined: dict[str, Any] = {}
        for spec in dataclasses.fields(cls):
            values = [getattr(part, spec.name) for part in parts]
            if any(value is None for value in values):
                if spec.name != "maps" and any(value is not None for value in values):
                    raise EncodingError(
                        f"some of the encodings lack {spec.name!r}: encode all of them for the same side"
                    )
                joined[spec.name] = None
            elif isinstance(values[0], Encoding):
                joined[spec.name] = type(values[0]).concatenate(values)
            elif isinstance(values[0], tuple):
                joined[spec.name] = tuple(torch.cat(level) for level in zip(*values, strict=True))
            else:
                joined[spec.name] = torch.cat(values)
        return cls(**joined)

    def _values(self) -> list[Any]:
        return [getattr(self, spec.name) for spec in dataclasses.fields(self)]

    def _map(self, function: Any) -> Self:
        changed: dict[str, Any] = {}
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, tuple):
                changed[spec.name] = tuple(function(tensor) for tensor in value)
            elif isinstance(value, Encoding):
                changed[spec.name] = value._map(function)
            else:
                changed[spec.name] = None if value is None else function(value)
        return type(self)(**changed)


class SimilarityModel(nn.Module, ABC):
    """A method: a trunk, heads on its maps, a distance and an account of the distance.

    Nothing of a request is kept on the model, so any number of threads may share one.
    """

    method: ClassVar[str]
    config: Any
    trunk: Backbone

    def trunk_maps(self, images: Tensor, role: Role | None = None) -> list[Tensor]:
        """Run the trunk: ``[B, 3, S, S]`` normalised to one ``[B, C, H, W]`` per level.

        Args:
            images: As :meth:`encode` takes them.
            role: The only side that is needed; None for both. Symmetric methods ignore it.
        """
        maps: list[Tensor] = self.trunk(images)
        return maps

    @abstractmethod
    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> Encoding:
        """Encode from the trunk's maps (which may come from a cache): those of ``role``, or of both sides."""

    def encode(self, images: Tensor, role: Role | None = None, *, keep_maps: bool = True) -> Encoding:
        """Encode a batch of pictures, once for all comparisons to come.

        Args:
            images: ``[B, 3, S, S]``, normalised as the model's preprocessing does.
            role: Side of the comparison; None for either. Symmetric methods ignore it; and so do all with
                ``keep_maps``, because an explanation needs both sides.
            keep_maps: Whether to keep what :meth:`explain` needs; distances need less.

        Raises:
            EncodingError: If the tensor is not a batch of RGB pictures, or holds whole numbers.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise EncodingError(f"pictures must be [B, 3, S, S], not {tuple(images.shape)}")
        if not images.is_floating_point():
            raise EncodingError(f"pictures must be floating point, not {images.dtype}: normalise them first")
        side = None if keep_maps else role  # an explanation looks at both sides
        return self.encode_maps(self.trunk_maps(images, side), side, keep_maps=keep_maps)

    def pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """What the projections see of the trunk's maps: average plus maximum, ``[B, C]`` per level."""
        return [m.mean(dim=(2, 3)) + m.amax(dim=(2, 3)) for m in maps]

    @property
    def embedded_width(self) -> int:
        """D of :meth:`embedded_map`.

        Raises:
            EncodingError: If the method has no such map.
        """
        raise EncodingError(f"method {self.method!r} has no embedded map to match cells of")

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The top level in the space of its vector: what structural matching compares.

        Args:
            maps: The trunk's.

        Returns:
            The map ``[B, D, H, W]`` and the whole picture's vector ``[B, D]``, neither normalised.

        Raises:
            EncodingError: If the method has no such map.
        """
        raise EncodingError(f"method {self.method!r} has no embedded map to match cells of")

    @abstractmethod
    def distance(self, a: Encoding, b: Encoding) -> Tensor:
        """Measure pairs: ``[B]``, smaller is closer."""

    @abstractmethod
    def distance_matrix(self, a: Encoding, b: Encoding, *, byte_budget: int = _DEFAULT_BYTE_BUDGET) -> Tensor:
        """Measure all of a against all of b, ``[N, M]``, holding at most about ``byte_budget`` at once."""

    @abstractmethod
    def explain(self, a: Encoding, b: Encoding) -> Explanation:
        """Account for the distance of one pair, from two encodings of one picture each."""

    @abstractmethod
    def node_vectors(self, encoding: Encoding) -> Tensor:
        """One vector per picture, ``[B, D]``, for clustering and approximate search."""

    @abstractmethod
    def measure(self) -> Measure:
        """What decides this model's distances, as it stands now, for search on rows."""

    @abstractmethod
    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """Flatten an encoding for search and storage; maps are left behind.

        Args:
            encoding: Of this model, for this side or for both.
            role: The side that the rows stand on. Symmetric methods ignore it.
        """

    @property
    def trunks(self) -> tuple[Backbone, ...]:
        """All trunks that make :meth:`trunk_maps`; most methods have one."""
        return (self.trunk,)

    @property
    def maps_settings(self) -> dict[str, Any]:
        """What else decides :meth:`trunk_maps`, JSON-ready: caches of maps go by it. Mostly nothing."""
        return {}

    def at_scale(self, scale: float) -> Self:
        """The model for pictures that are larger or smaller than usual by a factor: mostly itself."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.parameters()).device


def check_pair(a: Encoding, b: Encoding, kind: type[Encoding]) -> None:
    """Refuse encodings of another method, or of several pictures where one is needed.

    Raises:
        EncodingError: Saying which.
    """
    for encoding in (a, b):
        if not isinstance(encoding, kind):
            raise EncodingError(
                f"need {kind.__name__}, not {type(encoding).__name__}: encode with this model"
            )
        if len(encoding) != 1:
            raise EncodingError(
                f"explain takes one picture a side, not {len(encoding)}; pick one: encoding[i]"
            )


def check_counts(a: Encoding, b: Encoding) -> None:
    """Refuse to pair batches of different sizes, unless one of them is a single picture.

    Raises:
        EncodingError: Saying both sizes.
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise EncodingError(f"pairs need equal numbers: {len(a)} and {len(b)} pictures")


def check_widths(nodes: Sequence[Tensor], widths: Sequence[int]) -> None:
    """Refuse an encoding whose levels are not those of the model that is to compare it.

    Raises:
        EncodingError: Saying both.
    """
    given = [int(level.shape[-1]) for level in nodes]
    if given != list(widths):
        raise EncodingError(
            f"the encoding has {given} nodes, this model {list(widths)}: encode with this model"
        )


def _tensors(value: Any) -> tuple[Tensor, ...]:
    if value is None:
        return ()
    if isinstance(value, Encoding):
        return tuple(tensor for own in value._values() for tensor in _tensors(own))
    return value if isinstance(value, tuple) else (value,)
