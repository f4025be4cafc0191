"""The one place where what went wrong becomes an answer: a status, a stable code and one line of words.

Nothing of this machine leaves it: a message that names a path is replaced, and what nobody foresaw is logged
and answered with a sentence that says no more than that.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.look.printable import printable
from app.work.keep import KeptError
from app.work.turnstile import SlowError
from avsl_core.errors import (
    AvslError,
    CheckpointError,
    ConfigError,
    EncodingError,
    GalleryError,
    ImageError,
    MissingPackageError,
)

__all__ = ["CODES", "Refusal", "RequestError", "refusal_of"]

log = logging.getLogger(__name__)

CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "missing_field": (400, "a picture or another field that is needed was not given"),
        "invalid_picture": (400, "neither an upload nor a data: address"),
        "unknown_address": (404, "there is nothing at this address"),
        "unknown_gallery": (404, "no gallery of that key"),
        "unknown_picture": (404, "no picture is kept under that key, or not any longer"),
        "unknown_model": (404, "no model of that name"),
        "wrong_verb": (405, "the address is there, but takes GET or POST only"),
        "too_large": (413, "a picture or the whole request weighs more than is allowed"),
        "unreadable_picture": (415, "not a picture, damaged, or of a size that cannot be compared"),
        "invalid_request": (422, "a field is out of its range, or not of its kind"),
        "unsupported": (422, "the method of the model cannot do this"),
        "too_many_requests": (429, "wait as long as Retry-After says, then ask again"),
        "internal_error": (500, "the fault is ours and was logged"),
        "took_too_long": (503, "it was given up; ask for less, or at a quieter time"),
        "busy": (503, "too many wait already; ask again after Retry-After seconds"),
        "unavailable": (503, "a model or gallery cannot be used right now"),
    }
)
"""Status and meaning of every code there is."""

# An absolute path, or one of Windows, where a word begins; "1/2", addresses with a scheme other than that of
# files, and our own below /api/v1 are none.
_PATH = re.compile(
    r"(?:^|(?<=[\s'\"`(=\[{<>,;:|]))(?!/api/v1(?![\w-]))(?:/[^\s/]+/|~/|[A-Za-z]:\\)"
    r"|file:/|/(?:tmp|home|root|var|usr|etc)\b"
)
_LONGEST = 400

_BY_STATUS = {400: "invalid_request", 404: "unknown_address", 405: "wrong_verb", 413: "too_large"}
_BY_STATUS |= {415: "unreadable_picture", 422: "invalid_request", 429: "too_many_requests", 503: "busy"}


class RequestError(AvslError):
    """A request that cannot be answered as it stands.

    Args:
        code: One of `CODES`.
        message: What is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Refusal:
    """An answer that says no.

    Attributes:
        code: One of `CODES`; callers may branch on it.
        message: What is wrong and what to do, for people.
        headers: To be sent along.
    """

    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Of HTTP."""
        return CODES[self.code][0]

    @property
    def content(self) -> dict[str, dict[str, str]]:
        """The answer's body."""
        return {"error": {"code": self.code, "message": self.message}}


def refusal_of(error: BaseException) -> Refusal:
    """Turn anything that was raised into an answer.

    Example:
        >>> refusal_of(RequestError("unknown_model", "owl: no such model here")).content
        {'error': {'code': 'unknown_model', 'message': 'owl: no such model here'}}
        >>> refusal_of(GalleryError("/srv/birds/index: damaged")).message
        'This cannot be done right now; try again later, or ask those who run the app.'
    """
    if isinstance(error, RequestError):
        return _refuse(error.code, str(error))
    if isinstance(error, RequestValidationError | ValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        code = _BY_STATUS.get(error.status_code, "invalid_request")
        return _refuse(code, str(error.detail), error.headers)
    seconds = getattr(error, "retry_after", None)
    if seconds is not None:  # the queue of the model is full, or the wait was too long
        return _refuse("busy", str(error), {"Retry-After": str(max(1, round(seconds)))})
    for kind, code in _KINDS:
        if isinstance(error, kind):
            if code == "unavailable":
                log.warning("a request was refused: %s", error)
            return _refuse(code, str(error))
    log.error("a request failed", exc_info=error)
    return _refuse("internal_error", "Answering failed on our side; the log of the app says more.")


_KINDS: tuple[tuple[type[AvslError], str], ...] = (
    (ImageError, "unreadable_picture"),
    (SlowError, "took_too_long"),
    (KeptError, "unknown_picture"),
    (MissingPackageError, "unavailable"),
    (ConfigError, "invalid_request"),
    (EncodingError, "unsupported"),
    (CheckpointError, "unavailable"),
    (GalleryError, "unavailable"),
    (AvslError, "invalid_request"),
)


def _refuse(code: str, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    text = " ".join(printable(message).split())
    if not text or _PATH.search(text):
        log.warning("a message that names a path was not sent: %s", text)
        text = "This cannot be done right now; try again later, or ask those who run the app."
    return Refusal(code, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...", headers or {})


def _invalid(errors: Sequence[Any]) -> Refusal:
    """What is wrong with the fields of a request, the first fault only; never what was sent."""
    fault = errors[0] if errors else {"type": "", "loc": (), "msg": "not understood"}
    places = [str(part) for part in fault["loc"] if part not in ("body", "query", "path")]
    name = ".".join(places) or "the request"
    if fault["type"] == "missing":
        return _refuse("missing_field", f"{name}: is missing; give it")
    if "UploadFile" in str(fault["msg"]):
        words = f"{name}: is text; send the picture as a file (with curl: -F {name}=@FILE)"
        return _refuse("invalid_picture", words)
    return _refuse("invalid_request", f"{name}: {str(fault['msg']).removeprefix('Value error, ')}")
