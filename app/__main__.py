"""python -m app: compare pictures in a browser."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.quick_start import quick_imports
from app.site.leaving import leave

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["main", "serve_settings"]

_LAB_CHECKPOINT = "aviary"


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the application and serve until interrupted.

    Returns:
        Exit status: 0 after Ctrl+C, 2 for a mistake of the caller.
    """
    with quick_imports():
        from app.settings import Settings
        from avsl_core.errors import ConfigError

    try:
        settings = Settings.read(arguments)
    except ConfigError as error:
        return _refuse(str(error))
    return serve_settings(settings, announce=True)


def serve_settings(settings: "Settings", *, announce: bool = False) -> int:
    """Serve until interrupted.

    Args:
        settings: Where, for whom, and how much.
        announce: Whether to print the address.

    Returns:
        Exit status, as of `main`.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Read when gradio is imported: it must neither call home nor look for anything on the net.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    def tell() -> None:
        if announce:
            print(f"http://{settings.host}:{settings.port}  (Ctrl+C ends it)", flush=True)  # noqa: T201

    with quick_imports():
        from avsl_core.errors import AvslError
    try:
        if settings.workers > 1:
            from app.front.supervisor import run

            tell()
            return run(settings)
        _serve_here(settings, tell)
    except AvslError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(
            f"port {settings.port} on {settings.host} cannot be used ({error}); give another one with --port"
        )
    except RuntimeError as error:
        if "device" not in str(error).lower():
            raise
        return _refuse(
            f"device {settings.device} cannot be used ({str(error).splitlines()[0]}); try --device cpu"
        )
    except KeyboardInterrupt:  # while it was still starting
        pass
    return 0


def _serve_here(settings: "Settings", tell: Callable[[], None]) -> None:
    gc.disable()  # until the first page is there: nothing of what is made before is garbage
    try:
        _load_and_serve(settings, tell)
    finally:
        gc.enable()


def _load_and_serve(settings: "Settings", tell: Callable[[], None]) -> None:
    with quick_imports(), ThreadPoolExecutor(1) as background:
        from avsl_core.checkpoint import load_checkpoint, shipped_checkpoints

        # Most of a model's loading goes on beside the import of the rest.
        loading = background.submit(load_checkpoint, settings.checkpoint, settings.device)
        birds = None
        if _LAB_CHECKPOINT in shipped_checkpoints():
            birds = background.submit(load_checkpoint, _LAB_CHECKPOINT, settings.device)
        from app.explore.builds import BuildLimits
        from app.explore.shelf import default_folder
        from app.server import GalleryOptions, serve

        checkpoint = loading.result()

    def ready() -> None:
        gc.freeze()
        gc.enable()
        tell()

    limits = BuildLimits(
        allow_folders=settings.folders_allowed,
        max_archive_bytes=settings.max_archive_bytes,
        max_archive_files=settings.max_archive_files,
        public=not settings.local,
    )
    serve(
        checkpoint,
        settings=settings,
        galleries=GalleryOptions(settings.galleries or default_folder(), limits),
        lab_checkpoint=None if birds is None else birds.result(),
        on_ready=ready,
    )


def _refuse(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201 - the terminal is ours
    return 2


if __name__ == "__main__":
    with quick_imports():
        from avsl_core.memory import keep_freed_memory

    keep_freed_memory()
    leave(main())
