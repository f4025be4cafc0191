"""The panel that builds a gallery: what from, how far it has come, what came of it."""

import logging
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from app.compare.results import message_html
from app.explore.builds import BuildDesk, BuildJob
from app.explore.results import busy_html
from app.look.printable import printable
from app.work.uploads import picture_file
from avsl_core.errors import AvslError, GalleryError
from avsl_core.gallery import BuildReport

__all__ = ["WATCH", "BuildPanel", "progress_html", "report_html"]

log = logging.getLogger(__name__)

# Watching takes no processor: it must not hold up those who search.
WATCH: dict[str, Any] = {
    "concurrency_id": "watch",
    "concurrency_limit": 32,
    "api_visibility": "private",
    "preprocess": False,
    "show_progress": "hidden",
}
_LISTED = 50

_FAILED = "This failed on our side: try again, or something else; the log of the app says more"

Update = Any  # what Gradio takes as the new state of a component


class BuildPanel:
    """Lays the panel out inside the current Blocks, and answers its events.

    Args:
        desk: Where builds are ordered.
    """

    def __init__(self, desk: BuildDesk) -> None:
        self.desk = desk

    def build(self) -> list[Any]:
        """Lay out the panel and connect its events.

        Returns:
            The events after which a gallery may have been built; its key is then in :attr:`opened`.
        """
        names = self.desk.shelf.models.names
        self.job, self.opened = gr.State(None), gr.State(None)
        with gr.Accordion("Build a gallery from your own pictures", open=False, elem_id="explore-build"):
            gr.HTML(f'<p class="note">{_intro(self.desk)}</p>')
            with gr.Row(elem_id="explore-sources"):
                self.archive = gr.File(label="Archive (.zip, .tar or .tar.gz)", elem_id="explore-archive")
                with gr.Column(elem_id="explore-naming"):
                    self.folder = gr.Textbox(
                        label="Or a folder on this machine",
                        placeholder="/home/me/pictures",
                        elem_id="explore-folder",
                        visible=self.desk.limits.allow_folders,
                    )
                    self.name = gr.Textbox(
                        label="Name", placeholder="That of the archive or folder", elem_id="explore-name"
                    )
                    self.model = gr.Dropdown(
                        names, value=names[0], label="Model", elem_id="explore-model", filterable=False
                    )
            with gr.Row(elem_id="explore-build-actions"):
                start = gr.Button("Build", variant="primary", elem_id="explore-start")
                stop = gr.Button("Cancel", elem_id="explore-stop", interactive=False)
            self.progress = gr.HTML("", elem_id="explore-progress")
        buttons = [start, stop]
        outputs = [self.job, self.opened, self.progress, *buttons]
        inputs = [self.archive, self.folder, self.name, self.model]
        stop.click(self.on_stop, [self.job], [stop], **WATCH)
        blocks = gr.context.Context.root_block
        assert blocks is not None
        found = blocks.load(self.on_open, None, outputs, **WATCH)
        ordered = start.click(self.on_start, inputs, [*outputs, self.archive, self.name], **WATCH)
        return [ordered, found]

    def on_start(self, archive: Any, folder: object, name: object, model: object) -> Iterator[list[Update]]:
        """Build, telling how far it has come."""
        try:
            job = self._order(archive, _text(folder), _text(name), _text(model))
        except Exception as error:
            text = _FAILED
            if isinstance(error, AvslError):
                text = str(error)
            else:
                log.exception("ordering a gallery failed")
            yield [None, None, message_html(text), *_buttons(running=False), gr.skip(), gr.skip()]
            return
        for shown in self._watch(job):
            # What was used up is taken away; what a mistake needs again stays.
            used = job.done.is_set() and bool(archive)
            ready = job.done.is_set() and job.report is not None
            yield [*shown, None if used else gr.skip(), "" if ready else gr.skip()]

    def on_open(self) -> Iterator[list[Update]]:
        """Whoever may build from folders owns this machine: show the build that is under way."""
        job = self.desk.running
        if job is None or not self.desk.limits.allow_folders:
            yield [gr.skip()] * 5
            return
        yield from self._watch(job)

    def on_stop(self, key: str | None) -> Update:
        """Ask the build to stop."""
        self.desk.cancel(key)
        return gr.update(value="Stopping ...", interactive=False)

    def _watch(self, job: BuildJob) -> Iterator[list[Update]]:
        yield [job.key, None, progress_html(job, announced=True), *_buttons(running=True)]
        for _ in job.watch():
            if not job.done.is_set():
                yield [gr.skip(), gr.skip(), progress_html(job), gr.skip(), gr.skip()]
        text = message_html(job.problem) if job.problem else ""
        if job.report is not None:
            text = report_html(job.name, job.report)
        key = job.name if job.report is not None else None
        yield [None, key, text, *_buttons(running=False)]

    def _order(self, archive: Any, folder: str, name: str, model: str) -> BuildJob:
        bench = self.desk.shelf.models.named(model)
        file = picture_file(archive)
        if file is not None and folder:
            raise GalleryError("Give an archive or a folder, not both: take one of them away")
        if file is not None:
            return self.desk.from_archive(file, name, bench)
        if folder:
            return self.desk.from_folder(folder, name, bench)
        raise GalleryError("There is nothing to build from yet: choose an archive of pictures above")


