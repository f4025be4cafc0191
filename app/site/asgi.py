"""The site: Gradio's pages and the addresses for programs in one application, behind the door."""

import logging
import os
import warnings
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.routing import Mount

from app.door import Door, UrlSpace
from app.look.access import FAVICON, own_head
from app.quick_start import quick_building
from app.settings import Settings
from app.site.sessions import bound_events, bound_sessions, bound_uploads
from app.site.spring_clean import SpringClean
from app.site.stream_ends import StreamEnds
from app.site.sweeper import Sweeper, SweeperOptions
from app.work.turnstile import Turnstile

__all__ = ["Look", "build_site", "upload_folder"]

log = logging.getLogger(__name__)

# Gradio's own queue lets so many more than the turnstile through: answers that are remembered need not wait.
_SPARE = 4
_MODEL = "model"  # what the pages call the queue of everything that touches the model


@dataclass(frozen=True)
class Look:
    """How Gradio's pages look.

    Attributes:
        theme: Colours, sizes and fonts.
        css: The style sheet.
    """

    theme: gr.themes.Base | None = None
    css: str = ""


@dataclass(frozen=True)
class _Health:
    """What `/healthz` tells; it changes as the server starts and stops."""

    turnstile: Turnstile
    flags: dict[str, bool] = field(default_factory=lambda: {"ready": False})


def build_site(
    settings: Settings,
    blocks: gr.Blocks,
    *,
    turnstile: Turnstile,
    look: Look | None = None,
    doors: Callable[[FastAPI], None] | None = None,
    pictures: Iterable[Path] = (),
    previews: Callable[[], list[Path]] = list,
) -> FastAPI:
    """Put the site together. `site.state.other_hosts` takes further names of it while it runs.

    Uploads go to the folder that :func:`upload_folder` prepared before the blocks were built.

    Args:
        settings: Who may come in, with how much, and how long it is kept.
        blocks: Gradio's pages.
        turnstile: The queue before the model.
        look: Of the pages.
        doors: Adds addresses of the site's own.
        pictures: Folders whose pictures the pages may show.
        previews: Gives folders of pictures made from uploads, which go when those go.

    Returns:
        The application; it is ready when its lifespan has begun.
    """
    uploads, look = _uploads(), look or Look()
    health = _Health(turnstile)
    sweeper = Sweeper(
        lambda: [uploads, *previews()],
        SweeperOptions(settings.upload_hours * 3600, settings.max_uploads_mb * 2**20),
        lambda: {
            str(file) for block in blocks.blocks.values() for file in getattr(block, "keep_in_cache", ())
        },
    )
    site = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(health, sweeper, SpringClean(turnstile)),
    )
    site.add_exception_handler(Exception, _say_nothing)
    site.add_api_route("/healthz", _health_answer(health), methods=["GET", "HEAD"], include_in_schema=False)
    if doors is not None:
        doors(site)
    _mount(site, blocks, settings, look, pictures)
    space = UrlSpace(blocks, lambda: site.routes, uploads)
    site.state.other_hosts = set[str]()
    site.add_middleware(StreamEnds)
    site.add_middleware(  # added last, so it stands first
        Door,
        settings=settings,
        space=space,
        uploads=uploads,
        other_hosts=site.state.other_hosts,
    )
    return site


def upload_folder(folder: Path) -> None:
    """Have Gradio keep uploads in a folder, which is made; to be called before blocks are built."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(folder.resolve())


def _uploads() -> Path:
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _mount(
    site: FastAPI, blocks: gr.Blocks, settings: Settings, look: Look, pictures: Iterable[Path]
) -> None:
    """What `blocks.launch` does besides serving."""
    bound_events()
    with quick_building():
        blocks.queue(max_size=settings.queue, api_open=False)
    # It says so of every site with several pages, asked for or not.
    warnings.filterwarnings("ignore", "SSR mode is not supported")
    queue = blocks._queue.event_queue_per_concurrency_id.get(_MODEL)
    if queue is not None:
        queue.concurrency_limit = settings.slots + _SPARE
    own_head()
    gr.mount_gradio_app(
        site,
        blocks,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        root_path=settings.root_path or None,
        allowed_paths=[str(folder) for folder in pictures],
        # Archives may be larger than pictures; the door knows which is which.
        max_file_size=max(settings.max_upload_bytes, settings.max_archive_bytes),
        theme=look.theme,
        css=look.css,
        show_error=False,
        favicon_path=str(FAVICON),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
    )
    # Gradio looks at which files a request names only where it thinks that it was launched by itself.
    blocks.has_launched = True
    blocks.app = next(route.app for route in site.routes if isinstance(route, Mount))
    blocks._queue.set_server_app(blocks.app)
    bound_sessions(blocks)
    bound_uploads()


def _lifespan(health: _Health, *background: Sweeper | SpringClean) -> Any:
    @asynccontextmanager
    async def lifespan(site: FastAPI) -> AsyncIterator[None]:
        for part in background:
            part.start()
        health.flags["ready"] = True
        try:
            yield
        finally:
            health.flags["ready"] = False
            for part in background:
                part.stop()

    return lifespan


def _health_answer(health: _Health) -> Callable[[], Any]:
    async def answer() -> JSONResponse:
        """Whether the server is well: 200, or 503 while it is not ready or a piece of work is stuck."""
        state, ready = health.turnstile.state, health.flags["ready"]
        content = {
            "alive": True,
            "ready": ready,
            "queue": state.waiting,
            "working": state.working,
            "stuck": state.stuck,
        }
        return JSONResponse(content, 200 if ready and not state.stuck else 503, {"Cache-Control": "no-store"})

    return answer


async def _say_nothing(request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", exc_info=error)
    words = "This failed on our side: try again; the log of the app says more."
    return JSONResponse({"detail": words, "error": {"code": "internal_error", "message": words}}, 500)
