"""Puts the pages together and serves them."""

from pathlib import Path
from typing import Any

import gradio as gr

from app.compare_page import ComparePage
from app.examples import EXAMPLES, load_pairs
from app.style import page_css, page_theme
from app.workbench import Workbench
from avsl_core.checkpoint import Checkpoint
from avsl_core.images import ImageLimits

__all__ = ["TITLE", "build_app", "serve"]

TITLE = "How alike are two pictures, and why?"
_DAY = 86_400


def build_app(checkpoint: Checkpoint, examples: Path = EXAMPLES) -> gr.Blocks:
    """Lay out the application.

    Args:
        checkpoint: Model and preprocessing.
        examples: Folder of the example pairs.

    Raises:
        DataError: If the example pairs are missing.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, _DAY)) as blocks:
        ComparePage(Workbench(checkpoint), load_pairs(examples)).build()
    return blocks


def serve(checkpoint: Checkpoint, *, host: str, port: int, share: bool = False) -> None:
    """Serve until interrupted.

    Raises:
        DataError: If the example pairs are missing.
        OSError: If the port is taken.
    """
    blocks = build_app(checkpoint)
    blocks.queue(max_size=64, api_open=False)
    options: dict[str, Any] = {
        "theme": page_theme(),
        "css": page_css(load_pairs()),
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
