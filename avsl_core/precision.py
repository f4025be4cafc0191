"""The precision a trunk computes in, and what this machine makes of it."""

import logging
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from typing import Any, Literal

import torch

__all__ = ["Precision", "cpu_features", "effective_precision", "is_bf16_fast", "trunk_precision"]

Precision = Literal["none", "bf16", "fp16"]

_log = logging.getLogger(__name__)

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

_BF16 = "bf16"  # convolutions and products in bfloat16 have a fast path
# Wide enough for that path to gain by the halved traffic, even without instructions of its own.
_FAST = frozenset({"AVX512", _BF16})


def cpu_features() -> frozenset[str]:
    """What this CPU offers for bfloat16, as torch sees it.

    Returns:
        The name of its vector instructions (``"AVX2"``, ``"AVX512"``, ``"DEFAULT"`` ...), and ``"bf16"``
        where torch has fast convolutions of that type for it.
    """
    features = {str(torch.backends.cpu.get_cpu_capability())}
    # None of these is public: a torch without one of them counts as a CPU without what it asks for.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    checks = [(torch.cpu, name) for name in names] + [(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")]
    if any(_holds(where, name) for where, name in checks):
        features.add(_BF16)
    return frozenset(features)


def is_bf16_fast(features: AbstractSet[str] | None = None) -> bool:
    """Whether a CPU works in bfloat16 at least about as fast as in float32.

    Others convert number by number: a network of the size of a phone's is then some 15 times slower.

    Args:
        features: As of :func:`cpu_features`; None for this CPU.

    Example:
        >>> is_bf16_fast({"AVX2"}), is_bf16_fast({"AVX512"}), is_bf16_fast({"DEFAULT", "bf16"})
        (False, True, True)
    """
    return not _FAST.isdisjoint(cpu_features() if features is None else features)


def effective_precision(
    wanted: Precision,
    device: torch.device,
    *,
    features: AbstractSet[str] | None = None,
    level: int = logging.WARNING,
) -> Precision:
    """What to compute in where a precision is wished for: float32 where the CPU would only emulate bfloat16.

    Says so in the log, once in a process, and again only if louder.

    Args:
        wanted: The wish.
        device: Where the trunk is.
        features: What the CPU offers, as of :func:`cpu_features`; None for this one.
        level: Of the message; lower where the wish is a recipe's rather than a person's.

    Returns:
        ``wanted``, or ``"none"``.

    Example:
        >>> effective_precision("bf16", torch.device("cuda"), features={"AVX2"})
        'bf16'
    """
    if wanted != "bf16" or device.type != "cpu" or is_bf16_fast(features):
        return wanted
    _tell(level)
    return "none"


def trunk_precision(precision: Precision, device: torch.device) -> Any:
    """The context in which a trunk computes in just this precision, however slowly.

    See :func:`effective_precision` for what suits the machine.
    """
    if precision == "none":
        return nullcontext()
    return torch.autocast(device.type, _TYPES[precision])


_told: set[int] = set()  # levels


def _tell(level: int) -> None:
    if any(level <= told for told in _told):
        return
    _told.add(level)
    _log.log(level, "this CPU is slow in bf16 (it has no AVX-512 or bf16 instructions): working in float32")


def _holds(where: Any, name: str) -> bool:
    try:
        return bool(getattr(where, name)())
    except (AttributeError, RuntimeError):
        return False
