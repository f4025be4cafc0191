"""Example pairs that come with the project."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.work.workbench import PictureFile
from avsl_core.errors import DataError
from avsl_core.images import load_image

__all__ = ["EXAMPLES", "ExamplePair", "load_pairs", "thumbnail"]

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
"""Where the example pictures and ``pairs.json`` lie."""


@dataclass(frozen=True)
class ExamplePair:
    """Two pictures worth comparing.

    Attributes:
        title: Short name, for a button.
        lesson: What the comparison teaches, one sentence.
        a: First picture.
        b: Second picture.
    """

    title: str
    lesson: str
    a: PictureFile
    b: PictureFile


def load_pairs(folder: Path = EXAMPLES) -> list[ExamplePair]:
    """Read the pairs that a folder's ``pairs.json`` lists.

    Raises:
        DataError: If the list is missing, damaged, empty, or names a picture that is not there.
    """
    listing = folder / "pairs.json"
    try:
        rows = json.loads(listing.read_text(encoding="utf-8"))
        pairs = [
            ExamplePair(r["title"], r["lesson"], _file(folder, r["a"]), _file(folder, r["b"])) for r in rows
        ]
    except OSError as error:
        raise DataError(
            f"{listing}: cannot be read ({error.strerror}); get the project's assets again"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{listing}: not a list of pairs ({error}); get the project's assets again"
        ) from error
    if not pairs:
        raise DataError(f"{listing}: lists no pair; the page needs at least one")
    return pairs


def thumbnail(pair: ExamplePair, side: int = 112) -> str:
    """Both pictures side by side as a ``data:`` address, for a button's background."""
    sheet = Image.new("RGB", (2 * side, side))
    for left, file in ((0, pair.a), (side, pair.b)):
        picture = Image.fromarray(load_image(file.path)).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=82)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _file(folder: Path, name: str) -> PictureFile:
    path = folder / name
    if not path.is_file():
        raise DataError(
            f"{folder / 'pairs.json'}: names {name}, which is not there; get the project's assets again"
        )
    return PictureFile(path, name)
