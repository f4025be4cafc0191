"""Frozen dataclasses to and from plain dictionaries, strictly: an unknown key is an error."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from avsl_core.errors import ConfigError

__all__ = ["chosen_options", "from_dict", "parse_override", "to_dict", "with_defaults"]

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a configuration into JSON-ready values (tuples become lists)."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {spec.name: plain(getattr(value, spec.name)) for spec in dataclasses.fields(value)}
        if isinstance(value, tuple | list):
            return [plain(item) for item in value]
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return value

    return dict(plain(config))


def chosen_options(config: Any) -> dict[str, Any]:
    """What of a configuration differs from the defaults, JSON-ready.

    An option that a later version adds, left at its default, changes nothing here.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     width: int = 1
        ...     height: int = 1
        >>> chosen_options(Size(height=2))
        {'height': 2}
    """
    chosen: dict[str, Any] = {}
    for spec in dataclasses.fields(config):
        value = getattr(config, spec.name)
        if dataclasses.is_dataclass(value):
            chosen[spec.name] = {"": type(value).__name__} | chosen_options(value)
            continue
        default = spec.default
        if spec.default_factory is not dataclasses.MISSING:
            default = spec.default_factory()
        if default is dataclasses.MISSING or value != default:
            chosen[spec.name] = list(value) if isinstance(value, tuple) else value
    return chosen


def with_defaults(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete what an earlier version wrote by :func:`to_dict`, to compare it with what this one writes.

    Args:
        kind: The dataclass, all of whose options have defaults.
        values: As written; options that it lacks get their defaults, also inside groups.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     width: int = 1
        ...     height: int = 1
        >>> with_defaults(Size, {"width": 3})
        {'width': 3, 'height': 1}
    """

    def merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        merged = dict(defaults)
        for key, value in own.items():
            default = merged.get(key)
            if isinstance(default, Mapping) and isinstance(value, Mapping):
                merged[key] = merge(default, value)
            else:
                merged[key] = value
        return merged

    return merge(to_dict(kind()), values)


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str = "configuration") -> T:
    """Build a configuration from plain values.

    Args:
        kind: A dataclass; nested dataclasses are built from nested mappings.
        values: Keys are field names; missing ones keep their default.
        where: What the values came from, for messages.

    Raises:
        ConfigError: If a key is unknown, a value has the wrong type, or the configuration refuses it.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     width: int = 1
        >>> from_dict(Size, {"widht": 2})
        Traceback (most recent call last):
        avsl_core.errors.ConfigError: unknown key 'widht' in configuration; known: width
    """
    hints = typing.get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must be a group of options, not {values!r}")
    names = [spec.name for spec in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise ConfigError(f"unknown key {key!r} in {where}; known: {', '.join(names)}")
    for spec in dataclasses.fields(kind):  # type: ignore[arg-type]
        required = spec.default is spec.default_factory is dataclasses.MISSING
        if required and spec.name not in values:
            raise ConfigError(f"{where} lacks {spec.name!r}: give it a value")
    built = {key: _coerce(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    return kind(**built)


def parse_override(kind: type[Any], text: str) -> tuple[str, Any]:
    """Read one ``key=value`` from a command line for a dataclass.

    Tuples are written with commas. ``none`` is None where the field allows it.

    Raises:
        ConfigError: If there is no ``=``, the key is unknown or the value has the wrong type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Plan:
        ...     rates: tuple[float, ...] = ()
        >>> parse_override(Plan, "rates=0.5,1")
        ('rates', (0.5, 1.0))
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"{text!r}: write options as key=value")
    hints = typing.get_type_hints(kind)
    if key not in hints:
        raise ConfigError(f"unknown option {key!r}; known: {', '.join(sorted(hints))}")
    return key, _parse(hints[key], value, key)


def _coerce(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        return from_dict(hint, value, where=where)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        arguments = typing.get_args(hint)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_coerce(arguments[0], item, where) for item in value)
        if len(arguments) != len(value):
            raise ConfigError(f"{where} must have {len(arguments)} entries, not {len(value)}")
        return tuple(_coerce(a, item, where) for a, item in zip(arguments, value, strict=True))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a group of options, not {value!r}")
        kinds = typing.get_args(hint)
        return {
            _coerce(kinds[0], key, where): _coerce(kinds[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if origin in (typing.Union, types.UnionType):
        return _coerce_one_of(typing.get_args(hint), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(
                f"{where} must be one of {', '.join(map(repr, typing.get_args(hint)))}, not {value!r}"
            )
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ConfigError(f"{where} is too large a number") from error
    if hint is type(None) and value is None:
        return None
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where} must be {getattr(hint, '__name__', hint)}, not {value!r}")


def _coerce_one_of(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    """Try each choice in turn; of groups of options the one that knows most keys says what is wrong."""
    for choice in choices:
        try:
            return _coerce(choice, value, where)
        except ConfigError:
            continue
    groups = [choice for choice in choices if dataclasses.is_dataclass(choice)]
    if isinstance(value, Mapping) and groups:
        meant = max(groups, key=lambda g: sum(spec.name in value for spec in dataclasses.fields(g)))
        _coerce(meant, value, where)
    raise ConfigError(f"{where}: {value!r} is not allowed here")


def _parse(hint: Any, text: str, key: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is tuple:
        arguments = typing.get_args(hint)
        items = [item.strip() for item in text.split(",") if item.strip()]
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            arguments = (arguments[0],) * len(items)
        if len(arguments) != len(items):
            raise ConfigError(f"{key}={text}: must have {len(arguments)} entries, not {len(items)}")
        return tuple(_parse(a, item, key) for a, item in zip(arguments, items, strict=True))
    if origin in (typing.Union, types.UnionType):
        choices = typing.get_args(hint)
        if type(None) in choices and text.lower() == "none":
            return None
        for choice in choices:
            try:
                return _parse(choice, text, key)
            except ConfigError:
                continue
        raise ConfigError(f"{key}={text}: not a value this option takes")
    if hint is bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"{key}={text}: write true or false")
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError as error:
            raise ConfigError(f"{key}={text}: must be {hint.__name__}") from error
    return _coerce(hint, text, key)
