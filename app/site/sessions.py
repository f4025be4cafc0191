"""What Gradio remembers of its visitors, kept within bounds.

Left alone it remembers, of up to 10,000 open pages, all that is on them, with the last answer; each answer
adds components to that for good; and of every upload, and every look at one, a little for ever. A server that
runs for weeks would grow all the while.
"""

import os
from types import SimpleNamespace
from typing import Any

import gradio as gr
import gradio.routes
from gradio.blocks import Block
from gradio.route_utils import FileUploadProgress
from gradio.state_holder import SessionState, StateHolder

__all__ = ["bound_events", "bound_sessions", "bound_uploads"]

_SESSIONS = 2000  # open pages remembered; one that was longest without an event starts over
_UPLOADS = 1000  # uploads whose progress can be asked for
# Its statistics on events, which nobody here asks for, are made anew from all of them after each.
_NO_STATISTICS = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}


def bound_events() -> None:
    """Keep no list of past events; to be called before the queue is made."""
    for name, value in _NO_STATISTICS.items():
        os.environ.setdefault(name, value)


def bound_sessions(blocks: gr.Blocks, capacity: int = _SESSIONS) -> None:
    """Remember fewer open pages, and less of each; to be called once the blocks have their application.

    Args:
        blocks: The pages.
        capacity: Open pages remembered.
    """
    holder = _Sessions()
    holder.set_blocks(blocks)
    holder.capacity = capacity
    blocks.app.state_holder = holder


def bound_uploads(capacity: int = _UPLOADS) -> None:
    """Forget the progress of old uploads, also of those whose progress nobody asked for.

    Args:
        capacity: Uploads remembered.
    """
    gradio.routes.file_upload_statuses = _Uploads(capacity)


class _Session(SessionState):  # type: ignore[misc]
    """State of one open page, without an account of all that it shows: that is for links of Gradio's."""

    def __init__(self, blocks: gr.Blocks) -> None:
        # With no blocks named there is nothing to give an account of.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))

    def __setitem__(self, key: int, value: Any) -> None:
        if isinstance(value, Block):
            # A component made anew by an answer stands for the old one. With a number of its own it would be
            # taken for one more component by the next event, and kept beside all of its predecessors.
            value._id = key
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Keep no account."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep no account."""


class _Sessions(StateHolder):  # type: ignore[misc]
    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = _Session(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """Move a page to the end, and forget the first one if there are too many."""
        oldest = next(iter(self.session_data), None)
        super().update(session_id)
        if oldest not in self.session_data:
            # Also events whose answers nobody ever came for.
            self.blocks._queue.pending_event_ids_session.pop(oldest, None)


class _Uploads(FileUploadProgress):  # type: ignore[misc]
    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def track(self, upload_id: str) -> None:
        super().track(upload_id)
        self._forget()

    async def is_tracked(self, upload_id: str) -> bool:
        signal = self._signals[upload_id]
        self._forget()
        return bool(await signal.wait())

    def stop_tracking(self, upload_id: str) -> None:
        super().stop_tracking(upload_id)
        self._signals.pop(upload_id, None)

    def _forget(self) -> None:
        for known in (self._statuses, self._signals):
            while len(known) > self._capacity:
                del known[next(iter(known))]
