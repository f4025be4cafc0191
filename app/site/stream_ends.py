"""Keeps an event of a page from getting lost in the moment when Gradio closes the page's stream.

A page has one stream of answers, which the server closes when nothing is under way. An event that joins right
after that is told that it was taken on; if the page reads this before it reads that its stream was closed, it
waits for the answer on a stream that is no more. So the word that it was taken on waits until the page has
surely read the other.
"""

import asyncio
import json
import time
from collections import OrderedDict
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["StreamEnds"]

_DATA, _JOIN = "/gradio_api/queue/data", "/gradio_api/queue/join"
_REMEMBERED = 4096  # pages whose streams were closed last


class StreamEnds:
    """Around Gradio's application.

    Args:
        app: Gradio's application.
        hold_s: How long after the end of a stream a page may still not know of it.
    """

    def __init__(self, app: ASGIApp, hold_s: float = 0.25) -> None:
        self._app, self._hold_s = app, hold_s
        self._ended: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path == _DATA:
            await self._app(scope, receive, self._watching(scope, send))
        elif scope["type"] == "http" and path == _JOIN:
            await self._join(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _watching(self, scope: Scope, send: Send) -> Send:
        page = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [""])[0]

        async def watch(message: Message) -> None:
            body = message.get("body", b"")
            if b'"close_stream"' in body or not message.get("more_body", True):
                self._ended[page] = time.monotonic()
                self._ended.move_to_end(page)
                while len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)
            await send(message)

        return watch

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                ended = self._ended.get(_page_of(bytes(body)), 0.0)
                await asyncio.sleep(max(0.0, ended + self._hold_s - time.monotonic()))
            await send(message)

        await self._app(scope, again, hold)


def _page_of(body: bytes) -> str:
    try:
        asked = json.loads(body)
    except ValueError:
        return ""
    return str(asked.get("session_hash", "")) if isinstance(asked, dict) else ""
