"""Building galleries on a visitor's behalf: one at a time, watched and stopped from the page."""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.explore.shelf import DEMO_KEY, Shelf, calling, folder_name
from app.work.workbench import PictureFile, Workbench
from avsl_core.data.archive import is_archive
from avsl_core.errors import AvslError, DataError, GalleryError
from avsl_core.gallery import BuildCancelled, BuildOptions, BuildReport, Gallery, Progress, build_gallery
from avsl_core.gallery.files import absolute_path

__all__ = ["BuildDesk", "BuildJob", "BuildLimits"]

log = logging.getLogger(__name__)

Work = Callable[["BuildJob"], BuildReport | None]

_TICK = 0.25
_BATCH = 16  # small, so that progress moves and a stop is heard soon
_WORK = ".building-"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_ADVICE = (  # for those who have the archive in hand and the program before them: visitors have neither limit
    ("raise that limit if you trust it", "pack fewer or smaller pictures"),
    ("unpack it yourself and give that folder", "pack it again without one"),
    ("get it from its publisher", "pack it again with nothing but pictures"),
)


@dataclass(frozen=True)
class BuildLimits:
    """What visitors may build from.

    Attributes:
        allow_folders: Whether they may name folders of this machine.
        max_archive_bytes: Largest archive, and the most that it may unpack to.
        max_archive_files: Most files in an archive.
        max_galleries: Most galleries in the folder; further ones are not built.
        public: Whether others than those who sit at this machine can open the page.
    """

    allow_folders: bool = False
    max_archive_bytes: int = 2 * 2**30
    max_archive_files: int = 50_000
    max_galleries: int = 50
    public: bool = False


@dataclass(eq=False)
class BuildJob:
    """One build, seen from outside while it runs.

    Attributes:
        key: Names it.
        name: The gallery's.
        progress: How far it has come; None while the source is still being read.
        shared: What it makes, if whoever wants the same joins in; empty for a visitor's own.
        report: What it did, once all of it is done; None if it failed.
        problem: Why it failed, in one line.
        cancelled: Whether it was asked to stop.
        done: Set when it has ended, however it ended.
    """

    key: str
    name: str
    shared: str = ""
    progress: Progress | None = None
    report: BuildReport | None = None
    problem: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> Iterator[None]:
        """Come back whenever there may be news, the last time when it has ended."""
        while not self.done.wait(_TICK):
            yield
        yield


