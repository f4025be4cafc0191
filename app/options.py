"""How a frozen dataclass of settings is read: from flags, else from AVSL_* variables, else as declared.

A field is declared with `setting(default, kind, help)`. Its flag and its variable follow from its name:
`max_upload_mb` is `--max-upload-mb` and AVSL_MAX_UPLOAD_MB.
"""

import argparse
import ipaddress
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from avsl_core.errors import ConfigError

__all__ = [
    "Kind",
    "Network",
    "amount",
    "count",
    "folder",
    "host_names",
    "limit",
    "networks",
    "port",
    "read_options",
    "root",
    "setting",
    "switch",
    "text",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
"""A range of addresses."""

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Kind:
    """What a setting holds.

    Attributes:
        read: Makes the value of a text; raises ConfigError with what would be right.
        metavar: Stands for the text in `--help`; empty for a switch, which has no text.
    """

    read: Callable[[str], Any]
    metavar: str = ""


def setting(default: Any, kind: Kind, group: str, text: str, *, secret: bool = False, shown: str = "") -> Any:
    """Declare a field.

    Args:
        default: Its value if nothing is said.
        kind: What it holds.
        group: The heading in `--help`.
        text: What it does, in one sentence or two.
        secret: Keep it out of flags, which every user of a machine can read, and out of what is printed.
        shown: What `--help` says of the default, if not the default.
    """
    about = {"kind": kind, "group": group, "text": text, "secret": secret, "shown": shown}
    return field(default=default, metadata=about, repr=not secret)


def read_options(
    settings: type, program: str, about: str, arguments: Sequence[str] | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    """What flags and variables say; fields of which neither speaks are left out.

    A mistake in a flag ends the program with status 2, as `--help` does with 0: that is argparse's way.

    Raises:
        ConfigError: If a variable cannot be used.
    """
    parser = _Parser(
        prog=program, usage="%(prog)s [flags]", description=about, epilog=_EPILOG, allow_abbrev=False
    )
    groups: dict[str, Any] = {}
    known = fields(settings)
    for known_field in known:
        group = known_field.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        if not known_field.metadata["secret"]:
            _add(groups[group], known_field)
        else:
            groups[group].description = f"{_variable(known_field)}: {known_field.metadata['text']}"
    given = vars(parser.parse_args(arguments))
    values = _from_environment(known, environment)
    return values | {name: value for name, value in given.items() if value is not None}


_EPILOG = (
    "Every flag can also be given as a variable of the environment: --max-upload-mb is AVSL_MAX_UPLOAD_MB. "
    "The flag wins."
)


class _Parser(argparse.ArgumentParser):
    """Complains in one line: the usage of thirty flags would bury it."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the terminal is ours
        raise SystemExit(2)


def _add(group: Any, known: "Field[Any]") -> None:
    kind: Kind = known.metadata["kind"]
    flag = "--" + known.name.replace("_", "-")
    shown = known.metadata["shown"] or _printed(known.default)
    text = f"{known.metadata['text']} (default: {shown})".replace("%", "%%")
    if kind.metavar:
        group.add_argument(flag, type=_for_argparse(kind), metavar=kind.metavar, help=text)
    else:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)


def _printed(value: Any) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _for_argparse(kind: Kind) -> Callable[[str], Any]:
    def read(given: str) -> Any:
        try:
            return kind.read(given)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _variable(known: "Field[Any]") -> str:
    return f"AVSL_{known.name.upper()}"


def _from_environment(known: Sequence["Field[Any]"], environment: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for each in known:
        given = environment.get(_variable(each), "")
        if given == "":  # an empty variable is one that is not set
            continue
        try:
            values[each.name] = each.metadata["kind"].read(given)
        except ConfigError as error:
            raise ConfigError(f"{_variable(each)}: {error}") from error
    return values


def text(metavar: str) -> Kind:
    """Any text."""
    return Kind(str, metavar)


def folder() -> Kind:
    """A folder; ~ is the user's own."""
    return Kind(lambda given: Path(given).expanduser(), "FOLDER")


def switch() -> Kind:
    """Yes or no."""

    def read(given: str) -> bool:
        if given.lower() not in _YES + _NO:
            raise ConfigError(f"{given}: give yes or no")
        return given.lower() in _YES

    return Kind(read)


def count(metavar: str = "N") -> Kind:
    """A whole number of at least 1."""
    return Kind(lambda given: _whole(given, 1), metavar)


def limit(metavar: str = "N") -> Kind:
    """A whole number; 0 sets no limit."""
    return Kind(lambda given: _whole(given, 0), metavar)


def amount(metavar: str) -> Kind:
    """A number above 0."""

    def read(given: str) -> float:
        try:
            value = float(given)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e9:  # neither "nan" nor "inf"
            raise ConfigError(f"{given}: give a number above 0")
        return value

    return Kind(read, metavar)


def port() -> Kind:
    """A port."""

    def read(given: str) -> int:
        value = _whole(given, 0)
        if value > 65_535:
            raise ConfigError(f"{given}: give a port between 1 and 65535")
        return value

    return Kind(read, "PORT")


def root() -> Kind:
    """The path under which a proxy serves the app, as /avsl."""

    def read(given: str) -> str:
        path = "/" + given.strip("/")
        if any(not part or part in (".", "..") or not _plain(part) for part in path[1:].split("/")):
            raise ConfigError(f"{given}: give a path of letters, digits and hyphens, such as /avsl")
        return path

    return Kind(read, "PATH")


def networks() -> Kind:
    """Addresses or ranges, parted by commas."""

    def read(given: str) -> tuple[Network, ...]:
        try:
            return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in given.split(","))
        except ValueError as error:
            raise ConfigError(
                f"{given}: give addresses or ranges parted by commas, such as 127.0.0.1,10.0.0.0/8"
            ) from error

    return Kind(read, "ADDRESSES")


def host_names() -> Kind:
    """Names of hosts, parted by commas; * is any."""

    def read(given: str) -> tuple[str, ...]:
        found = tuple(part.strip().lower() for part in given.split(","))
        if any(not part or "/" in part or " " in part for part in found):
            raise ConfigError(f"{given}: give names parted by commas, such as pictures.example.org")
        return found

    return Kind(read, "NAMES")


def _plain(part: str) -> bool:
    return part.isascii() and all(letter.isalnum() or letter in "-_." for letter in part)


def _whole(given: str, least: int) -> int:
    value = int(given) if given.isascii() and given.isdigit() else -1
    if value < least:
        raise ConfigError(f"{given}: give a whole number of at least {least}")
    return value