def progress_html(job: BuildJob, *, announced: bool = False) -> str:
    """How far a build has come.

    Args:
        job: The build.
        announced: Whether screen readers say it by themselves: once, not with every picture.
    """
    return f'<div role="status">{_progress(job)}</div>' if announced else _progress(job)


def _progress(job: BuildJob) -> str:
    seen = job.progress
    if job.cancelled.is_set():
        return busy_html("Stopping after the pictures at hand ...", 0, 0)
    if seen is None:
        return busy_html("Reading what there is ...", 0, 0)
    if seen.done >= seen.total:
        return busy_html(f"All {seen.total:,} pictures are read. Drawing the map ...", seen.done, seen.total)
    words = f"{seen.done:,} of {seen.total:,} pictures"
    if seen.rate > 0:
        words += f", {seen.rate:.0f} a second" if seen.rate >= 1 else f", one in {1 / seen.rate:.0f} seconds"
    if seen.seconds_left is not None:
        words += f", {_time(seen.seconds_left)} left"
    if seen.skipped:
        words += f"; {seen.skipped:,} could not be read"
    return busy_html(words, seen.done, seen.total)


def report_html(name: str, report: BuildReport) -> str:
    """What a build did, files that were left out by name."""
    counts = [
        (report.added, "added"),
        (report.unchanged, "already there"),
        (report.removed, "no longer there"),
    ]
    done = ", ".join(f"{count:,} {words}" for count, words in counts if count) or "nothing new"
    skipped = _listing(
        "could not be read",
        [
            f"<strong>{escape(printable(file))}</strong> {escape(printable(why))}"
            for file, why in report.skipped
        ],
    )
    copies = _listing(
        "the same as another, kept once",
        [
            f"<strong>{escape(printable(file))}</strong> is {escape(printable(other))}"
            for file, other in report.duplicates
        ],
    )
    return (
        f'<div class="explore-report" role="status"><p><strong>{escape(name)}</strong> is ready and open: '
        f"{report.pictures:,} {'picture' if report.pictures == 1 else 'pictures'} ({done}) in "
        f"{_time(report.seconds)}.</p>{skipped}{copies}</div>"
    )


def _listing(words: str, lines: list[str]) -> str:
    if not lines:
        return ""
    count = f"{len(lines):,} {'file' if len(lines) == 1 else 'files'} {words}"
    more = f"<li>and {len(lines) - _LISTED:,} more</li>" if len(lines) > _LISTED else ""
    body = "".join(f"<li>{line}</li>" for line in lines[:_LISTED])
    opened = " open" if len(lines) <= 5 else ""
    return f"<details{opened}><summary>{count}</summary><ul>{body}{more}</ul></details>"


def _buttons(*, running: bool) -> list[Update]:
    return [gr.update(interactive=not running), gr.update(value="Cancel", interactive=running)]


def _intro(desk: BuildDesk) -> str:
    size = desk.limits.max_archive_bytes
    large = f"{round(size / 2**30, 1):g} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"
    seen = " Everyone who can open this page sees the gallery." if desk.limits.public else ""
    return (
        f"Folders inside are taken for classes. Pictures stay on the machine that runs this page.{seen} An "
        f"archive may have up to {large} and {desk.limits.max_archive_files:,} files."
    )


def _text(value: object) -> str:
    """What was typed or chosen; empty for anything else that was sent."""
    return value.strip() if isinstance(value, str) else ""


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
