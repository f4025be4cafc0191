"""One password before everything: by a form for people, by HTTP Basic for programs, by a cookie afterwards.

The cookie is signed, not stored: all workers know it without asking each other. Its key is made of the
password, so that a new password ends all sessions.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from html import escape
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive

from app.door.pace import Attempts
from app.door.refusals import Refusal
from app.door.visits import Visit
from app.look.plain import plain_css

__all__ = ["Password"]

_COOKIE = "avsl_session"
_SESSION_S = 7 * 86_400
_PAUSE_S = 0.5  # before any wrong password is answered
_FORM_BYTES = 4096
_SALT = b"avsl session"


class Password:
    """Knows who has given the password.

    Args:
        user: The name that goes with it.
        password: What must be given.
        root_path: Path under which the site is served.
    """

    def __init__(self, user: str, password: str, root_path: str = "") -> None:
        self._user, self._password = _digest(user), _digest(password)
        self._key = hashlib.scrypt(f"{user}:{password}".encode(), salt=_SALT, n=2**14, r=8, p=1)
        self._root = root_path
        self._attempts = Attempts()

    async def refuse(self, visit: Visit, headers: Headers, *, as_page: bool) -> Response | None:
        """None for who may come in; else the answer that asks for the password."""
        if self._has_session(headers):
            return None
        given = _basic(headers.get("authorization", ""))
        if given is not None:
            problem = await self._try(visit, *given)
            if problem is None:
                return None
            return problem.response(as_page=False)
        if as_page:
            return HTMLResponse(self._form(""), 401, {"Cache-Control": "no-store"})
        return _NEEDED.response(as_page=False)

    async def log_in(self, visit: Visit, headers: Headers, receive: Receive, *, as_page: bool) -> Response:
        """Answer a form with a name and a password, of a browser or of gradio_client."""
        given = await _form_of(receive)
        if given is None:
            return Refusal(400, "Give the name and the password as a form.").response(
                as_page=as_page, root_path=self._root
            )
        problem = await self._try(visit, *given)
        if problem is not None and as_page:
            return HTMLResponse(self._form(problem.words), problem.status, {"Cache-Control": "no-store"})
        if problem is not None:
            return problem.response(as_page=False)
        response: Response = JSONResponse({"success": True})
        if as_page:
            response = RedirectResponse(f"{self._root}/", 303)
        response.set_cookie(
            _COOKIE,
            self._session(),
            max_age=_SESSION_S,
            path=f"{self._root}/",
            secure=visit.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    async def _try(self, visit: Visit, user: str, password: str) -> Refusal | None:
        pause = self._attempts.pause(visit.visitor)
        if pause:
            return _paused(pause)
        # Both are compared, in full: how long it takes tells nothing of either.
        right = hmac.compare_digest(_digest(user), self._user) & hmac.compare_digest(
            _digest(password), self._password
        )
        if right:
            self._attempts.succeed(visit.visitor)
            return None
        pause = self._attempts.fail(visit.visitor)
        await asyncio.sleep(_PAUSE_S)
        return _paused(pause) if pause else _WRONG

    def _form(self, problem: str) -> str:
        alert = f'<p role="alert">{escape(problem)}</p>' if problem else ""
        return (
            _PAGE.replace("{css}", plain_css())
            .replace("{alert}", alert)
            .replace("{action}", f"{self._root}/login")
        )

    def _session(self) -> str:
        ends = f"{int(time.time()) + _SESSION_S}"
        return f"{ends}.{self._sign(ends)}"

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _has_session(self, headers: Headers) -> bool:
        value = cookie_parser(headers.get("cookie", "")).get(_COOKIE, "")
        ends, _, signature = value.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 12):
            return False
        return hmac.compare_digest(signature.encode(), self._sign(ends).encode()) and int(ends) > time.time()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _basic(value: str) -> tuple[str, str] | None:
    scheme, _, coded = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""  # an attempt all the same
    return user, password


async def _form_of(receive: Receive) -> tuple[str, str] | None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _FORM_BYTES or message["type"] != "http.request":
            return None
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
        return fields["username"][0], fields["password"][0]
    except (UnicodeDecodeError, ValueError, KeyError):
        return None


def _paused(seconds: int) -> Refusal:
    words = f"Too many wrong passwords: wait {seconds} seconds, then try again."
    return Refusal(429, words, {"Retry-After": str(seconds)})


_BASIC = {"WWW-Authenticate": 'Basic realm="AVSL", charset="UTF-8"'}
_NEEDED = Refusal(401, "This site needs a password: give the name and the password.", _BASIC)
_WRONG = Refusal(401, "The name or the password is wrong: try again.", _BASIC)


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>How alike are two pictures, and why?</title>
<style>{css}main { max-width: 24rem; padding-top: 14vh; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input { padding: .5rem .7rem; margin-bottom: 1rem; border: 1px solid var(--avsl-muted); border-radius: .6rem;
background: var(--avsl-card); color: var(--avsl-ink); }
button { padding: .6rem; cursor: pointer; background: var(--avsl-accent); color: var(--avsl-card); border: 0;
border-radius: .75rem; font-weight: 600; }</style>
<main><h1>How alike are two pictures, and why?</h1>{alert}
<form method="post" action="{action}"><label for="name">Name</label>
<input id="name" name="username" autocomplete="username" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Come in</button></form></main></html>"""
