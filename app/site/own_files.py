"""Events take files that were uploaded to this app, and no others.

What a browser sends for a picture is a dictionary with the path of the upload. Anybody can write another path
there, or an address of the net that Gradio would fetch. Gradio itself checks only dictionaries of its own
kind, and none at all in an app that is mounted in another one; so all events pass here first.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio.utils import get_upload_folder

from app.api.errors import Refusal

__all__ = ["OwnFilesBlocks", "is_upload"]

_REFUSED = "This file was not uploaded here: choose the picture again."
_DEEPEST = 40  # levels of lists and dictionaries that an event may hold


class OwnFilesBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio has no types
    """Blocks whose events refuse every file that was not uploaded to them."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        """As Gradio does, after a look at every file that the event names.

        Raises:
            Error: If one is not an upload; the message goes to whoever asked.
        """
        if not explicit_call:  # else it is our own code that calls
            for block, value in zip(block_fn.inputs, inputs, strict=False):
                bare = _takes_files(block) and any(isinstance(part, str) for part in _flat(value))
                if bare or not all(map(is_upload, _paths(value))):
                    raise gr.Error(_refusal(block), print_exception=False)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def is_upload(path: object) -> bool:
    """Whether a path, which may come from anywhere, is of a file that was uploaded to this app.

    Example:
        >>> is_upload("/etc/passwd"), is_upload("http://localhost/secret"), is_upload(None)
        (False, False, False)
    """
    if not isinstance(path, str) or not path or "\0" in path:
        return False
    try:
        place, folder = Path(path).resolve(), Path(get_upload_folder()).resolve()
        return place.is_relative_to(folder) and place.is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _refusal(block: Any) -> str:
    """In words for a page, in the stable form for a program."""
    if isinstance(block, Api):
        return json.dumps(Refusal("invalid_picture", _REFUSED).content)
    return _REFUSED


def _takes_files(block: Any) -> bool:
    """Whether a component's value is a file or several, as images, files and galleries are."""
    model = getattr(block, "data_model", None)
    fields = getattr(model, "model_fields", {})
    several = str(fields["root"].annotation) if "root" in fields else ""
    return "path" in fields or "FileData" in several or "Gallery" in several


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _paths(value: Any, depth: int = 0) -> Iterator[object]:
    """Every ``path`` within an event's value, however deep; none of those that say nothing."""
    if depth > _DEEPEST:
        yield ""  # whoever nests so deep hides something
    elif isinstance(value, Mapping):
        if value.get("path"):
            yield value["path"]
        for part in value.values():
            yield from _paths(part, depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part, depth + 1)
