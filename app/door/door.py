"""The door: an ASGI application around the site that lets in what is meant to come in, and nothing else."""

import logging
import shutil
from collections.abc import Set
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.door.bodies import BodyLimits, checked_json, counted, watched_upload
from app.door.headers import answer_headers
from app.door.pace import Pace
from app.door.password import Password
from app.door.refusals import Refusal, RefusalError
from app.door.space import Place, UrlSpace
from app.door.visits import Visit, same_origin, visit_of, without_claims
from app.settings import Settings

__all__ = ["Door"]

log = logging.getLogger(__name__)

_HEALTH, _LOGIN = "/healthz", "/login"
_SAFE = ("GET", "HEAD", "OPTIONS")
_UNPACED = ("asset", "file", "stream")  # many to a page, cheap, and no use without what is counted
_ROOM = 512 * 2**20  # bytes that stay free on the disk of the uploads

_PLACE = Place(("GET", "HEAD", "POST"), "page")
_NOTHING = Refusal(404, "There is nothing at this address: check it, or begin at the first page.")
_STRANGE = Refusal(403, "This request came from another site and was not carried out: open the page here.")
_FAILED = Refusal(500, "This failed on our side: try again; the log of the app says more.")
_FULL = Refusal(507, "There is no room for uploads right now: try again later.")


class Door:
    """Around the site.

    Args:
        app: The site.
        settings: Who may come in, and with how much.
        space: Which addresses there are.
        uploads: Folder of uploads.
        other_hosts: Further names of the site, which it may be given while it runs.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        space: UrlSpace,
        uploads: Path,
        other_hosts: Set[str] = frozenset(),
    ) -> None:
        self._app, self._settings, self._space, self._uploads = app, settings, space, uploads
        self._pace = Pace(settings.per_minute)
        self._limits = BodyLimits(settings.max_upload_bytes, settings.max_archive_bytes)
        self._password = (
            Password(settings.user, settings.password, settings.root_path) if settings.password else None
        )
        self._other_hosts = other_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _Request(self, scope, receive, send).answer()

    async def let_in(self, request: "_Request") -> None:
        """Ask everything in turn; what passes is answered by the site.

        Raises:
            RefusalError: If it may not come in.
        """
        visit, headers, path = request.visit, request.headers, request.path
        if path == _HEALTH:
            _check_verb(Place(("GET", "HEAD"), "own"), request.verb)
            await self._app(request.scope, request.receive, request.send)
            return
        self._check_name(visit)
        if request.lacks_slash:
            await request.send_answer(RedirectResponse(request.with_slash, 308))
            return
        request.place = self._space.place(path, request.scope)
        self._check_origin(request)
        wait = 0 if request.kind in _UNPACED else self._pace.wait_for(visit.visitor)
        if wait:
            words = f"Too many requests from your address: wait {wait} seconds, then try again."
            raise RefusalError(Refusal(429, words, {"Retry-After": str(wait)}))
        if self._password is not None:
            if path.rstrip("/") == _LOGIN:
                await self._log_in(request, self._password)
                return
            answer = await self._password.refuse(visit, headers, as_page=request.as_page)
            if answer is not None:
                await request.send_answer(answer)
                return
        if request.place is None:
            raise RefusalError(_NOTHING)
        _check_verb(request.place, request.verb)
        if request.verb not in _SAFE:
            request.receive = request.remembering(await self._checked_body(request))
        await self._app(request.scope, request.receive, request.send)

    def _check_name(self, visit: Visit) -> None:
        names = self._settings.hosts
        if names and visit.name not in names and visit.host not in self._other_hosts:
            words = (
                f"Nothing is served under the name {visit.name[:80]}: --allowed-hosts says which names are."
            )
            raise RefusalError(Refusal(421, words))

    def _check_origin(self, request: "_Request") -> None:
        """Another site that a visitor has open must not act in the visitor's name."""
        if request.verb in _SAFE:
            return
        origin = request.headers.get("origin")
        if origin is None:  # no browser, or one that says it in another way
            if request.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
                raise RefusalError(_STRANGE)
        elif not same_origin(origin, request.visit, self._other_hosts):
            raise RefusalError(_STRANGE)

    async def _log_in(self, request: "_Request", password: Password) -> None:
        _check_verb(_PLACE, request.verb)
        if request.verb in _SAFE:
            refused = await password.refuse(request.visit, request.headers, as_page=True)
            await request.send_answer(refused or RedirectResponse(f"{self._settings.root_path}/", 303))
            return
        receive = counted(request.receive, request.headers, self._limits.small)
        answer = await password.log_in(request.visit, request.headers, receive, as_page=request.wants_page)
        await request.send_answer(answer)

    async def _checked_body(self, request: "_Request") -> Receive:
        limits, headers = self._limits, request.headers
        if request.kind == "json":
            receive = counted(request.receive, headers, limits.small)
            return await checked_json(receive, self._space.is_upload)
        receive = counted(request.receive, headers, limits.upload)
        if request.kind == "upload":
            self._check_room(headers)
            return watched_upload(receive, headers, limits)
        return receive

    def _check_room(self, headers: Headers) -> None:
        announced = headers.get("content-length", "0")
        try:
            free = shutil.disk_usage(self._uploads).free
        except OSError:
            raise RefusalError(_FULL) from None
        if free - int(announced) < _ROOM:
            raise RefusalError(_FULL)


