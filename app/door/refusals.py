"""How the door says no: a status, one sentence for people, and a code for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

from starlette.formparsers import MultiPartException
from starlette.responses import HTMLResponse, Response

from app.look.plain import plain_css

__all__ = ["CODES", "Refusal", "RefusalError"]

CODES: Mapping[int, str] = MappingProxyType(
    {
        400: "invalid_request",
        401: "password_needed",
        403: "forbidden",
        404: "unknown_address",
        405: "wrong_verb",
        408: "too_slow",
        411: "invalid_request",
        413: "too_large",
        421: "unknown_host",
        429: "too_many_requests",
        500: "internal_error",
        507: "unavailable",
    }
)
"""What programs may branch on."""

_TITLES: Mapping[int, str] = MappingProxyType(
    {
        400: "This request cannot be read",
        401: "A password is needed",
        403: "This is not allowed",
        404: "There is nothing here",
        405: "This address works in another way",
        408: "This took too long to arrive",
        411: "This request cannot be read",
        413: "This is too large",
        421: "No site of this name",
        429: "Too many requests",
        500: "This failed",
        507: "There is no room",
    }
)
_NO_WAY = (421,)  # the first page would be refused as well


@dataclass(frozen=True)
class Refusal:
    """An answer that says no.

    Attributes:
        status: Of HTTP.
        words: What is wrong and what to do, in one sentence.
        headers: To be sent along.
    """

    status: int
    words: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, *, as_page: bool, root_path: str = "") -> Response:
        """The answer, as a page for people or as JSON for programs; `detail` is what Gradio's pages show.

        Args:
            as_page: Whether it is for people.
            root_path: Path under which the site is served.
        """
        headers = {"Cache-Control": "no-store", **self.headers}
        if as_page:
            return HTMLResponse(self._page(root_path), self.status, headers)
        content = {"detail": self.words, "error": {"code": CODES[self.status], "message": self.words}}
        return Response(json.dumps(content), self.status, headers, media_type="application/json")

    def _page(self, root_path: str) -> str:
        title = _TITLES[self.status]
        style = f"{plain_css()}main {{ max-width: 38rem; padding-top: 18vh; }}"
        way = f'<p><a href="{escape(root_path)}/">To the first page</a></p>'
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title} · AVSL</title><style>{style}</style></head><body><main>"
            f"<h1>{title}</h1><p>{escape(self.words)}</p>"
            f"{'' if self.status in _NO_WAY else way}</main></body></html>"
        )


class RefusalError(MultiPartException):
    """Says no, also from within a body that is being read.

    Gradio deletes what it has of an upload when a form turns out to be damaged: to it, this is such a case.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal
