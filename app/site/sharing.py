"""A public link through Gradio's servers: the one thing that leaves this machine, and only when asked for."""

import logging
import threading
from urllib.parse import urlsplit

from fastapi import FastAPI

from app.settings import Settings

__all__ = ["share_site"]

log = logging.getLogger(__name__)


def share_site(site: FastAPI, settings: Settings, token: str) -> None:
    """Open the link in the background and print it; without one the site goes on for this machine alone.

    Args:
        site: From :func:`app.site.asgi.build_site`; it learns the link's name.
        settings: Where it is served.
        token: Names the link.
    """
    threading.Thread(target=_open, args=(site, settings, token), name="share", daemon=True).start()


def _open(site: FastAPI, settings: Settings, token: str) -> None:
    from gradio.networking import setup_tunnel

    try:
        address = setup_tunnel(settings.host, settings.port, token, None, None)
    except Exception as error:
        log.warning("a public link could not be opened (%s); the page is open to this machine alone", error)
        return
    host = urlsplit(address).netloc
    site.state.other_hosts.add(host)
    print(f"https://{host}  (open to everybody who has the link)", flush=True)  # noqa: T201 - the terminal is ours
