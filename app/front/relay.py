"""One request on its way through the front: to a backend, and its answer back, both as streams."""

import asyncio
import enum
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from app.front.backends import Backend
from app.front.events import EventStream, open_events

__all__ = ["Headers", "Outcome", "Receive", "Relay", "RelayOptions", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1: these speak of one connection, not of the message.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
# What only a proxy may say, and the front says anew; "expect" was answered by the front's own server.
_SAID_ANEW = frozenset(
    b"forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-real-ip expect host "
    b"cookie".split()
)


@dataclass(frozen=True)
class RelayOptions:
    """How long one request may take.

    Attributes:
        connect_s: Until a backend accepts the connection.
        answer_s: Without a byte from the backend.
        upload_s: Without a byte from the visitor in the middle of an upload, or taken by the backend.
        upload_bytes: Most that a visitor may send; 0 leaves that to the backend, which tells only after all
            has been sent.
    """

    connect_s: float = 5.0
    answer_s: float = 300.0
    upload_s: float = 60.0
    upload_bytes: int = 0


class Outcome(enum.Enum):
    """How a request ended."""

    ANSWERED = "answered"
    LEFT = "the visitor left"
    UNREACHED = "the backend was not reached, and knows nothing of the request"
    LOST = "the backend was lost before it answered"
    LATE = "the backend did not answer in time"
    CUT = "the backend was lost in the middle of its answer"
    STALLED = "the visitor stopped in the middle of an upload"
    TOO_LARGE = "the visitor sends more than is allowed"


class Relay:
    """Passes one request on.

    Args:
        scope: The request, as ASGI has it.
        receive: Its body.
        send: Takes the answer.
        cookies: Those of the visitor that are the backend's business.
        transport: Connections to the backends.
        options: Time limits.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        cookies: bytes,
        transport: httpx.AsyncHTTPTransport,
        options: RelayOptions,
    ) -> None:
        self._scope, self._send, self._cookies = scope, send, cookies
        self._transport, self._options = transport, options
        self._body = _Body(scope, receive, options)
        self._started = False
        self._events: EventStream | None = None

    async def run(self, backend: Backend, more: Callable[[httpx.Headers], Headers]) -> Outcome:
        """Pass the request to a backend and its answer back.

        After UNREACHED it may be run again with another backend. After LOST, LATE, STALLED and TOO_LARGE
        nothing was sent: the caller answers. After CUT the answer is closed if that can be done properly; if
        not it is left open, so that the server closes the connection and the visitor's program sees that
        something is missing.

        Args:
            backend: Who answers.
            more: From the headers of the answer to those to add.
        """
        lost = backend.loss()
        exchange = asyncio.create_task(self._exchange(backend, more))
        leaving = asyncio.create_task(self._body.left())
        backend.open += 1
        try:
            first: set[asyncio.Future[Any]] = {exchange, leaving, lost}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done():
                outcome = exchange.result()
            elif lost.done():
                outcome = Outcome.CUT if self._started else Outcome.LOST
            else:
                outcome = Outcome.LEFT
        finally:
            await _end(exchange, leaving)
            backend.open -= 1
        if outcome is Outcome.CUT and self._events is not None and self._events.between_events:
            await self._send({"type": "http.response.body", "body": self._events.farewell()})
        return outcome

    async def _exchange(self, backend: Backend, more: Callable[[httpx.Headers], Headers]) -> Outcome:
        if self._body.too_large:
            return Outcome.TOO_LARGE
        try:
            answer = await self._transport.handle_async_request(self._request(backend))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Outcome.UNREACHED
        except _UploadError as error:
            return error.outcome
        except httpx.TimeoutException:
            return Outcome.LATE
        except httpx.TransportError:
            return Outcome.LOST
        try:
            return await self._pass_back(answer, more)
        finally:
            await answer.aclose()

    async def _pass_back(self, answer: httpx.Response, more: Callable[[httpx.Headers], Headers]) -> Outcome:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self._events = open_events(self._scope["path"])
        headers = [*_passed_on(answer.headers.raw), *more(answer.headers)]
        self._started = True
        await self._send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        try:
            # As it comes, neither unpacked nor gathered; sending waits while the visitor's line is full.
            async for chunk in answer.stream:
                if self._events is not None:
                    self._events.see(chunk)
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.TransportError:
            return Outcome.CUT
        await self._send({"type": "http.response.body", "body": b""})
        return Outcome.ANSWERED

    def _request(self, backend: Backend) -> httpx.Request:
        scope, limits = self._scope, self._options
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        timeout = {"connect": limits.connect_s, "pool": limits.connect_s}
        timeout |= {"read": limits.answer_s, "write": limits.upload_s}
        return httpx.Request(
            scope["method"],
            backend.url,
            headers=[*_passed_on(scope["headers"], _SAID_ANEW), *self._said_anew(backend)],
            stream=self._body if self._body.expected else None,
            # The target goes as it came, letter by letter; where to depends on the backend alone.
            extensions={"timeout": timeout, "target": target},
        )

    def _said_anew(self, backend: Backend) -> Headers:
        scope = self._scope
        # A client of HTTP/1.0 may name no host.
        host = _header(scope["headers"], b"host") or backend.url.partition("://")[2].encode()
        said = [
            (b"host", host),
            (b"x-forwarded-host", host),
            (b"x-forwarded-proto", scope["scheme"].encode()),
            (b"x-forwarded-for", (scope["client"] or ("unknown", 0))[0].encode()),
        ]
        if self._cookies:
            said.append((b"cookie", self._cookies))
        if self._body.chunked:
            said.append((b"transfer-encoding", b"chunked"))
        return said


class _UploadError(Exception):
    """The upload does not go on."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class _Body(httpx.AsyncByteStream):
    """What the visitor sends, chunk by chunk as the backend takes it."""

    def __init__(self, scope: Scope, receive: Receive, options: RelayOptions) -> None:
        length = _header(scope["headers"], b"content-length") or b"0"
        self.chunked = _header(scope["headers"], b"transfer-encoding") is not None
        self.expected = self.chunked or length != b"0"
        self._most = options.upload_bytes or sys.maxsize
        self.too_large = not self.chunked and int(length) > self._most
        self._receive, self._patience_s = receive, options.upload_s
        self._ended = asyncio.Event()
        if not self.expected:
            self._ended.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more, left = True, self._most
        while more:
            try:
                message = await asyncio.wait_for(self._receive(), self._patience_s)
            except TimeoutError as error:
                raise _UploadError(Outcome.STALLED) from error
            if message["type"] == "http.disconnect":
                raise _UploadError(Outcome.LEFT)
            more, body = message.get("more_body", False), message.get("body", b"")
            left -= len(body)
            if left < 0:
                raise _UploadError(Outcome.TOO_LARGE)
            if body:
                yield body
        self._ended.set()

    async def left(self) -> None:
        """Return when the visitor, having sent all, closes the connection; earlier is told elsewhere."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _passed_on(headers: Iterable[tuple[bytes, bytes]], without: frozenset[bytes] = frozenset()) -> Headers:
    lowered = [(name.lower(), value) for name, value in headers]
    named = {
        part.strip().lower() for name, value in lowered if name == b"connection" for part in value.split(b",")
    }
    chunked = any(name == b"transfer-encoding" for name, _ in lowered)
    # Two lengths of one body are how one request is passed off as two: chunks win, as RFC 9112 has it.
    dropped = _HOP_BY_HOP | without | named | ({b"content-length"} if chunked else set())
    return [(name, value) for name, value in lowered if name not in dropped]


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key.lower() == name), None)


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