class BuildDesk:
    """Takes one build at a time, and runs it beside the page.

    Args:
        shelf: Where galleries go.
        limits: What may be built from.
    """

    def __init__(self, shelf: Shelf, limits: BuildLimits) -> None:
        self.shelf, self.limits = shelf, limits
        self._lock = threading.Lock()
        self._job: BuildJob | None = None

    @property
    def running(self) -> BuildJob | None:
        """The build under way."""
        job = self._job
        return job if job is not None and not job.done.is_set() else None

    def from_archive(self, archive: PictureFile, name: str, bench: Workbench) -> BuildJob:
        """Start building from an uploaded archive, which is used up.

        Raises:
            GalleryError: If that is not possible; the message says what to do.
        """
        if not is_archive(archive.name):
            raise GalleryError(
                f"{archive.name}: is no .zip, .tar, .tar.gz or .tgz; pack the pictures into one"
            )
        try:
            size = archive.path.stat().st_size
        except OSError as error:
            raise GalleryError(f"{archive.name}: the upload is no longer here; choose it again") from error
        if size > self.limits.max_archive_bytes:
            most = self.limits.max_archive_bytes // 2**20
            raise GalleryError(f"{archive.name}: is larger than {most:,} MB; pack fewer or smaller pictures")
        name = self._new_name(name or _stem(archive.name))
        if self.shelf.index_of(name) is not None:
            raise GalleryError(f"{name}: there is a gallery of that name; give another name")
        if (self.shelf.folder / name).exists():  # a folder build that was stopped leaves one
            raise GalleryError(f"{name}: an unfinished gallery has that name; give another name")
        self._check_room()
        return self._start(name, lambda job: self._build_archive(job, archive, bench))

    def from_folder(self, folder: str, name: str, bench: Workbench) -> BuildJob:
        """Start building from a folder of this machine, or bring its gallery up to date.

        Raises:
            GalleryError: If that is not allowed or not possible; the message says what to do.
        """
        if not self.limits.allow_folders:
            raise GalleryError("Folders of this machine cannot be used here; upload an archive instead")
        path = _folder(folder)
        name = self._new_name(name or path.name)
        index = self.shelf.index_of(name)
        if index is not None and _roots(index, name) != [str(path)]:
            raise GalleryError(
                f"{name}: there is a gallery of that name with other pictures; give another name"
            )
        if index is None:
            self._check_room()
        target = index or self.shelf.new_index(name)
        return self._start(name, lambda job: self._build(job, path, target, bench))

    def demo(self) -> BuildJob:
        """Start building the demo anew, or join in if that is under way.

        Raises:
            GalleryError: If another build is under way.
        """
        demo = self.shelf.demo

        def work(job: BuildJob) -> None:
            self.shelf.build_demo(lambda progress: _tell(job, progress), job.cancelled.is_set)

        return self._start(demo.title if demo else "", work, shared=DEMO_KEY)

    def view(self, key: str, method: str) -> BuildJob:
        """Start letting another model see a gallery, or join in if that is under way.

        Args:
            key: The gallery's.
            method: Name of the model.

        Raises:
            GalleryError: If another build is under way, or there is no such gallery.
            CheckpointError: If the model is damaged.
        """
        title = self.shelf.open(key).title
        name = f"{title} by {self.shelf.models.entry(self.shelf.models.named(method)).words.name}"

        def work(job: BuildJob) -> None:
            place = self.shelf.folder / f"{_WORK}{job.key}"
            self.shelf.build_view(
                key, method, place, lambda progress: _tell(job, progress), job.cancelled.is_set
            )

        return self._start(name, work, shared=f"{key}/{method}")

    def cancel(self, key: str | None) -> None:
        """Ask a build to stop; it does after the batch at hand."""
        running = self.running
        if running is not None and running.key == key:
            running.cancelled.set()

    def _start(self, name: str, work: Work, *, shared: str = "") -> BuildJob:
        with self._lock:
            running = self.running
            if running is not None and shared and running.shared == shared:
                return running
            if running is not None:
                raise GalleryError(
                    f"Another gallery, {running.name}, is being built right now; try again when it is done"
                )
            job = BuildJob(secrets.token_hex(8), name, shared)
            self._job = job
        threading.Thread(target=_run, args=(job, work), name="avsl-build", daemon=True).start()
        return job

    def _build_archive(self, job: BuildJob, archive: PictureFile, bench: Workbench) -> BuildReport:
        """All in a folder of its own that gets the gallery's name in the end, or goes away."""
        self._remove_abandoned()
        work = self.shelf.folder / f"{_WORK}{job.key}"
        packed = work / f"pictures{_ending(archive.name)}"
        try:
            work.mkdir(parents=True)
            shutil.move(archive.path, packed)
            report = self._build(job, packed, work / self.shelf.new_index(job.name).name, bench)
            if job.cancelled.is_set():  # too late for the library, not for us
                raise BuildCancelled(job.name)
            packed.unlink()
            work.replace(self.shelf.folder / job.name)
            return report
        except (DataError, GalleryError) as error:
            # Visitors know their archive, and have no business with our folders.
            text = str(error).replace(f"{packed}.extracted", archive.name).replace(str(packed), archive.name)
            for advice, ours in _ADVICE:
                text = text.replace(advice, ours)
            raise type(error)(text.replace(str(work), job.name)) from error
        except OSError as error:
            raise GalleryError(
                f"{job.name}: could not be written ({error.strerror or error}); try again, or ask those who "
                "run this page to free some space"
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _build(self, job: BuildJob, source: Path, target: Path, bench: Workbench) -> BuildReport:
        target.parent.mkdir(parents=True, exist_ok=True)
        options = BuildOptions(
            batch_size=_BATCH,
            prune=True,
            max_archive_bytes=self.limits.max_archive_bytes,
            max_archive_files=self.limits.max_archive_files,
            load=bench.decoder.load,
        )
        return build_gallery(
            bench.checkpoint,
            source,
            target,
            options=options,
            progress=lambda progress: _tell(job, progress),
            cancelled=job.cancelled.is_set,
        )

    def _new_name(self, name: str) -> str:
        plain = folder_name(name)
        if not plain:
            raise GalleryError("A gallery needs a name with a letter or a digit; give one")
        if plain == DEMO_KEY:
            raise GalleryError(f"{plain}: is what the gallery that comes along is called; give another name")
        return plain

    def _check_room(self) -> None:
        most = self.limits.max_galleries
        if len(set(self.shelf.titles()) - {DEMO_KEY}) >= most:
            raise GalleryError(
                f"There are {most:,} galleries already, as many as this page keeps: ask those who run it to "
                "remove one"
            )

    def _remove_abandoned(self) -> None:
        """What a build left behind that never came to its end, because the app was stopped."""
        for left in self.shelf.folder.glob(f"{_WORK}*"):
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _run(job: BuildJob, work: Work) -> None:
    try:
        job.report = work(job)
    except BuildCancelled:
        what = "nothing of it was kept" if job.shared else "no gallery was added"
        job.problem = f"{job.name}: stopped, as you asked; {what}"
    except AvslError as error:
        job.problem = str(error)
    except Exception:
        log.exception("building a gallery failed")
        job.problem = f"{job.name}: building failed on our side; try again, the log of the app says more"
    finally:
        job.done.set()


def _tell(job: BuildJob, progress: Progress) -> None:
    job.progress = progress


def _roots(index: Path, name: str) -> list[str]:
    with calling(index, name):
        return Gallery.open(index).roots


def _folder(text: str) -> Path:
    """The folder that a visitor means."""
    try:
        path = Path(text).expanduser()
        if path.is_absolute() and path.is_dir():
            return Path(absolute_path(path))
    except (OSError, RuntimeError, ValueError):  # no such user, too long, or not ours to look into
        pass
    raise GalleryError(f"{text}: no such folder on this machine that can be read; give its full path")


def _ending(name: str) -> str:
    lower = name.lower()
    return next(ending for ending in (".tar.gz", ".tgz", ".tar", ".zip") if lower.endswith(ending))


def _stem(name: str) -> str:
    return name[: -len(_ending(name))]
