"""Puts the pages together and serves them."""

import importlib
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare_page import ComparePage
from app.examples import EXAMPLES, load_pairs
from app.results import message_html
from app.style import page_css, page_theme
from app.workbench import Workbench
from avsl_core.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoints
from avsl_core.images import ImageLimits

__all__ = ["TITLE", "build_app", "serve"]

TITLE = "How alike are two pictures, and why?"
_DAY = 86_400
_LAB_CHECKPOINT = "aviary"


def build_app(
    checkpoint: Checkpoint, examples: Path = EXAMPLES, *, lab_checkpoint: Checkpoint | None = None
) -> gr.Blocks:
    """Lay out the application.

    Args:
        checkpoint: Model and preprocessing.
        examples: Folder of the example pairs.
        lab_checkpoint: What the Bird lab works with, if not with `checkpoint`.

    Raises:
        DataError: If the example pairs are missing.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, _DAY)) as blocks:
        gr.Navbar(main_page_name="Compare")
        ComparePage(Workbench(checkpoint), load_pairs(examples)).build()
    with blocks.route("Bird lab", "lab"):
        gr.Navbar(main_page_name="Compare")
        _build_lab(lab_checkpoint or checkpoint)
    return blocks


def serve(checkpoint: Checkpoint, *, host: str, port: int, share: bool = False) -> None:
    """Serve until interrupted.

    Raises:
        CheckpointError: If the Bird lab's checkpoint is damaged.
        DataError: If the example pairs are missing.
        OSError: If the port is taken.
    """
    blocks = build_app(checkpoint, lab_checkpoint=_lab_checkpoint(checkpoint))
    blocks.queue(max_size=64, api_open=False)
    options: dict[str, Any] = {
        "theme": page_theme(),
        "css": page_css(load_pairs()) + _lab_css(),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "pwa": False,
        "ssr_mode": False,
        "mcp_server": False,
        "max_file_size": ImageLimits().max_bytes,
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