class _Request:
    """One request on its way through the door, and its answer on the way back."""

    def __init__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        self._door, self._send, self._root = door, send, door._settings.root_path
        self.receive: Receive = receive
        self.headers = Headers(scope=scope)
        self.verb: str = scope["method"]
        peer = scope.get("client")
        proxies = door._settings.trusted_proxies
        self.visit = visit_of(peer[0] if peer else None, self.headers, scope.get("scheme", "http"), proxies)
        self.path = _without_root(scope["path"], self._root)
        # The relative addresses of the first page would lead out of the site.
        self.lacks_slash = bool(self._root) and scope["path"] == self._root and self.verb in _SAFE
        self.place: Place | None = None
        self.scope = self._plain(scope)
        self._refused: Refusal | None = None
        self._begun = self._replaced = False

    @property
    def kind(self) -> str:
        """Of the address."""
        return "nothing" if self.place is None else self.place.kind

    @property
    def wants_page(self) -> bool:
        """Whether a person looks at the answer."""
        return "text/html" in self.headers.get("accept", "")

    @property
    def with_slash(self) -> str:
        """The address of the first page, with what was asked of it."""
        query = self.scope["query_string"].decode("latin-1")
        return f"{self._root}/?{query}" if query else f"{self._root}/"

    @property
    def as_page(self) -> bool:
        """Whether a person asked for a page."""
        return self.wants_page and self.verb in _SAFE

    async def answer(self) -> None:
        """Let it in, or say why not; nothing else ever leaves."""
        try:
            await self._door.let_in(self)
        except RefusalError as error:
            self._refused = error.refusal
        except Exception:
            log.exception("a request failed")
            self._refused = self._refused or _FAILED
        if self._refused is not None and not self._begun:
            await self._refuse(self._refused)

    async def send_answer(self, response: ASGIApp) -> None:
        """Send an answer of the door's own."""
        await response(self.scope, self.receive, self.send)

    async def send(self, message: Message) -> None:
        """Send a part of an answer, with the headers that belong to every answer."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._refused is not None:  # while the body was read; the app says it in its own way
                self._replaced = True
                await self._refuse(self._refused)
                return
            self._begun = True
            message = {**message, "headers": self._answer_headers(message)}
        await self._send(message)

    async def _refuse(self, refusal: Refusal) -> None:
        response = refusal.response(as_page=self.as_page, root_path=self._root)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begun = True
                message = {**message, "headers": self._answer_headers(message)}
            await self._send(message)

        await response(self.scope, self.receive, send)

    def _answer_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        good = message["status"] < 400
        kind = self.kind if good or self.kind == "file" else "nothing"
        if kind == "asset" and not self.path.startswith("/assets/"):
            kind = "unhashed"
        return answer_headers(message.get("headers", []), kind=kind, https=self.visit.scheme == "https")

    def remembering(self, receive: Receive) -> Receive:
        """A body that, if it is refused while the app reads it, is refused in the door's words."""

        async def remember() -> Message:
            try:
                return await receive()
            except RefusalError as error:
                self._refused = error.refusal
                raise

        return remember

    def _plain(self, scope: Scope) -> Scope:
        """As if the visitor had come directly: what the proxies said in its place, and no one else's word."""
        headers = without_claims(scope["headers"])
        dropped: tuple[bytes, ...] = (b"host",)
        if self.path.startswith("/gradio_api/file="):
            dropped += (b"range",)  # Gradio's answer to a part would repeat the request's headers
        headers = [(name, value) for name, value in headers if name.lower() not in dropped]
        headers.insert(0, (b"host", self.visit.host.encode("latin-1", "replace")))
        raw = scope.get("raw_path", b"")
        return {
            **scope,
            "headers": headers,
            "scheme": self.visit.scheme,
            "path": self.path,
            "raw_path": raw.removeprefix(self._root.encode()) if self._root else raw,
        }


def _without_root(path: str, root: str) -> str:
    """The path within the site; a proxy may have cut off what comes before it, or not."""
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path


def _check_verb(place: Place, verb: str) -> None:
    if verb not in place.verbs:
        allowed = ", ".join(place.verbs)
        raise RefusalError(Refusal(405, f"This address takes {allowed} only.", {"Allow": allowed}))
