"""python -m app: compare pictures in a browser."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from avsl_core.errors import AvslError

__all__ = ["main"]

_LOCAL = ("127.0.0.1", "localhost", "::1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the application and serve until interrupted.

    Returns:
        Exit status: 0 after Ctrl+C, 2 for a mistake of the caller.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Read when gradio is imported: it must neither call home nor look for anything on the net.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        from avsl_core.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(options.checkpoint, options.device)
        from app.explore_builds import BuildLimits
        from app.server import GalleryOptions, serve
        from app.shelf import default_folder

        local = options.host in _LOCAL and not options.share
        limits = BuildLimits(
            allow_folders=local if options.allow_folders is None else options.allow_folders,
            max_archive_bytes=options.max_archive_mb * 2**20,
            max_archive_files=options.max_archive_files,
            public=not local,
        )
        galleries = GalleryOptions(options.galleries or default_folder(), limits)
        print(f"http://{options.host}:{options.port}  (Ctrl+C ends it)", flush=True)  # noqa: T201 - the terminal is ours
        serve(checkpoint, host=options.host, port=options.port, share=options.share, galleries=galleries)
    except AvslError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(
            f"port {options.port} on {options.host} cannot be used ({error}); give another one with --port"
        )
    except RuntimeError as error:
        if "device" not in str(error).lower():
            raise
        return _refuse(
            f"device {options.device} cannot be used ({str(error).splitlines()[0]}); try --device cpu"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Compare pictures in a browser, and see why."
    )
    parser.add_argument(
        "--checkpoint",
        default=os.environ.get("AVSL_CHECKPOINT", "default"),
        help="file, or name of a shipped checkpoint (default: AVSL_CHECKPOINT, else default)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps ... (default: cpu)")
    parser.add_argument(
        "--share", action="store_true", help="also open a public link, through Gradio's servers"
    )
    parser.add_argument(
        "--galleries",
        type=Path,
        default=os.environ.get("AVSL_GALLERIES") or None,  # empty is not the current folder
        metavar="FOLDER",
        help="where the Explore page keeps galleries (default: AVSL_GALLERIES, else one of the user's own)",
    )
    parser.add_argument(
        "--allow-folders",
        action=argparse.BooleanOptionalAction,
        help="let visitors build galleries from folders of this machine (default: only while it alone can "
        "open the page)",
    )
    parser.add_argument(
        "--max-archive-mb",
        type=_count,
        default=2048,
        metavar="MB",
        help="largest archive that a gallery may be built from, packed and unpacked (default: 2048)",
    )
    parser.add_argument(
        "--max-archive-files",
        type=_count,
        default=50_000,
        metavar="N",
        help="most files in such an archive (default: 50000)",
    )
    return parser


def _count(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of at least 1")
    return value


def _refuse(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201 - the terminal is ours
    return 2


if __name__ == "__main__":
    from avsl_core.memory import keep_freed_memory

    keep_freed_memory()
    sys.exit(main())
