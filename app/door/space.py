"""The addresses that there are: what the app needs of Gradio's, and what the site has of its own.

Gradio registers some ninety routes; the pages, their programs and the API use some twenty. All others are not
there: no forwarding to other hosts, no monitoring, no editor, no links into a stranger's session.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Match, Mount

__all__ = ["Place", "UrlSpace"]

_READ = ("GET", "HEAD")
_WRITE = ("POST",)
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_API = "/gradio_api"
_FILE = f"{_API}/file="
_HASH = re.compile(r"[0-9a-f]{32,64}")


@dataclass(frozen=True)
class Place:
    """What is at an address.

    Attributes:
        verbs: Methods of HTTP that it takes.
        kind: "page", "asset" (part of a page, the same for all), "file" (of a visitor), "stream" (open for
            long), "json" (a small body in JSON that may name files), "upload", or "own" (the site's, not
            Gradio's).
    """

    verbs: tuple[str, ...]
    kind: str


_PLACES: tuple[tuple[str, Place], ...] = (
    (r"/(assets|static)/[A-Za-z0-9_][A-Za-z0-9_./-]*", Place(_READ, "asset")),
    (rf"({_API})?/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json", Place(_READ, "asset")),
    (rf"/config/?|{_API}/info/?|{_API}/app_id/?", Place(_READ, "page")),
    (rf"{_API}/queue/data|{_API}/heartbeat/[A-Za-z0-9_-]+|{_API}/upload_progress", Place(("GET",), "stream")),
    (rf"{_API}/call/(v2/)?[A-Za-z0-9_]+/[A-Za-z0-9_-]+", Place(("GET",), "stream")),
    (rf"{_API}/(queue/join|cancel|reset)/?|{_API}/call/(v2/)?[A-Za-z0-9_]+/?", Place(_WRITE, "json")),
    (rf"{_API}/upload", Place(_WRITE, "upload")),
)


class UrlSpace:
    """Says what is at an address.

    Args:
        blocks: Gradio's: which pages it has, and which of its means they use.
        routes: The site's own, apart from Gradio.
        uploads: Folder of uploads, to which Gradio copies all else that pages show: the only files served.
    """

    def __init__(self, blocks: Any, routes: Callable[[], Iterable[BaseRoute]], uploads: Path) -> None:
        self._routes = routes
        self._uploads = uploads.resolve()
        pages = "|".join(re.escape(f"/{page[0]}") + ("/?" if page[0] else "") for page in blocks.pages)
        places = [(pages, Place(_READ, "page")), *_PLACES, *_used(blocks)]
        self._places = [(re.compile(pattern), place) for pattern, place in places]

    def place(self, path: str, scope: Any) -> Place | None:
        """What is at a path, or None if there is nothing.

        Args:
            path: Decoded, without the path under which the site is served.
            scope: The request, with that path.
        """
        if path.startswith(_FILE):
            return Place(_READ, "file") if self.is_served(path.removeprefix(_FILE)) else None
        if not _is_plain(path):
            return None
        found = [place for pattern, place in self._places if pattern.fullmatch(path)]
        if found:
            return next((place for place in found if scope["method"] in place.verbs), found[0])
        return Place(_VERBS, "own") if self._is_own(scope) else None

    def is_served(self, file: str) -> bool:
        """Whether a file may be fetched: an upload, by its own path and no other way to write it."""
        if not file.startswith("/") or "\0" in file or "\\" in file or "//" in file:
            return False
        path = Path(file)
        if ".." in path.parts or str(path) != file:
            return False
        try:
            if path.resolve(strict=True) != path or not path.is_file():  # a link leads elsewhere
                return False
        except OSError:
            return False
        if not path.is_relative_to(self._uploads):
            return False
        folder, *name = path.relative_to(self._uploads).parts
        return len(name) == 1 and _HASH.fullmatch(folder) is not None and not name[0].startswith(".")

    def is_upload(self, file: str) -> bool:
        """Whether a file that a request names is one that was uploaded, still there or not."""
        path = Path(file)
        return (
            path.is_absolute()
            and ".." not in path.parts
            and "\0" not in file
            and path.resolve().is_relative_to(self._uploads)
        )

    def _is_own(self, scope: Any) -> bool:
        """Whether the site has a route of its own at an address; it says itself which verbs that takes."""
        mounted = (route for route in self._routes() if isinstance(route, Mount) and route.path == "")
        gradio = next(mounted, None)
        return any(
            route is not gradio and route.matches(scope)[0] is not Match.NONE for route in self._routes()
        )


def _used(blocks: Any) -> Iterator[tuple[str, Place]]:
    """Addresses that only some apps of Gradio need."""
    if any(not function.queue for function in blocks.fns.values()):
        yield rf"{_API}/run/predict/?", Place(_WRITE, "json")
    if any(getattr(block, "server_fns", None) for block in blocks.blocks.values()):
        yield rf"{_API}/component_server/?", Place(_WRITE, "json")


def _is_plain(path: str) -> bool:
    """Whether a path can be read in one way only."""
    return (
        path.startswith("/")
        and "//" not in path
        and all(part not in (".", "..") for part in path.split("/"))
        and not any(letter in "\\%" or ord(letter) < 32 or ord(letter) == 127 for letter in path)
    )
