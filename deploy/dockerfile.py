"""Reads a Dockerfile and a .dockerignore: as much of them as this project's need."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

__all__ = [
    "DockerfileError",
    "Health",
    "Ignored",
    "Step",
    "command_of",
    "health_of",
    "read_steps",
    "words_of",
]

KNOWN = ("FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD")


class DockerfileError(Exception):
    """A Dockerfile has what cannot be replayed here."""


@dataclass(frozen=True)
class Step:
    """One instruction.

    Attributes:
        line: Where it begins in the file.
        word: The instruction, in capitals.
        text: What follows it, continued lines joined.
    """

    line: int
    word: str
    text: str


@dataclass(frozen=True)
class Health:
    """How a container is asked whether it is well.

    Attributes:
        command: Ends with 0 if it is.
        interval_s: Between two questions.
        timeout_s: Longest that one may take.
        start_s: For which a "no" does not count.
        retries: How often "no" makes it unwell.
    """

    command: list[str]
    interval_s: float = 30.0
    timeout_s: float = 30.0
    start_s: float = 0.0
    retries: int = 3


@dataclass(frozen=True)
class Ignored:
    r"""What a .dockerignore keeps out of the image.

    Attributes:
        patterns: Its lines.

    Examples:
        >>> ignored = Ignored.read("tests\n**/__pycache__\n# a comment\n")
        >>> [ignored.has(path) for path in ("tests/a.py", "app/__pycache__/a.pyc", "app/a.py")]
        [True, True, False]
    """

    patterns: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Ignored":
        """From the file's text."""
        lines = (line.strip().strip("/") for line in text.splitlines())
        return cls(tuple(line for line in lines if line and not line.startswith("#")))

    def has(self, path: str) -> bool:
        """Whether a path, from where the Dockerfile lies, stays out."""
        parts = PurePosixPath(path).parts
        heads = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        return any(self._matches(head, pattern) for head in heads for pattern in self.patterns)

    @staticmethod
    def _matches(path: str, pattern: str) -> bool:
        if pattern.startswith("**/"):
            rest = pattern.removeprefix("**/")
            return fnmatch(path, rest) or fnmatch(path, f"*/{rest}")
        return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def read_steps(text: str) -> list[Step]:
    """The instructions of a Dockerfile, in order.

    Raises:
        DockerfileError: At an instruction that cannot be replayed.
    """
    steps = []
    for number, line in _joined(text):
        word, _, rest = line.partition(" ")
        if word.upper() not in KNOWN:
            raise DockerfileError(f"line {number}: {word} cannot be replayed; known are {', '.join(KNOWN)}")
        steps.append(Step(number, word.upper(), rest.strip()))
    return steps


def command_of(text: str) -> list[str]:
    """The words of a command, given as JSON or for a shell.

    Examples:
        >>> command_of('["python", "-m", "app"]'), command_of("echo $HOME")
        (['python', '-m', 'app'], ['/bin/sh', '-c', 'echo $HOME'])
    """
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError as error:
            raise DockerfileError(f"{text}: is no list of words in JSON ({error})") from error
        return [str(word) for word in words]
    return ["/bin/sh", "-c", text]


def health_of(text: str) -> Health:
    """What a HEALTHCHECK says.

    Raises:
        DockerfileError: If it has no command.
    """
    options, found, command = text.partition("CMD ")
    if not found:
        raise DockerfileError(f"HEALTHCHECK {text}: has no CMD")
    values = dict(option.removeprefix("--").split("=", 1) for option in shlex.split(options))
    return Health(
        command_of(command.strip()),
        interval_s=_seconds(values.get("interval", "30s")),
        timeout_s=_seconds(values.get("timeout", "30s")),
        start_s=_seconds(values.get("start-period", "0s")),
        retries=int(values.get("retries", "3")),
    )


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end with a backslash joined with the next."""
    begun, parts = 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        begun = begun if parts else number
        parts.append(line.strip().removesuffix("\\").strip())
        if not line.rstrip().endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        yield begun, " ".join(parts)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if found is None:
        raise DockerfileError(f"{text}: is no time such as 30s")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def words_of(text: str) -> list[str]:
    """The words of an instruction that has neither options nor quotes of its own."""
    return [word for word in shlex.split(text) if not word.startswith("--")]
