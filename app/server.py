"""Puts the pages together and serves them."""

import importlib
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

import gradio as gr

from app.api.doors import add_doors
from app.api.service import Service, ServiceLimits
from app.api.tools import add_tools
from app.compare.page import ComparePage
from app.compare.results import message_html
from app.decoding.decoder import Decoder, PictureDecoder
from app.explore.bench import ExploreBench
from app.explore.builds import BuildDesk, BuildLimits
from app.explore.page import ExplorePage
from app.explore.shelf import DEMO_PICTURES, Demo, Shelf, default_folder
from app.learn.page import LearnPage
from app.look.access import access_css, page_foot, page_title
from app.look.style import explore_css, learn_css, many_css, page_css, page_theme
from app.many.bench import ManyBench
from app.many.page import ManyPage
from app.quick_start import quick_building
from app.settings import Settings
from app.site.asgi import Look, build_site, upload_folder
from app.site.own_files import OwnFilesBlocks
from app.site.serving import serve_site, take_port
from app.site.sharing import share_site
from app.work.examples import EXAMPLES, load_pairs
from app.work.keep import Keep
from app.work.keep import default_folder as kept_folder
from app.work.models import Models
from app.work.turnstile import Turnstile
from avsl_core.checkpoint import Checkpoint
from avsl_core.images import ImageLimits

__all__ = ["TITLE", "GalleryOptions", "Parts", "build_app", "build_pages", "build_parts", "serve"]

TITLE = "How alike are two pictures, and why?"
_FIRST = "Compare"  # what the menu calls the first page


@dataclass(frozen=True)
class GalleryOptions:
    """Where galleries are, and what they may be built from.

    Attributes:
        folder: Of the galleries that visitors built.
        limits: What they may build from.
    """

    folder: Path = field(default_factory=default_folder)
    limits: BuildLimits = field(default_factory=BuildLimits)


@dataclass(frozen=True)
class Parts:
    """What pages and programs share.

    Attributes:
        models: What compares.
        shelf: The galleries.
        birds: What works on made birds.
        limits: What galleries may be built from.
        keep: Where the pictures of links are kept; None makes no links.
        service: The same functions for programs.
    """

    models: Models
    shelf: Shelf
    birds: Checkpoint
    limits: BuildLimits
    keep: Keep | None
    service: Service


def build_parts(
    checkpoint: Checkpoint,
    *,
    lab_checkpoint: Checkpoint | None = None,
    galleries: GalleryOptions | None = None,
    keep: Keep | None = None,
    decoder: PictureDecoder | None = None,
    turnstile: Turnstile | None = None,
    picture_bytes: int = ServiceLimits.picture_bytes,
) -> Parts:
    """Prepare what pages and programs share.

    Args:
        checkpoint: Model and preprocessing.
        lab_checkpoint: What the Bird lab and the demo gallery, both of made birds, work with, if not with
            `checkpoint`.
        galleries: Where the Explore page finds and builds galleries.
        keep: Where the pictures of links are kept; None makes no links.
        decoder: Decodes pictures; None does it in this process.
        turnstile: The queue before the model; None makes one.
        picture_bytes: The heaviest picture that programs may send.
    """
    options = galleries or GalleryOptions()
    birds = lab_checkpoint or checkpoint
    models = Models(checkpoint, birds, decoder=decoder, turnstile=turnstile)
    demo = Demo(birds) if DEMO_PICTURES.is_dir() else None
    shelf = Shelf(models, options.folder, demo)
    service = Service(models, shelf, keep=keep, limits=ServiceLimits(picture_bytes=picture_bytes))
    return Parts(models, shelf, birds, options.limits, keep, service)


def build_app(
    checkpoint: Checkpoint,
    examples: Path = EXAMPLES,
    *,
    lab_checkpoint: Checkpoint | None = None,
    galleries: GalleryOptions | None = None,
    keep: Keep | None = None,
) -> gr.Blocks:
    """Lay out the application, for tests and for other servers than ours.

    Args:
        checkpoint: Model and preprocessing.
        examples: Folder of the example pairs.
        lab_checkpoint: As :func:`build_parts` has it.
        galleries: Where the Explore page finds and builds galleries.
        keep: Where the pictures of links are kept; None makes no links.

    Raises:
        DataError: If the example pairs are missing.
    """
    parts = build_parts(checkpoint, lab_checkpoint=lab_checkpoint, galleries=galleries, keep=keep)
    return build_pages(parts, examples)


def build_pages(parts: Parts, examples: Path = EXAMPLES, root_path: str = "") -> gr.Blocks:
    """Lay out the pages.

    Args:
        parts: What they work with.
        examples: Folder of the example pairs.
        root_path: Path under which the site is served.

    Raises:
        DataError: If the example pairs are missing.
    """
    models, keep = parts.models, parts.keep
    explore = ExploreBench(parts.shelf)
    with quick_building(), OwnFilesBlocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.Navbar(main_page_name=_FIRST)
        page_title("Compare", TITLE)
        ComparePage(models, load_pairs(examples), explore, keep).build()
        add_tools(parts.service)
        page_foot(root_path)
    with quick_building(), blocks.route("Learn", "learn"):
        gr.Navbar(main_page_name=_FIRST)
        LearnPage(models, many=keep is not None).build()
        page_foot(root_path)
    with quick_building(), blocks.route("Explore", "explore"):
        gr.Navbar(main_page_name=_FIRST)
        page_title("Explore", TITLE)
        ExplorePage(explore, BuildDesk(explore.shelf, parts.limits)).build()
        page_foot(root_path)
    if keep is not None:  # its cells are links
        with quick_building(), blocks.route("Compare many", "many"):
            gr.Navbar(main_page_name=_FIRST)
            page_title("Compare many", TITLE)
            ManyPage(ManyBench(models, keep, examples)).build()
            page_foot(root_path)
    with quick_building(), blocks.route("Bird lab", "lab"):
        gr.Navbar(main_page_name=_FIRST)
        page_title("Bird lab", TITLE)
        _build_lab(parts.birds, models.turnstile)
        page_foot(root_path)
    return blocks


def serve(
    checkpoint: Checkpoint,
    *,
    settings: Settings,
    galleries: GalleryOptions | None = None,
    lab_checkpoint: Checkpoint | None = None,
    port: socket | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted.

    Args:
        checkpoint: Model and preprocessing.
        settings: Where, for whom, and how much.
        galleries: Where the Explore page finds and builds galleries.
        lab_checkpoint: As :func:`build_parts` has it.
        port: Where to listen, if it was taken already.
        on_ready: Called once visitors can come in.

    Raises:
        DataError: If the example pairs are missing.
        OSError: If the port is taken.
    """
    with ExitStack() as stack:
        taken = stack.enter_context(port or take_port(settings))
        folder = settings.uploads or Path(stack.enter_context(TemporaryDirectory(prefix="avsl-uploads-")))
        upload_folder(folder)
        turnstile = Turnstile(settings.slots, settings.queue, settings.wait_seconds, settings.work_seconds)
        parts = build_parts(
            checkpoint,
            lab_checkpoint=lab_checkpoint,
            galleries=galleries,
            keep=Keep(settings.kept or kept_folder(), hours=settings.kept_hours),
            decoder=stack.enter_context(closing(Decoder(ImageLimits(max_bytes=settings.max_upload_bytes)))),
            turnstile=turnstile,
            picture_bytes=settings.max_upload_bytes,
        )
        blocks = build_pages(parts, root_path=settings.root_path)
        site = build_site(
            settings,
            blocks,
            turnstile=turnstile,
            look=Look(page_theme(), page_css(load_pairs()) + _all_css()),
            doors=lambda site: add_doors(site, parts.service, _pages(blocks), settings.root_path),
            pictures=[EXAMPLES],
            previews=lambda: parts.models.preview_folders,
        )

        def ready() -> None:
            on_ready()
            if settings.share:
                share_site(site, settings, blocks.share_token)

        serve_site(site, settings, taken, on_ready=ready, on_stop=blocks.app.stop_event.set)


def _pages(blocks: gr.Blocks) -> list[tuple[str, str]]:
    """Address and title of each page, as the menu has them."""
    return [(page[0], page[1] if page[0] else _FIRST) for page in blocks.pages]


def _build_lab(checkpoint: Checkpoint, turnstile: Turnstile) -> None:
    trouble = _skia_trouble()
    if trouble is not None:
        gr.HTML(message_html(trouble), elem_id="lab-missing")
        return
    from app.lab.bench import LabBench
    from app.lab.page import LabPage

    LabPage(LabBench(checkpoint, turnstile=turnstile)).build()


def _all_css() -> str:
    return access_css() + learn_css() + explore_css() + many_css() + _lab_css()


def _lab_css() -> str:
    if _skia_trouble() is not None:
        return ""
    from app.lab.style import lab_css

    return lab_css()


def _skia_trouble() -> str | None:
    """What to install before birds can be drawn, or None: skia needs libraries that a small system lacks."""
    try:
        importlib.import_module("skia")
    except ImportError as error:
        return (
            f"The Bird lab cannot draw its birds: skia cannot be loaded here ({error}). Install it with "
            '"pip install skia-python" and, on Debian or Ubuntu, "apt-get install libegl1 libgl1 libexpat1"; '
            "then start the app again. The Compare page works without it."
        )
    return None
