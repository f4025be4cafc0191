"""How a picture comes in from a program: as an upload, or as a ``data:`` address. Nothing else is one.

A path or an address with a scheme of the net is refused: nobody makes this machine read its own files, or
fetch from others, by asking it to compare them.
"""

import base64
import binascii
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from app.api.errors import RequestError
from app.site.own_files import is_upload
from app.work.keep import Keep, display_name
from app.work.workbench import PictureFile

__all__ = ["Intake", "intake"]

_DATA = re.compile(r"data:(image/[\w.+-]{1,40})?(?:;[\w-]{1,20}=[\w.+-]{1,60}){0,4};base64,", re.IGNORECASE)
_KEY = re.compile("[0-9a-f]{32}")
_NAMES = {"image/jpeg": "jpg", "image/svg+xml": "svg"}


class Intake:
    """Takes pictures in for one request; what it wrote goes away with the request.

    Args:
        folder: To write in.
        most: Bytes of one picture.
        keep: Where pictures lie that were given before.
    """

    def __init__(self, folder: Path, most: int, keep: Keep | None = None) -> None:
        self._folder, self._most, self._keep, self._count = folder, most, keep, 0

    def stream(self, source: BinaryIO, name: str | None, size: int | None = None) -> PictureFile:
        """A picture from an open file, which may be longer than it says.

        Raises:
            RequestError: If it is too heavy.
        """
        called = display_name(name or "")
        if size is not None and size > self._most:
            raise self._heavy(called)
        place = self._place()
        with place.open("wb") as file:
            shutil.copyfileobj(_Bounded(source, self._most, lambda: self._heavy(called)), file)
        return PictureFile(place, called)

    def payload(self, field: str, value: Any) -> PictureFile:
        """A picture from what a Gradio client or an MCP client sends for one.

        Args:
            field: What messages call the field.
            value: Gradio's file data of an upload, a ``data:`` address, or the key of a kept picture.

        Raises:
            RequestError: If it is none of them, or too heavy.
            KeptError: If no picture is kept under the key any longer.
        """
        if value is None or value == "":
            raise RequestError("missing_field", f"{field}: is missing; give a picture")
        if isinstance(value, str) and value[:5].lower() == "data:":
            return self._address(field, value)
        if self._keep is not None and isinstance(value, str) and _KEY.fullmatch(value):
            return self._keep.get(value)
        if isinstance(value, Mapping) and is_upload(value.get("path")):
            path = Path(value["path"])
            if path.stat().st_size > self._most:
                raise self._heavy(display_name(str(value.get("orig_name") or path.name)))
            return PictureFile(path, display_name(str(value.get("orig_name") or path.name)))
        raise RequestError(
            "invalid_picture",
            f"{field}: is neither an upload nor a data: address; paths and other addresses are not taken",
        )

    def _address(self, field: str, address: str) -> PictureFile:
        head = _DATA.match(address[:400])
        if head is None:
            raise RequestError(
                "invalid_picture",
                f"{field}: is no data: address of a picture; write data:image/jpeg;base64, and the content",
            )
        kind = (head.group(1) or "image/png").lower()
        called = f"{field}.{_NAMES.get(kind, kind.partition('/')[2])}"
        if (len(address) - head.end()) * 3 // 4 > self._most + 2:
            raise self._heavy(called)
        try:
            content = base64.b64decode("".join(address[head.end() :].split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(
                "invalid_picture", f"{field}: the content of the data: address is not base64"
            ) from error
        place = self._place()
        place.write_bytes(content)
        return PictureFile(place, display_name(called))

    def _place(self) -> Path:
        self._count += 1
        return self._folder / str(self._count)

    def _heavy(self, name: str) -> RequestError:
        most = f"{self._most / 2**20:.3g}"
        return RequestError(
            "too_large", f"{name}: weighs more than the {most} MB that a picture may; save it smaller"
        )


@contextmanager
def intake(most: int, keep: Keep | None = None) -> Iterator[Intake]:
    """Take pictures in for one request.

    Args:
        most: Bytes of one picture.
        keep: Where pictures lie that were given before.
    """
    with tempfile.TemporaryDirectory(prefix="avsl-request-") as folder:
        yield Intake(Path(folder), most, keep)


class _Bounded:
    """Reads from a file, and refuses once it has given more than it may."""

    def __init__(self, source: BinaryIO, most: int, refuse: Callable[[], RequestError]) -> None:
        self._source, self._left, self._refuse = source, most, refuse

    def read(self, count: int = -1) -> bytes:
        data = self._source.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise self._refuse()
        return data
