"""Serves the site over HTTP until it is interrupted."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from app.settings import Settings

__all__ = ["serve_site", "take_port"]

log = logging.getLogger(__name__)

_FAREWELL_S = 2  # for answers under way when the server is told to stop
_LAST_S = 0.5  # for what is left when they were cut off


def take_port(settings: Settings) -> socket.socket:
    """Take the port, without letting anyone in yet: before the model is loaded, not after.

    Raises:
        OSError: If it is taken, or the address is not one of this machine.
    """
    family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError:
        taken.close()
        raise
    return taken


def serve_site(
    site: FastAPI,
    settings: Settings,
    port: socket.socket,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Answers under way then have two seconds to come to their end; what takes longer is cut off. Threads that
    still work on such an answer are not waited for.

    Args:
        site: From :func:`app.site.asgi.build_site`.
        settings: What it was built with.
        port: From :func:`take_port`.
        on_ready: Called once visitors can come in.
        on_stop: Called when it is told to stop, to end what never ends by itself.
    """
    config = uvicorn.Config(
        site,
        log_level="error",
        access_log=False,
        ws="none",
        lifespan="on",
        # Who is behind a proxy, and under which path, the door finds out.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_FAREWELL_S,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config, on_ready, on_stop)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    _run(server, port)


def _run(server: uvicorn.Server, port: socket.socket) -> None:
    """As `server.run` does, which at the end waits for every thread that is still at work, however long."""
    factory = server.config.get_loop_factory() or asyncio.new_event_loop
    loop = factory()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(server.serve(sockets=[port]))
        loop.run_until_complete(_end_tasks())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _end_tasks() -> None:
    """Cancel what is left, and give it a moment to take leave."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_LAST_S)


class _Server(uvicorn.Server):
    """Tells when it is ready and when it stops, and ends without raising the signal that stopped it again."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready, self._on_stop = on_ready, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former: dict[int, Any] = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)


def _is_news(record: logging.LogRecord) -> bool:
    """Open pages hold streams that never end by themselves: they are cut off, which is as it should be."""
    return "timeout graceful shutdown exceeded" not in record.getMessage()
