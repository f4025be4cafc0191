"""Every limit and choice of the server: one frozen value, read from flags and from AVSL_* variables.

A flag wins over its variable, the variable over the default. What each setting means stands beside its field;
`python -m app --help` is made of it.
"""

# ruff: noqa: RUF009 - the calls declare fields; their defaults are immutable
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app import options as o
from avsl_core.errors import ConfigError

__all__ = ["LOCAL_HOSTS", "Settings"]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine can reach."""

_PER_MINUTE = 600
_SHORTEST_PASSWORD = 8
_LARGEST_PICTURE_MB = 64  # of the library

_SERVE, _MODEL = "where to serve", "what compares"
_DOOR, _LOAD = "who may come in", "how much the server takes on"
_STORE, _GALLERIES = "what is kept, and for how long", "galleries"


@dataclass(frozen=True)
class Settings:
    """What the server is started with.

    Raises:
        ConfigError: If two settings contradict each other, or a password is too short or cannot be read.

    Examples:
        >>> Settings().per_minute, Settings(host="0.0.0.0").per_minute
        (0, 600)
    """

    host: str = o.setting(
        "127.0.0.1", o.text("ADDRESS"), _SERVE, "Address to listen on; 0.0.0.0 is open to the network."
    )
    port: int = o.setting(7860, o.port(), _SERVE, "Port to listen on.")
    root_path: str = o.setting(
        "", o.root(), _SERVE, "Path under which a proxy serves the app, such as /avsl; passed on or cut off."
    )
    share: bool = o.setting(
        False,
        o.switch(),
        _SERVE,
        "Also open a public link, through Gradio's servers: the one thing that leaves.",
    )
    workers: int = o.setting(
        1, o.count(), _SERVE, "Processes that serve, behind one door; a worker that hangs is replaced."
    )

    checkpoint: str = o.setting(
        "default", o.text("CHECKPOINT"), _MODEL, "File, or name of a shipped checkpoint."
    )
    device: str = o.setting("cpu", o.text("DEVICE"), _MODEL, "cpu, cuda, mps ...")

    user: str = o.setting("avsl", o.text("NAME"), _DOOR, "Name that goes with the password.")
    password: str = o.setting(
        "",
        o.text("PASSWORD"),
        _DOOR,
        "the password that visitors must give, if any. It is no flag, because every user of a machine can "
        "read those; --password-file reads it from a file.",
        secret=True,
    )
    password_file: Path | None = o.setting(
        None, o.Kind(Path, "FILE"), _DOOR, "File whose first line is the password that visitors must give."
    )
    requests_per_minute: int | None = o.setting(
        None,
        o.limit(),
        _DOOR,
        "Requests that one visitor may make in a minute, scripts and styles not counted; 0 is no limit.",
        shown=f"{_PER_MINUTE}, and no limit while this machine alone can open the page",
    )
    trusted_proxies: tuple[o.Network, ...] = o.setting(
        (),
        o.networks(),
        _DOOR,
        "Addresses of the proxies in front: only their word counts for who the visitor is "
        "(X-Forwarded-For, -Host, -Proto).",
    )
    allowed_hosts: tuple[str, ...] = o.setting(
        (),
        o.host_names(),
        _DOOR,
        "Names by which the site may be called; * is any.",
        shown="this machine's names while it alone can open the page, else any",
    )

    slots: int = o.setting(2, o.count(), _LOAD, "Pieces of work that the model does at once.")
    queue: int = o.setting(
        64, o.count(), _LOAD, "Requests that may wait for the model; a further one is sent away at once."
    )
    wait_seconds: float = o.setting(
        30.0, o.amount("S"), _LOAD, "Longest that a request may wait for the model."
    )
    work_seconds: float = o.setting(
        120.0, o.amount("S"), _LOAD, "Longest that one piece of work may take; then it is given up."
    )
    max_upload_mb: int = o.setting(64, o.count("MB"), _LOAD, "Largest picture, as a file.")

    uploads: Path | None = o.setting(
        None,
        o.folder(),
        _STORE,
        "Folder of what visitors upload.",
        shown="one of its own, which goes with the server",
    )
    upload_hours: float = o.setting(
        24.0, o.amount("H"), _STORE, "Hours after which uploads, and pictures made of them, are deleted."
    )
    max_uploads_mb: int = o.setting(
        10_240, o.count("MB"), _STORE, "Most that all uploads may take; beyond it the oldest go first."
    )
    kept: Path | None = o.setting(
        None,
        o.folder(),
        _STORE,
        "Folder of pictures that visitors keep behind a link.",
        shown="beside the galleries",
    )
    kept_hours: float = o.setting(
        168.0, o.amount("H"), _STORE, "Hours after which a kept comparison, and its link, is deleted."
    )

    galleries: Path | None = o.setting(
        None,
        o.folder(),
        _GALLERIES,
        "Where the Explore page keeps galleries.",
        shown="a folder of the user's own",
    )
    allow_folders: bool | None = o.setting(
        None,
        o.switch(),
        _GALLERIES,
        "Let visitors build galleries from folders of this machine.",
        shown="only while it alone can open the page",
    )
    max_archive_mb: int = o.setting(
        2048, o.count("MB"), _GALLERIES, "Largest archive to build from, packed and unpacked."
    )
    max_archive_files: int = o.setting(50_000, o.count(), _GALLERIES, "Most files in such an archive.")

    def __post_init__(self) -> None:
        if self.workers > 1 and self.share:
            raise ConfigError("--share: works with one worker only; leave --workers away")
        if self.password and self.password_file is not None:
            raise ConfigError("AVSL_PASSWORD and --password-file: two passwords; give one of them")
        if self.password_file is not None:
            object.__setattr__(self, "password", _first_line(self.password_file))
            object.__setattr__(self, "password_file", None)
        if self.password and len(self.password) < _SHORTEST_PASSWORD:
            raise ConfigError(
                f"password: has {len(self.password)} characters and would be guessed; "
                f"give one of at least {_SHORTEST_PASSWORD}"
            )
        if self.max_upload_mb > _LARGEST_PICTURE_MB:
            raise ConfigError(
                f"--max-upload-mb {self.max_upload_mb}: pictures of up to {_LARGEST_PICTURE_MB} MB are read"
            )
        if ":" in self.user:  # HTTP Basic parts name and password there
            raise ConfigError(f"--user {self.user}: a name cannot have a colon; leave it away")

    @classmethod
    def read(
        cls, arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Settings from a command line and the environment.

        Args:
            arguments: Flags; those of this process if None.
            environment: Its AVSL_* variables count where no flag is given.

        Raises:
            ConfigError: If a variable cannot be used, or two settings contradict each other.
            SystemExit: After `--help`, or after telling what is wrong with a flag.
        """
        about = "Compare pictures in a browser, and see why."
        return cls(**o.read_options(cls, "python -m app", about, arguments, environment))

    @property
    def local(self) -> bool:
        """Whether only those who sit at this machine can open the page.

        A server on this machine's own address with a proxy in front is as open as the proxy.
        """
        return self.host in LOCAL_HOSTS and not self.share and not self.trusted_proxies

    @property
    def per_minute(self) -> int:
        """Requests that one visitor may make in a minute; 0 is no limit."""
        if self.requests_per_minute is not None:
            return self.requests_per_minute
        return 0 if self.local else _PER_MINUTE

    @property
    def folders_allowed(self) -> bool:
        """Whether visitors may build galleries from folders of this machine."""
        return self.local if self.allow_folders is None else self.allow_folders

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names by which the site may be called; empty for any.

        Another site that a visitor has open could otherwise reach a server on the visitor's own machine,
        under a name of its own that leads there.
        """
        if self.allowed_hosts:
            return () if "*" in self.allowed_hosts else self.allowed_hosts
        return LOCAL_HOSTS if self.local else ()

    @property
    def max_upload_bytes(self) -> int:
        """Largest picture, in bytes."""
        return self.max_upload_mb * 2**20

    @property
    def max_archive_bytes(self) -> int:
        """Largest archive, in bytes."""
        return self.max_archive_mb * 2**20


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: the password cannot be read ({error}); give a readable text file"
        ) from error
    if not lines or not lines[0]:
        raise ConfigError(f"{file}: its first line is empty; write the password there")
    return lines[0]
