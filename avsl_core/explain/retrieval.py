"""Queries with their nearest neighbours as one picture: who was found, how near, and whether rightly.

Right or wrong shows twice: by the frame's colour, a green and a red that stay apart in the common kinds of
colour blindness, and by a tick or a cross. Where nobody knows the frame is grey and without a mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["OTHER", "SAME", "RetrievalRow", "Tile", "draw_retrieval"]

SAME = (0, 142, 104)
"""Frame of a neighbour of the query's class, RGB."""

OTHER = (206, 60, 30)
"""Frame of a neighbour of another class, RGB."""

_UNKNOWN, _QUERY = (120, 128, 136), (40, 44, 48)
_PAPER, _INK = (255, 255, 255), (40, 44, 48)
_FRAME, _GAP, _CAPTION, _BADGE = 5, 8, 18, 20
_FONT = 12
_TICK = [[(4, 10), (8, 15), (16, 5)]]
_CROSS = [[(5, 5), (15, 15)], [(15, 5), (5, 15)]]

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture to show.

    Attributes:
        picture: uint8 RGB ``[H, W, 3]``; shown as a square.
        caption: Below it, cut short where it is too long.
        same: Whether it is of the query's class; None where that is not known.
    """

    picture: Picture
    caption: str = ""
    same: bool | None = None


@dataclass(frozen=True, eq=False)
class RetrievalRow:
    """One query and what was found for it, nearest first."""

    query: Tile
    neighbours: Sequence[Tile]


def draw_retrieval(rows: Sequence[RetrievalRow], *, side: int = 128) -> Picture:
    """Draw one line per query: the query at the left, its neighbours in their order to its right.

    Args:
        rows: At least one.
        side: Of each picture, in pixels.

    Returns:
        uint8 RGB ``[H, W, 3]``.

    Raises:
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("draw_retrieval needs at least one row")
    across, down = side + 2 * _FRAME + _GAP, side + 2 * _FRAME + _CAPTION + _GAP
    most = max(len(row.neighbours) for row in rows)
    # The query stands apart by one more gap on either side of a thin line.
    first = _GAP + across + 2 * _GAP
    sheet = Image.new("RGB", (first + most * across, _GAP + len(rows) * down), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for line, row in enumerate(rows):
        top = _GAP + line * down
        _draw_tile(sheet, pen, row.query, (_GAP, top), side, _QUERY)
        pen.line([(first - _GAP - 1, top), (first - _GAP - 1, top + down - 2 * _GAP)], fill=_UNKNOWN)
        for place, tile in enumerate(row.neighbours):
            left = first + place * across
            _draw_tile(sheet, pen, tile, (left, top), side, _frame_colour(tile))
            _draw_mark(pen, tile, left + _FRAME + side - _BADGE, top + _FRAME)
    return np.array(sheet)


def _frame_colour(tile: Tile) -> tuple[int, int, int]:
    if tile.same is None:
        return _UNKNOWN
    return SAME if tile.same else OTHER


def _draw_tile(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    tile: Tile,
    corner: tuple[int, int],
    side: int,
    colour: tuple[int, int, int],
) -> None:
    left, top = corner
    outer = side + 2 * _FRAME
    pen.rectangle([left, top, left + outer - 1, top + outer - 1], fill=colour)
    picture = Image.fromarray(tile.picture).resize((side, side), Image.Resampling.BICUBIC)
    sheet.paste(picture, (left + _FRAME, top + _FRAME))
    font = ImageFont.load_default(_FONT)
    pen.text((left, top + outer + 2), _shortened(tile.caption, font, outer), fill=_INK, font=font)


def _draw_mark(pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    """A tick or a cross in the upper right corner."""
    if tile.same is None:
        return
    pen.rectangle([left, top, left + _BADGE - 1, top + _BADGE - 1], fill=_frame_colour(tile))
    for stroke in _TICK if tile.same else _CROSS:
        pen.line([(left + x, top + y) for x, y in stroke], fill=_PAPER, width=3, joint="curve")


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
