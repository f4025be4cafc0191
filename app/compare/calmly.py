"""Answers of a page that fail calmly: a message in its place, and everything else as it is."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from app.compare.results import message_html
from avsl_core.errors import AvslError

__all__ = ["Handler", "calmly"]

Update = Any  # what Gradio takes as the new state of a component
Handler = Callable[..., list[Update]]

log = logging.getLogger(__name__)


def calmly(outputs: int, place: int, failed: str) -> Callable[[Handler], Handler]:
    """Answer an error with a message, and leave everything else on the page as it is.

    Args:
        outputs: Of the event.
        place: Of the message among them.
        failed: What is said of an error that is not one of ours; the log has the rest.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def handle(*values: Any) -> list[Update]:
            try:
                return handler(*values)
            except AvslError as error:
                text = str(error)
            except Exception:
                log.exception("%s failed", handler.__qualname__)
                text = failed
            return [message_html(text) if i == place else gr.skip() for i in range(outputs)]

        return handle

    return wrap
