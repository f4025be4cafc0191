"""How the door says no: a status, one sentence for people, and a code for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

from starlette.formparsers import MultiPartException
from starlette.responses import HTMLResponse, Response

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

    def response(self, *, as_page: bool) -> Response:
        """The answer, as a page for people or as JSON for programs; `detail` is what Gradio's pages show."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if as_page:
            return HTMLResponse(_PAGE.format(words=escape(self.words)), self.status, headers)
        content = {"detail": self.words, "error": {"code": CODES[self.status], "message": self.words}}
        return Response(json.dumps(content), self.status, headers, media_type="application/json")


class RefusalError(MultiPartException):
    """Says no, also from within a body that is being read.

    Gradio deletes what it has of an upload when a form turns out to be damaged: to it, this is such a case.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Not here</title>
<style>body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem;
color-scheme: light dark }}</style><p>{words}</p>"""
