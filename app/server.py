"""Puts the pages together and serves them."""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare_page import ComparePage
from app.examples import EXAMPLES, load_pairs
from app.explore_bench import ExploreBench
from app.explore_builds import BuildDesk, BuildLimits
from app.explore_page import ExplorePage
from app.models import Models
from app.results import message_html
from app.shelf import DEMO_PICTURES, Demo, Shelf, default_folder
from app.style import explore_css, page_css, page_theme
from avsl_core.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoints
from avsl_core.images import ImageLimits

__all__ = ["TITLE", "GalleryOptions", "build_app", "serve"]

TITLE = "How alike are two pictures, and why?"
_DAY = 86_400
_LAB_CHECKPOINT = "aviary"


@dataclass(frozen=True)
class GalleryOptions:
    """Where galleries are, and what they may be built from.

    Attributes:
        folder: Of the galleries that visitors built.
        limits: What they may build from.
    """

    folder: Path = field(default_factory=default_folder)
    limits: BuildLimits = field(default_factory=BuildLimits)


def build_app(
    checkpoint: Checkpoint,
    examples: Path = EXAMPLES,
    *,
    lab_checkpoint: Checkpoint | None = None,
    galleries: GalleryOptions | None = None,
) -> gr.Blocks:
    """Lay out the application.

    Args:
        checkpoint: Model and preprocessing.
        examples: Folder of the example pairs.
        lab_checkpoint: What the Bird lab and the demo gallery, both of made birds, work with, if not with
            `checkpoint`.
        galleries: Where the Explore page finds and builds galleries.

    Raises:
        DataError: If the example pairs are missing.
    """
    options = galleries or GalleryOptions()
    birds = lab_checkpoint or checkpoint
    models = Models(checkpoint, birds)
    demo = Demo(birds) if DEMO_PICTURES.is_dir() else None
    explore = ExploreBench(Shelf(models, options.folder, demo))
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, _DAY)) as blocks:
        gr.Navbar(main_page_name="Compare")
        ComparePage(models, load_pairs(examples), explore).build()
    with blocks.route("Explore", "explore"):
        gr.Navbar(main_page_name="Compare")
        ExplorePage(explore, BuildDesk(explore.shelf, options.limits)).build()
    with blocks.route("Bird lab", "lab"):
        gr.Navbar(main_page_name="Compare")
        _build_lab(birds)
    return blocks


def serve(
    checkpoint: Checkpoint,
    *,
    host: str,
    port: int,
    share: bool = False,
    galleries: GalleryOptions | None = None,
) -> None:
    """Serve until interrupted.

    Args:
        checkpoint: Model and preprocessing.
        host: Address to listen on.
        port: Port to listen on.
        share: Also open a public link.
        galleries: Where the Explore page finds and builds galleries.

    Raises:
        CheckpointError: If the Bird lab's checkpoint is damaged.
        DataError: If the example pairs are missing.
        OSError: If the port is taken.
    """
    galleries = galleries or GalleryOptions()
    blocks = build_app(checkpoint, lab_checkpoint=_lab_checkpoint(checkpoint), galleries=galleries)
    blocks.queue(max_size=64, api_open=False)
    options: dict[str, Any] = {
        "theme": page_theme(),
        "css": page_css(load_pairs()) + explore_css() + _lab_css(),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "pwa": False,
        "ssr_mode": False,
        "mcp_server": False,
        # Archives may be larger than pictures, whose own limit is checked when they are read.
        "max_file_size": max(ImageLimits().max_bytes, galleries.limits.max_archive_bytes),
        "allowed_paths": [str(EXAMPLES)],
    }
    blocks.launch(server_name=host, server_port=port, share=share, show_error=False, quiet=True, **options)


def _build_lab(checkpoint: Checkpoint) -> None:
    trouble = _skia_trouble()
    if trouble is not None:
        gr.HTML(message_html(trouble), elem_id="lab-missing")
        return
    from app.lab_bench import LabBench
    from app.lab_page import LabPage

    LabPage(LabBench(checkpoint)).build()


def _lab_css() -> str:
    if _skia_trouble() is not None:
        return ""
    from app.lab_style import lab_css

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


def _lab_checkpoint(checkpoint: Checkpoint) -> Checkpoint | None:
    """The shipped model that was trained on made birds, if there is one."""
    if _LAB_CHECKPOINT not in shipped_checkpoints():
        return None
    return load_checkpoint(_LAB_CHECKPOINT, checkpoint.model.device)
