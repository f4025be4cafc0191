"""The servers behind the front: which are well, and which of them serves whom.

A visitor stays where the first page came from, because Gradio keeps a visitor's queue in one process. Only
when that server is lost does the visitor move, and then stays with the new one.
"""

import asyncio
import hashlib
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

__all__ = ["Backend", "Backends", "HealthOptions", "Visitor", "read_address"]

log = logging.getLogger(__name__)

_COOKIE = re.compile(r"([0-9a-f]{8})\.([0-9a-f]{32})")
_REMEMBERED = 65_536

T = TypeVar("T")


def read_address(text: str) -> str:
    """An address of a backend, without a slash at its end.

    Raises:
        ValueError: If it is none.

    Examples:
        >>> read_address("http://10.0.0.5:7860/")
        'http://10.0.0.5:7860'
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{text}: give the address of a server, such as http://10.0.0.5:7860")
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class HealthOptions:
    """How the front finds out whether a backend is well.

    Attributes:
        interval_s: Between two questions.
        timeout_s: Longest that an answer may take.
        failures: Unanswered questions in a row after which a backend counts as lost. One that cannot be
            connected to gets no new requests after the first.
    """

    interval_s: float = 1.0
    timeout_s: float = 5.0
    failures: int = 2


@dataclass(eq=False)
class Backend:
    """One server.

    Attributes:
        url: Where it listens; may change when it is started again.
        name: What cookies call it: eight hexadecimal digits that do not tell its address.
        well: Whether it gets requests.
        trouble: Why not, in words.
        answering: Whether it is there at all; one that answers "unwell" keeps what it has in hand.
        open: Requests in hand.
        given: Visitors who began here.
        life: Changes when it is lost: what it kept for its visitors in an earlier one is gone.
        lost: Done when it is gone, with the reason; whoever waits for an answer waits for this too.
    """

    url: str
    name: str = ""
    well: bool = False
    trouble: str = "was not asked yet"
    answering: bool = False
    open: int = 0
    given: int = 0
    life: int = 0
    silent: int = 0
    lost: "asyncio.Future[str] | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.name = self.name or hashlib.sha256(self.url.encode()).hexdigest()[:8]

    def loss(self) -> "asyncio.Future[str]":
        """The future that is done when this backend is gone."""
        if self.lost is None or self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()
        return self.lost

    def move(self, url: str) -> None:
        """It was started again, and listens elsewhere; not well until it was asked."""
        self.url, self.well, self.answering, self.silent = url, False, False, 0
        self.life += 1

    def take_in(self) -> None:
        """It is well: give it requests."""
        if not self.well:
            log.info("backend %s (%s) is well", self.name, self.url)
        self.well, self.answering, self.trouble = True, True, ""

    def hold_back(self, reason: str) -> None:
        """It is there but unwell: no new requests, and those in hand may end."""
        if self.well:
            log.warning("backend %s (%s) %s; its visitors move", self.name, self.url, reason)
        self.well, self.answering, self.trouble = False, True, reason

    def take_out(self, reason: str) -> None:
        """It is gone: no new requests, and those in hand are given up."""
        if self.well:
            log.warning("backend %s (%s) %s; its visitors move", self.name, self.url, reason)
        self.well, self.answering, self.trouble = False, False, reason
        self.life += 1
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(reason)


@dataclass(frozen=True)
class Visitor:
    """Who asks.

    Attributes:
        key: Tells visitors apart.
        home: Name of the backend that the cookie names; empty without a cookie.
        new: Has no cookie and opens a page: goes where most room is, and gets a cookie.
    """

    key: str
    home: str = ""
    new: bool = False

    @classmethod
    def of_cookie(cls, value: str) -> "Visitor | None":
        """Who a cookie names, or None if it is not one of ours.

        A forged one only picks among the backends, as everyone does who comes often enough.
        """
        found = _COOKIE.fullmatch(value)
        return None if found is None else cls(found[2], found[1])

    @classmethod
    def newcomer(cls) -> "Visitor":
        """Someone who was not here before."""
        return cls(secrets.token_hex(16), new=True)


class Backends:
    """The servers, and who is served by which.

    Args:
        members: The servers.
        health: How to find out whether they are well.
    """

    def __init__(self, members: Sequence[Backend], health: HealthOptions | None = None) -> None:
        self.members = tuple(members)
        self.health = health or HealthOptions()
        self._moved: OrderedDict[str, str] = OrderedDict()  # from visitors to names of backends
        self._joined: OrderedDict[str, tuple[str, int]] = OrderedDict()  # to names and lives

    @property
    def well(self) -> list[Backend]:
        """Those that get requests."""
        return [member for member in self.members if member.well]

    def least_busy(self, without: Collection[Backend] = ()) -> Backend | None:
        """The one with the fewest requests in hand."""
        candidates = [member for member in self.well if member not in without]
        return min(candidates, key=lambda member: (member.open, member.given), default=None)

    def of_visitor(self, visitor: Visitor, without: Collection[Backend] = ()) -> Backend | None:
        """The one that serves a visitor; another one, from now on, if that is not well.

        Args:
            visitor: Who asks.
            without: Backends that were just found to be gone.
        """
        if visitor.new:
            chosen = self.least_busy(without)
            if chosen is not None:
                chosen.given += 1
            return chosen
        name = self._moved.get(visitor.key) or visitor.home or self._by_hash(visitor.key, self.members).name
        current = next((member for member in self.members if member.name == name), None)
        if current is not None and current.well and current not in without:
            return current
        candidates = [member for member in self.well if member not in without]
        if not candidates:
            return None
        chosen = self.least_busy(without) if visitor.home else self._by_hash(visitor.key, candidates)
        if chosen is not None:
            self.remember(visitor.key, chosen)
        return chosen

    def remember(self, key: str, backend: Backend) -> None:
        """From now on this backend serves this visitor."""
        _note(self._moved, key, backend.name)

    def note_event(self, visitor: Visitor, backend: Backend) -> None:
        """A visitor has put an event into the queue of a backend."""
        _note(self._joined, visitor.key, (backend.name, backend.life))

    def event_lost(self, visitor: Visitor, backend: Backend) -> bool:
        """Whether the last event of a visitor was lost, so that this backend knows nothing of it."""
        return self._joined.get(visitor.key, (backend.name, backend.life)) != (backend.name, backend.life)

    @staticmethod
    def _by_hash(key: str, candidates: Sequence[Backend]) -> Backend:
        """Rendezvous hashing: without a word between them, all fronts send a key to the same backend."""
        return max(
            candidates,
            key=lambda member: hashlib.blake2b(f"{member.name} {key}".encode(), digest_size=8).digest(),
        )

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Ask every backend how it is, again and again until the block ends; first answers are awaited."""
        # trust_env: a proxy of the environment has no place between the front and its backends.
        async with httpx.AsyncClient(trust_env=False, timeout=self.health.timeout_s) as client:
            await asyncio.gather(*(self._ask(client, member) for member in self.members))
            watches = [asyncio.create_task(self._watch(client, member)) for member in self.members]
            try:
                yield
            finally:
                for watch in watches:
                    watch.cancel()
                for watch in watches:
                    with suppress(asyncio.CancelledError):
                        await watch

    async def _watch(self, client: httpx.AsyncClient, member: Backend) -> None:
        while True:
            await asyncio.sleep(self.health.interval_s)
            await self._ask(client, member)

    async def _ask(self, client: httpx.AsyncClient, member: Backend) -> None:
        url = member.url
        try:
            # A connection of its own each time: one that is kept tells nothing about new ones.
            answer = await client.get(f"{url}/healthz", headers={"connection": "close"})
        except httpx.TransportError as error:
            if url == member.url:
                self._note_silence(member, error)
        except Exception:  # nothing that a backend answers may end the watch over it
            log.exception("backend %s (%s) gave an answer that cannot be read", member.name, url)
        else:
            if url != member.url:  # it was started again meanwhile, elsewhere
                return
            member.silent = 0
            if answer.status_code < 500:
                member.take_in()
            else:
                member.hold_back(f"says that it is unwell (status {answer.status_code})")

    def _note_silence(self, member: Backend, error: httpx.TransportError) -> None:
        member.silent += 1
        if isinstance(error, httpx.ConnectError) and member.answering:
            member.hold_back("cannot be reached")
        if member.silent >= self.health.failures:
            member.take_out(f"did not answer {member.silent} times in a row")


def _note(table: OrderedDict[str, T], key: str, value: T) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > _REMEMBERED:
        table.popitem(last=False)
