"""One address before several servers of the app, on this machine or on others.

    python -m app.front --backend http://10.0.0.5:7860 --backend http://10.0.0.6:7860 --port 7860

A backend that is lost is left out until it is well again; its visitors move to another one.
"""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

import uvicorn

from app.front.backends import Backend, Backends, HealthOptions, read_address
from app.front.proxy import Front, FrontOptions
from app.front.relay import RelayOptions

__all__ = ["listen", "main", "serve_front", "until_stopped"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the backends of the command line until interrupted.

    Returns:
        Exit status: 0 after Ctrl+C, 2 if the port cannot be used.
    """
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("app").setLevel(logging.INFO)
    health = HealthOptions(timeout_s=given.health_timeout)
    options = FrontOptions(
        max_open=given.max_open,
        root_path=given.root_path.rstrip("/"),
        trusted_proxies=tuple(given.trusted_proxy),
        relay=RelayOptions(upload_bytes=given.max_upload_mb * 2**20),
    )
    backends = Backends([Backend(url) for url in dict.fromkeys(given.backend)], health)
    try:
        door = listen(given.host, given.port)
    except OSError as error:
        print(f"error: port {given.port} on {given.host} cannot be used ({error})", file=sys.stderr)  # noqa: T201 - the terminal is ours
        return 2
    print(f"http://{given.host}:{given.port}  (Ctrl+C ends it)", flush=True)  # noqa: T201 - the terminal is ours
    asyncio.run(_serve_watched(backends, door, options))
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Take the port, without letting anyone in yet.

    Raises:
        OSError: If the port is taken, or the address is not one of this machine.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
    except OSError:
        door.close()
        raise
    return door


async def serve_front(
    backends: Backends, door: socket.socket, options: FrontOptions, stop: asyncio.Event
) -> None:
    """Serve until told to stop; the backends are watched by the caller.

    Args:
        backends: Those it may pass requests to.
        door: The port, from `listen`.
        options: What it takes on.
        stop: Set to stop.
    """
    _allow_open_files(2 * options.max_open + 256)
    front = Front(backends, options)
    config = uvicorn.Config(
        front,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        proxy_headers=bool(options.trusted_proxies),
        forwarded_allow_ips=list(options.trusted_proxies),
        timeout_keep_alive=65,
        # Open pages hold a stream that never ends by itself.
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        await front.aclose()


@contextmanager
def until_stopped() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Leaves the signals to `until_stopped`."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _serve_watched(backends: Backends, door: socket.socket, options: FrontOptions) -> None:
    with until_stopped() as stop:
        async with backends.watched():
            await serve_front(backends, door, options, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.front", description="One address before several servers of the app."
    )
    parser.add_argument(
        "--backend",
        type=_address,
        action="append",
        required=True,
        metavar="URL",
        help="address of a server, as http://10.0.0.5:7860; give one for each",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    parser.add_argument(
        "--trusted-proxy",
        type=_network,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or range of a proxy in front, whose X-Forwarded-For and -Proto count (default: none)",
    )
    parser.add_argument(
        "--root-path", default="", metavar="PATH", help="path under which a proxy serves the app"
    )
    parser.add_argument(
        "--max-open",
        type=int,
        default=FrontOptions.max_open,
        metavar="N",
        help=f"requests in hand at once, of which an open page holds one (default: {FrontOptions.max_open})",
    )
    parser.add_argument(
        "--max-upload-mb",
        type=int,
        default=0,
        metavar="MB",
        help="most that one request may send; what is more is refused before it is sent (default: as the "
        "servers say)",
    )
    parser.add_argument(
        "--health-timeout",
        type=float,
        default=HealthOptions.timeout_s,
        metavar="S",
        help="seconds within which a server has to say that it is well; after two silences it is left out "
        f"(default: {HealthOptions.timeout_s:g})",
    )
    return parser


def _address(text: str) -> str:
    try:
        return read_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: give an address or a range, such as 10.0.0.0/8") from error


def _allow_open_files(count: int) -> None:
    """Each request in hand takes two; many systems allow a program 1,024 unless it asks for more."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
