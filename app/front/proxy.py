"""The front itself: an ASGI application that passes every request to one of several servers of the app.

Gradio keeps a visitor's queue in one process, so a visitor always gets to the same backend: by a cookie; a
program that keeps no cookies, by the session of its protocol (MCP) or by its address. Requests to /api/v1,
each of which stands for itself, go where least is going on. What a lost backend had in hand is answered with
an explicit error, never with silence.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from app.front.backends import Backend, Backends, Visitor
from app.front.events import lost_events
from app.front.relay import Headers, Outcome, Receive, Relay, RelayOptions, Scope, Send

__all__ = ["Front", "FrontOptions"]

_COOKIE = "avsl_server"
_MCP_SESSION = b"mcp-session-id"
_TRY_AGAIN_S = 3
_GRADIO = "/gradio_api/"
_JOIN, _EVENTS = "/gradio_api/queue/join", "/gradio_api/queue/data"
_STATELESS = "/api/"


@dataclass(frozen=True)
class FrontOptions:
    """What the front takes on.

    Attributes:
        max_open: Requests in hand at once; an open page holds one. Further ones are refused.
        root_path: Path under which a proxy in front serves the app, as /avsl.
        trusted_proxies: Addresses and ranges whose word counts for who the visitor is.
        relay: Time limits of one request.
    """

    max_open: int = 1000
    root_path: str = ""
    trusted_proxies: tuple[str, ...] = ()
    relay: RelayOptions = field(default_factory=RelayOptions)


class Front:
    """The front, as an ASGI application.

    Args:
        backends: Those it may pass requests to, and no others.
        options: What it takes on.
    """

    def __init__(self, backends: Backends, options: FrontOptions | None = None) -> None:
        self._backends = backends
        self._options = options or FrontOptions()
        # Shorter than uvicorn keeps an idle connection (5 s): never one that is just being closed.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=2.0)
        self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # a WebSocket is none of ours; uvicorn refuses it
        if self._path(scope) == "/healthz":
            await self._tell_health(send)
        elif self._open >= self._options.max_open:
            await self._refuse(scope, send, 503, "busy", "Very many people are here at the moment.")
        else:
            self._open += 1
            try:
                await self._pass_on(scope, receive, send)
            finally:
                self._open -= 1

    async def aclose(self) -> None:
        """Close the connections to the backends."""
        await self._transport.aclose()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["raw_path"].startswith(b"/"):
            # "GET http://elsewhere/": a request to an open proxy, which this is not.
            await self._refuse(scope, send, 400, "invalid_request", "The address has no path.")
            return
        cookie, others = _split_cookies(scope)
        visitor = self._visitor(scope, cookie)
        relay = Relay(scope, receive, send, others, self._transport, self._options.relay)
        tried: list[Backend] = []
        while (backend := self._choose(scope, visitor, tried)) is not None:
            if self._path(scope) == _EVENTS and self._backends.event_lost(visitor, backend):
                await self._say_lost(send)
                return
            outcome = await relay.run(backend, lambda answer: self._added(scope, visitor, backend, answer))
            if outcome is not Outcome.UNREACHED:
                await self._explain(outcome, scope, send)
                return
            tried.append(backend)
            backend.hold_back("cannot be reached")  # until it was asked again
        if self._path(scope) == _EVENTS:
            await self._say_lost(send)
        else:
            await self._refuse(scope, send, 503, "unavailable", "No server is ready at the moment.")

    def _choose(self, scope: Scope, visitor: Visitor, tried: Sequence[Backend]) -> Backend | None:
        if self._path(scope).startswith(_STATELESS):
            return self._backends.least_busy(tried)
        return self._backends.of_visitor(visitor, tried)

    def _visitor(self, scope: Scope, cookie: str) -> Visitor:
        known = Visitor.of_cookie(cookie)
        if known is not None:
            return known
        session = _header(scope, _MCP_SESSION)
        if session:
            return Visitor(f"mcp {session}")
        path = self._path(scope)
        if scope["method"] in ("GET", "HEAD") and not path.startswith((_GRADIO, _STATELESS)):
            return Visitor.newcomer()
        return Visitor(f"address {(scope['client'] or ('unknown', 0))[0]}")

    def _added(self, scope: Scope, visitor: Visitor, backend: Backend, answer: httpx.Headers) -> Headers:
        """Headers to add to an answer: the cookie, for whoever opens a page or has moved."""
        session = answer.get(_MCP_SESSION.decode())
        if session:
            self._backends.remember(f"mcp {session}", backend)
        if self._path(scope) == _JOIN:
            self._backends.note_event(visitor, backend)
        page = answer.get("content-type", "").startswith("text/html") or self._path(scope) == "/config"
        moved = visitor.home not in ("", backend.name) and not self._path(scope).startswith(_STATELESS)
        if not (visitor.new and page) and not moved:
            return []
        cookie = f"{_COOKIE}={backend.name}.{visitor.key}; Path=/; HttpOnly; SameSite=Lax"
        if scope["scheme"] == "https":
            cookie += "; Secure"
        return [(b"set-cookie", cookie.encode())]

    async def _explain(self, outcome: Outcome, scope: Scope, send: Send) -> None:
        if outcome is Outcome.LOST and self._path(scope) == _EVENTS:
            await self._say_lost(send)
        elif outcome is Outcome.LOST:
            words = "The server stopped while it worked on this."
            await self._refuse(scope, send, 502, "unavailable", words)
        elif outcome is Outcome.LATE:
            await self._refuse(scope, send, 504, "unavailable", "The server took too long to answer.")
        elif outcome is Outcome.STALLED:
            await self._refuse(scope, send, 408, "invalid_request", "The upload stopped half-way.")
        elif outcome is Outcome.TOO_LARGE:
            most = self._options.relay.upload_bytes // 2**20
            await self._refuse(scope, send, 413, "too_large", f"More than {most} MB cannot be sent.")

    async def _refuse(self, scope: Scope, send: Send, status: int, code: str, words: str) -> None:
        """Say no in a form that the asker understands: a page, Gradio's JSON or that of /api/v1."""
        if status >= 500:
            words += " Please try again in a moment."
        path, kind = self._path(scope), b"application/json"
        if path == f"{_GRADIO}upload":  # a page shows what it is answered, as it is
            body, kind = words, b"text/plain; charset=utf-8"
        elif path.startswith(_STATELESS):
            body = json.dumps({"error": {"code": code, "message": words}})
        elif path.startswith(_GRADIO) or "text/html" not in (_header(scope, b"accept") or ""):
            body = json.dumps({"detail": words})
        else:
            body, kind = (
                _PAGE.format(words=html.escape(words), seconds=_TRY_AGAIN_S),
                b"text/html; charset=utf-8",
            )
        headers = [(b"content-type", kind)]
        if status == 503:
            headers.append((b"retry-after", str(_TRY_AGAIN_S).encode()))
        await _answer(send, status, headers, b"" if scope["method"] == "HEAD" else body.encode())

    async def _say_lost(self, send: Send) -> None:
        await _answer(send, 200, [(b"content-type", b"text/event-stream")], lost_events())

    async def _tell_health(self, send: Send) -> None:
        well, members = len(self._backends.well), len(self._backends.members)
        status = "ok" if well == members else "degraded" if well else "down"
        body = json.dumps({"status": status, "servers": members, "well": well, "open": self._open})
        headers = [(b"content-type", b"application/json")]
        await _answer(send, 200 if well else 503, headers, body.encode())

    def _path(self, scope: Scope) -> str:
        path: str = scope["path"]
        root = self._options.root_path
        return path[len(root) :] if root and path.startswith(root + "/") else path


# Loads itself again: a server that is being replaced is back within seconds.
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{seconds}"><title>One moment</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem}}
:root{{color-scheme:light dark}}</style>
<h1>One moment</h1><p>{words}</p><p>This page tries by itself.</p></html>
"""


def _split_cookies(scope: Scope) -> tuple[str, bytes]:
    """Our cookie's value, and the other cookies, which are the backend's business."""
    ours, others = "", []
    for name, value in scope["headers"]:
        for part in value.split(b";") if name.lower() == b"cookie" else ():
            key, _, content = part.strip().partition(b"=")
            if key == _COOKIE.encode():
                ours = ours or content.decode("latin-1")
            elif part.strip():
                others.append(part.strip())
    return ours, b"; ".join(others)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), None)


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    fixed = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    fixed += [(b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *fixed]})
    await send({"type": "http.response.body", "body": body})
