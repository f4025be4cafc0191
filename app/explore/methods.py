"""A gallery as another method sees it: having it looked at, and what the page says of that."""

import logging
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from app.compare.results import message_html
from app.explore.build_panel import progress_html
from app.explore.builds import BuildDesk, BuildJob
from app.explore.shelf import OpenGallery
from app.explore.state import ExploreState
from app.work.methods import method_choices, named_or_method
from avsl_core.errors import AvslError

__all__ = ["Looks", "missing_html"]

log = logging.getLogger(__name__)

_FAILED = "This failed on our side: try again, or something else; the log of the app says more"

Update = Any  # what Gradio takes as the new state of a component


class Looks:
    """Has galleries looked at by other methods, and tells how far that has come.

    Args:
        desk: Where galleries are built.
    """

    def __init__(self, desk: BuildDesk) -> None:
        self.desk, self.shelf = desk, desk.shelf

    def look(self, gallery: str, method: object) -> Iterator[list[Update]]:
        """Have a model see a gallery, telling how far it has come, and why it came to nothing."""
        try:
            name = self.name(method)
            if gallery not in self.shelf.titles() or self.shelf.is_seen(gallery, name):
                return
            job = self.desk.view(gallery, name)
        except AvslError as error:
            yield [message_html(str(error)), None, gr.update(visible=False)]
            return
        except Exception:
            log.exception("another method's look at a gallery could not be started")
            yield [message_html(_FAILED), None, gr.update(visible=False)]
            return
        intro = f"<p>{escape(job.name)}: its pictures are looked at by this method, once.</p>"
        yield [
            f'<div role="status">{intro}</div>',
            job.key,
            gr.update(value="Stop", interactive=True, visible=True),
        ]
        yield from self.told(job, intro)
        yield [message_html(job.problem) if job.problem else "", None, gr.update(visible=False)]

    def told(self, job: BuildJob, intro: str) -> Iterator[list[Update]]:
        """How far a build has come, below what it is."""
        for _ in job.watch():
            yield [f"{intro}{progress_html(job)}", gr.skip(), gr.skip()]

    def name(self, method: object) -> str:
        """The name of a model that an address or a menu names.

        Raises:
            CheckpointError: If there is none, or it is damaged.
        """
        models = self.shelf.models
        return models.name(named_or_method(models, method))

    def shown(self, state: ExploreState) -> Update:
        """The menu of methods at the one that is seen."""
        models = self.shelf.models
        try:
            return gr.update(
                choices=method_choices(models),
                value=models.name(self.shelf.open(state.gallery, state.method).bench),
            )
        except AvslError:
            return gr.skip()


def missing_html(opened: OpenGallery, before: ExploreState, after: ExploreState) -> str:
    """What another method could not see, in words; empty if it sees all."""
    base = opened.base
    gone = 0 if base is None else base.gallery.count - opened.gallery.count
    if gone <= 0:
        return ""
    words = "1 picture is" if gone == 1 else f"{gone:,} pictures are"
    lost = " The one that was shown is among them." if len(after.trail) < len(before.trail) else ""
    return message_html(
        f"{opened.title}: {words} not as the gallery found them, moved or changed, and left out here.{lost}"
    )
