"""What to say at the end of a stream of Gradio's events whose server was lost.

A stream that just breaks off leaves a page waiting, or makes it load itself anew. So the front remembers
which events of a stream are still without an answer, and ends each of them in Gradio's own words.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["RESTARTED", "EventStream", "lost_events", "open_events"]

RESTARTED = "The server stopped while it worked on this. Please try again."
"""What a visitor reads whose work was lost with its server."""

_ID = re.compile(rb'"event_id": ?"([0-9a-f]{1,64})"')
_DONE = re.compile(rb'"msg": ?"process_completed"')
_HEAD = 200  # both stand at the beginning of a message, whose end may be megabytes away


class EventStream:
    """A stream of server-sent events on its way to the visitor."""

    def __init__(self) -> None:
        self.between_events = True

    def see(self, chunk: bytes) -> None:
        """Take note of what is passed on."""
        self.between_events = chunk.endswith(b"\n\n")

    def farewell(self) -> bytes:
        """What to send last."""
        return b""


class QueueStream(EventStream):
    r"""What a page and `gradio_client` read: the events of one visitor.

    Examples:
        >>> stream = QueueStream()
        >>> stream.see(b'data: {"msg":"estimation","event_id":"a1"}\n\n')
        >>> b'"event_id": "a1"' in stream.farewell()
        True
        >>> stream.see(b'data: {"msg":"process_completed","event_id":"a1"}\n\n')
        >>> stream.farewell()
        b'data: {"msg": "close_stream"}\n\n'
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, None] = {}  # a set that keeps its order

    def see(self, chunk: bytes) -> None:
        """Take note of which event the chunk begins or ends."""
        super().see(chunk)
        for message in chunk.split(b"\n\n"):
            head = message[:_HEAD]
            event = _ID.search(head) if head.startswith(b"data:") else None
            if event is None:
                continue
            if _DONE.search(head):
                self._waiting.pop(event[1].decode(), None)
            else:
                self._waiting[event[1].decode()] = None

    def farewell(self) -> bytes:
        """Every event that waits has failed, and the stream is over."""
        failed = {
            "msg": "process_completed",
            "output": {"error": RESTARTED},
            "success": False,
            "title": "Error",
        }
        return _told([failed | {"event_id": event} for event in self._waiting])


class CallStream(EventStream):
    """What a program reads that asked for one event by its number."""

    def farewell(self) -> bytes:
        """The event has failed."""
        return b"event: error\ndata: " + json.dumps({"error": RESTARTED}).encode() + b"\n\n"


def open_events(path: str) -> EventStream:
    """The kind of stream that is read at a path."""
    if path.endswith("/queue/data"):
        return QueueStream()
    if "/call/" in path:
        return CallStream()
    return EventStream()


def lost_events() -> bytes:
    """A whole stream for a page whose events were lost before it could read of them."""
    # Without an event's number it is for all; a session "not found" would make the page load itself anew.
    lost = {"msg": "unexpected_error", "message": RESTARTED, "success": False, "session_not_found": False}
    return _told([lost])


def _told(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """Messages, and the end of the stream."""
    return b"".join(
        b"data: " + json.dumps(message).encode() + b"\n\n" for message in [*messages, {"msg": "close_stream"}]
    )
