"""What a request brings: counted while it is read, and refused before it is stored if it is too much."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from app.door.refusals import Refusal, RefusalError

__all__ = ["BodyLimits", "checked_json", "counted", "watched_upload"]

_SILENT_S = 60.0  # a sender that pauses for so long is gone, or means to keep the connection

_SLOW = Refusal(408, "The upload stopped on its way: try again.")
_BROKEN = Refusal(400, "This request is damaged: try again.")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class BodyLimits:
    """How much a request may bring.

    Args:
        picture: Bytes of a picture.
        archive: Bytes of an archive.
        small: Bytes of a request without files.
    """

    def __init__(self, picture: int, archive: int, small: int = 8 * 2**20) -> None:
        self.picture, self.archive, self.small = picture, archive, small
        self.upload = max(archive, 8 * picture)

    def of_file(self, name: str) -> int:
        """Bytes that a file of that name may have."""
        return max(self.archive, self.picture) if name.lower().endswith(_ARCHIVES) else self.picture


def counted(receive: Receive, headers: Headers, most: int) -> Receive:
    """The body of a request, as long as it is no longer than it may be and keeps coming.

    Raises:
        RefusalError: At once, if the request announces too much.
    """
    refusal = RefusalError(_too_much(most))
    announced = headers.get("content-length")
    if announced is not None and (not announced.isascii() or not announced.isdigit()):
        raise RefusalError(_BROKEN)
    if announced is not None and int(announced) > most:
        raise refusal
    read, ended = 0, False

    async def counting() -> Message:
        nonlocal read, ended
        if ended:  # what comes next is the end of the connection, which may take as long as the answer
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), _SILENT_S)
        except TimeoutError:
            raise RefusalError(_SLOW) from None
        read += len(message.get("body", b""))
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        if read > most:
            raise refusal
        return message

    return counting


async def checked_json(receive: Receive, is_upload: Callable[[str], bool]) -> Receive:
    """Read a JSON body and make sure that the files it names were uploaded; returns it to be read again.

    Raises:
        RefusalError: If it is no JSON, or names another file of this machine or an address of the net, which
            would be fetched.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusalError(_BROKEN)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        names = list(_named_files(json.loads(bytes(body)))) if body else []
    except (ValueError, RecursionError):
        raise RefusalError(_BROKEN) from None
    if not all(is_upload(name) for name in names):
        raise RefusalError(
            Refusal(403, "A file that this request names was not uploaded here: choose the picture again.")
        )
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again


def watched_upload(receive: Receive, headers: Headers, limits: BodyLimits) -> Receive:
    """A multipart body whose files are each no larger than their kind may be.

    Raises:
        RefusalError: If it is no multipart body.
    """
    content_type, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise RefusalError(Refusal(400, "An upload comes as a form: send it as multipart/form-data."))
    watch = _Files(limits)
    parser = MultipartParser(boundary, watch.callbacks())

    async def watching() -> Message:
        message = await receive()
        try:
            if message.get("body"):
                parser.write(message["body"])
        except MultipartParseError:
            raise RefusalError(_BROKEN) from None
        return message

    return watching


class _Files:
    """Follows the parts of a multipart body."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._field, self._value = bytearray(), bytearray()
        self._size, self._most = 0, limits.small

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": self._data,
        }

    def _begin(self) -> None:
        self._size, self._most = 0, self._limits.small

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if b"filename" in options:
                self._most = self._limits.of_file(options[b"filename"].decode("utf-8", "replace"))
        self._field.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size > self._most:
            raise RefusalError(_too_much(self._most))


def _named_files(value: Any) -> Any:
    """All paths and addresses in what Gradio takes for files."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and value["path"]:
            yield value["path"]
        for part in value.values():
            yield from _named_files(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named_files(part)


def _too_much(most: int) -> Refusal:
    return Refusal(413, f"This is larger than the {most / 2**20:.3g} MB that are taken here: send less.")
