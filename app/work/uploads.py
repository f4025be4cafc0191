"""From what Gradio hands over for an upload to a file of ours.

Events take their pictures unprocessed, because Gradio's own preprocessing would decode them: files that it
cannot read would fail there, out of reach of our messages. Gradio has already made sure that the file lies
in its upload folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.work.workbench import PictureFile, own_name

__all__ = ["picture_file"]


def picture_file(payload: Any) -> PictureFile | None:
    """The file behind a picture component's value.

    Args:
        payload: None, a file of ours, a path, or the plain dictionary of Gradio's file data.

    Returns:
        The file under the name that the visitor knows, or None if there is no picture.
    """
    if payload is None or isinstance(payload, PictureFile):
        return payload
    if isinstance(payload, str | Path):
        return PictureFile(Path(payload), own_name(Path(payload).name))
    if isinstance(payload, Mapping) and payload.get("path"):
        path = Path(payload["path"])
        return PictureFile(path, own_name(payload.get("orig_name") or path.name))
    return None
