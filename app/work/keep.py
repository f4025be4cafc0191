"""Pictures behind links: kept for some hours under names that nobody can guess, then deleted.

A link that restores what a visitor saw has to find the visitor's pictures again. They lie in one folder,
which several worker processes may share, each under a key of 32 hexadecimal digits. The key is a keyed hash
of the picture and of what the visitor calls it, with a secret that never leaves the folder: who happens to
have the same picture can neither find out that somebody compared it, nor by which name.

Only what a page draws anew is ever shown of a kept picture (:meth:`app.work.workbench.Workbench.preview` with
``always=True``): its file may tell where it was taken.
"""

import hashlib
import logging
import os
import re
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from app.explore import shelf
from app.look.printable import display_name
from app.work.workbench import PictureFile
from avsl_core.errors import AvslError

__all__ = ["Keep", "KeptError", "default_folder", "display_name", "linked_pair"]

log = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{32}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_NAMED = ".name"  # after a key: what the visitor calls the picture
_SECRET = ".secret"
_ROUND = 600.0  # seconds between two looks at what has expired, at most


class KeptError(AvslError):
    """A link's pictures are not here, or a picture cannot be kept."""


class Keep:
    """Keeps pictures for links.

    Args:
        folder: Where they lie; made when the first one is put there. Several processes may share it.
        hours: How long a picture is kept after it was last put here.
        max_bytes: Of all pictures together; the oldest go first.

    Raises:
        KeptError: If the numbers make no sense.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     upload = Path(folder) / "upload"
        ...     _ = upload.write_bytes(b"not looked at here")
        ...     keep = Keep(Path(folder) / "kept")
        ...     key = keep.put(PictureFile(upload, "a/b/jay.webp"))
        ...     len(key), keep.get(key).name
        (32, 'jay.webp')
    """

    def __init__(self, folder: Path, *, hours: float = 24.0, max_bytes: int = 2 * 2**30) -> None:
        if hours <= 0 or max_bytes < 1:
            raise KeptError(f"keeping {max_bytes} bytes for {hours} hours keeps nothing; give more of both")
        self.folder, self.hours, self.max_bytes = folder.absolute(), hours, max_bytes
        self._sweeping, self._added = threading.Lock(), 0
        _start_sweeper(self)

    @property
    def words(self) -> str:
        """How long a link holds, in words."""
        seconds = 3600 * self.hours
        for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
            if seconds >= 2 * size:
                return f"{int(seconds / size)} {unit}s"  # never more than is kept
        return f"{int(seconds)} seconds" if seconds >= 2 else "1 second"

    def put(self, file: PictureFile) -> str:
        """Keep a copy of a picture; one that is here already is kept for longer.

        Args:
            file: The picture.

        Returns:
            Its key.

        Raises:
            ImageError: If the file is gone, empty or too heavy.
            KeptError: If it cannot be kept.
        """
        data, name = file.read(), display_name(file.name)
        if len(data) > self.max_bytes:
            raise KeptError(f"{name}: too large to be kept behind a link; choose a smaller picture")
        try:
            key = self._key(name, data)
            if not self._put(self.folder / key, name, data):
                return key
        except OSError as error:
            log.warning("a picture could not be kept: %s", error)
            raise KeptError(f"{name}: cannot be kept right now; try again later") from error
        self._make_room(len(data))
        return key

    def get(self, key: str) -> PictureFile:
        """A kept picture by its key, as the visitor called it.

        Args:
            key: It comes from outside.

        Raises:
            KeptError: If there is none, or not any longer.
        """
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise KeptError(
                "this link is damaged: copy it once more, all of it, or choose the pictures again"
            )
        place = self.folder / key
        try:
            age = time.time() - place.stat().st_mtime
            name = place.with_suffix(_NAMED).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise self._gone() from None
        if age > self.hours * 3600:
            raise self._gone()
        return PictureFile(place, display_name(name))

    def sweep(self) -> int:
        """Delete what has expired, and the oldest of what is too much.

        Returns:
            Pictures deleted.
        """
        with self._sweeping:
            now, swept, total = time.time(), 0, 0
            oldest = now - self.hours * 3600
            kept: list[tuple[float, int, Path]] = []
            for entry, status in self._entries():
                if _KEY.fullmatch(entry.name):
                    kept.append((status.st_mtime, status.st_size, entry))
                elif status.st_mtime < oldest and _is_left(entry):
                    entry.unlink(missing_ok=True)
            for changed, size, place in sorted(kept, reverse=True):
                total += size  # of what is newer as well: beyond the limit all that is older goes
                if changed < oldest or total > self.max_bytes:
                    swept += _delete(place, changed)
            return swept

    def _put(self, place: Path, name: str, data: bytes) -> bool:
        """Write a picture and its name, or keep both for longer.

        Returns:
            Whether the picture was not there.
        """
        named, new = place.with_suffix(_NAMED), False
        # The picture comes last: whoever finds it finds its name as well.
        self._write(named, name.encode())
        try:
            os.utime(place)
        except FileNotFoundError:
            new = True
            self._write(place, data)
        if not named.exists():  # went with a former copy that another process has just deleted
            self._write(named, name.encode())
        return new

    def _make_room(self, added: int) -> None:
        """Look at the whole folder only when much was added to it."""
        self._added += added
        if self._added > self.max_bytes // 20:
            self._added = 0
            self.sweep()

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Files of the folder that are still there when they are looked at."""
        try:
            entries = list(self.folder.iterdir())
        except OSError:
            return
        for entry in entries:
            with suppress(OSError):
                yield entry, entry.stat()

    def _key(self, name: str, data: bytes) -> str:
        return hashlib.blake2b(name.encode() + b"\0" + data, digest_size=16, key=self._secret()).hexdigest()

    def _secret(self) -> bytes:
        """The folder's own; the first process that needs it makes it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self.folder / _SECRET
        with suppress(FileNotFoundError):
            return place.read_bytes()
        temporary = self._temporary(secrets.token_bytes(32))
        try:
            with suppress(FileExistsError):  # another process was faster
                os.link(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        return place.read_bytes()

    def _write(self, place: Path, data: bytes) -> None:
        """Write a file that appears whole or not at all."""
        temporary = self._temporary(data)
        try:
            temporary.replace(place)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _temporary(self, data: bytes) -> Path:
        temporary = self.folder / f".{secrets.token_hex(16)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # nobody else's business
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _gone(self) -> KeptError:
        return KeptError(
            f"this link's pictures are no longer kept: they are deleted after {self.words}; "
            "choose the pictures again"
        )


def linked_pair(keep: Keep, link: Mapping[str, str]) -> tuple[PictureFile, PictureFile] | None:
    """The two kept pictures that an address names.

    Args:
        keep: Where they are.
        link: The values of the address: ``a`` and ``b`` are keys.

    Returns:
        None if the address names no kept pictures, such as one of a gallery or of an example.

    Raises:
        KeptError: If it does, and one of them is not here any longer.
    """
    if link.get("gallery") or not (link.get("a") or link.get("b")):
        return None
    return keep.get(link.get("a", "")), keep.get(link.get("b", ""))


def default_folder() -> Path:
    """Where pictures are kept unless the command says otherwise: beside the galleries."""
    return shelf.default_folder().parent / "kept"


def _is_left(entry: Path) -> bool:
    """Whether a file is the remainder of a process that was ended."""
    if entry.suffix == _NAMED:
        return not entry.with_suffix("").exists()
    return _TEMPORARY.fullmatch(entry.name) is not None


def _delete(place: Path, changed: float) -> int:
    """Delete a picture, then its name; neither if it was put again since it was looked at."""
    try:
        if place.stat().st_mtime != changed:
            return 0
        place.unlink()
    except OSError:
        return 0
    if not place.exists():  # else another process has put it again at this moment
        place.with_suffix(_NAMED).unlink(missing_ok=True)
    return 1


def _start_sweeper(keep: Keep) -> None:
    """Delete on schedule also while nobody comes, until the keep is forgotten."""
    pause, known = min(_ROUND, keep.hours * 3600 / 4), weakref.ref(keep)
    done = threading.Event()
    weakref.finalize(keep, done.set)

    def run() -> None:
        while True:
            here = known()
            if here is None:
                return
            try:
                here.sweep()
            except OSError:
                log.exception("deleting expired pictures failed")
            del here
            if done.wait(pause):
                return

    threading.Thread(target=run, name="avsl-keep", daemon=True).start()
