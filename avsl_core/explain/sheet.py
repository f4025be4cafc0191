"""One comparison as one picture, to put on a slide: pictures, verdict, distance, bars and total maps.

Drawn at 1920 x 1080 on white with the fonts that come with Matplotlib, so that it looks the same everywhere.
Only pixels leave: nothing of the visitors' files but what is seen.
"""

import io
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avsl_core.comparison import Comparison
from avsl_core.errors import MissingPackageError
from avsl_core.explain.bars import printed_parts
from avsl_core.explain.heatmap import color_of, draw_signed, shared_scale
from avsl_core.explain.levels import component_titles, residual_title
from avsl_core.explain.methods import account_words
from avsl_core.explain.record import ModelPapers
from avsl_core.explain.total import total_maps
from avsl_core.models.explanation import Explanation

__all__ = ["sheet_png"]

_SIZE = (1920, 1080)
_MARGIN, _GAP = 72, 24
_INK, _MUTED, _LINE, _TRACK = "#1b2329", "#58646e", "#dfe5e9", "#e9edf0"
_ACCENT, _TOGETHER, _APART = "#14697a", "#1b5eaa", "#b84a00"
_TOP = 300  # of the row of pictures
_BARS_WIDTH = 1010
_ROW, _MOST_ROWS = 46, 6

Draw = ImageDraw.ImageDraw
Font = ImageFont.FreeTypeFont


def sheet_png(
    comparison: Comparison, *, names: tuple[str, str], papers: ModelPapers, when: str = ""
) -> bytes:
    """Draw the sheet.

    Args:
        comparison: What was found.
        names: What the two pictures are called; letters that the font lacks are left out.
        papers: Of the model that measured.
        when: When that was, for the last line.

    Returns:
        A PNG without metadata.

    Raises:
        MissingPackageError: If the fonts are not installed.
    """
    sheet = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(sheet)
    _head(draw, comparison)
    bottom = _pictures(sheet, draw, comparison, names)
    _bars(draw, comparison, bottom + 56)
    _legend(sheet, draw, comparison, bottom + 56)
    _foot(draw, papers, when)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _head(draw: Draw, comparison: Comparison) -> None:
    right = _SIZE[0] - _MARGIN
    number = f"{comparison.distance:.3f}"
    draw.text((right, 150), number, _INK, _font(96, bold=True), anchor="rs")
    zero = account_words(comparison.explanation).zero
    room = right - draw.textlength(number, _font(96, bold=True)) - 60 - _MARGIN
    for index, line in enumerate(_wrapped(draw, f"distance; {zero}", _font(24), 520)[:2]):
        draw.text((right, 192 + 32 * index), line, _MUTED, _font(24), anchor="rs")
    words = comparison.verdict.words
    size = next(size for size in (88, 72, 60, 48) if draw.textlength(words, _font(size, bold=True)) <= room)
    draw.text((_MARGIN, 150), words, _ACCENT, _font(size, bold=True), anchor="ls")
    verdict = comparison.verdict
    sentence = " ".join(filter(None, [verdict.sentence, verdict.basis]))
    font = next((f for f in map(_font, (28, 25)) if len(_wrapped(draw, sentence, f, 1230)) <= 2), _font(22))
    for index, line in enumerate(_wrapped(draw, sentence, font, 1230)[:2]):
        draw.text((_MARGIN, 206 + 38 * index), line, _INK, font, anchor="ls")


def _pictures(sheet: Image.Image, draw: Draw, comparison: Comparison, names: tuple[str, str]) -> int:
    """The two pictures as the model saw them, and beside them where the distance comes from."""
    side = (_SIZE[0] - 2 * _MARGIN - 3 * _GAP) // 4
    parts = comparison.explanation.components
    # Every part is enlarged from its own cells, as the page does it: coarse ones stay smooth in the sum.
    maps = [part.map_a for part in parts], [part.map_b for part in parts]
    scale = shared_scale(total_maps(comparison.explanation))
    crops = comparison.a.crop, comparison.b.crop
    tiles = [*(_resized(crop, side) for crop in crops)]
    tiles += [draw_signed(crop, values, scale, side=side) for crop, values in zip(crops, maps, strict=True)]
    captions = [*(_shown(name) for name in names), "where it comes from, first", "and second picture"]
    fallback = ["first picture", "second picture", "", ""]
    for index, (tile, caption, other) in enumerate(zip(tiles, captions, fallback, strict=True)):
        left = _MARGIN + index * (side + _GAP)
        sheet.paste(Image.fromarray(tile), (left, _TOP), _rounded(side))
        text = _fitting(draw, caption or other, _font(24), side)
        draw.text((left, _TOP + side + 36), text, _MUTED, _font(24), anchor="ls")
    return _TOP + side + 36


def _bars(draw: Draw, comparison: Comparison, top: int) -> None:
    """What the distance is made of: the printed parts add up to the printed distance."""
    rows = list(_rows(comparison.explanation))
    step = min(_ROW, (_SIZE[1] - 84 - top) // max(1, len(rows)))
    longest = max((abs(value) for _, value, _ in rows), default=0.0) or 1.0
    left, right = _MARGIN + 290, _MARGIN + _BARS_WIDTH - 110
    font = _font(min(26, step - 12))
    for index, (title, value, text) in enumerate(rows):
        middle = top + step * index + step // 2
        draw.text((_MARGIN, middle), _fitting(draw, title, font, 280), _INK, font, anchor="lm")
        thick = min(11, step // 2 - 6)
        draw.rounded_rectangle((left, middle - thick, right, middle + thick), thick, _TRACK)
        length = round((right - left) * abs(value) / longest)
        if length >= 2:
            colour = _ACCENT if value >= 0 else _TOGETHER
            radius = min(thick, length // 2)
            draw.rounded_rectangle((left, middle - thick, left + length, middle + thick), radius, colour)
        draw.text((_MARGIN + _BARS_WIDTH, middle), text, _INK, font, anchor="rm")


def _rows(explanation: Explanation) -> Iterator[tuple[str, float, str]]:
    """Title, value and printed value of each bar; of very many the smallest as one."""
    titles = {name: title for name, (title, _) in component_titles(explanation).items()}
    printed, _ = printed_parts(explanation)
    rows = [(titles[c.name], c.value, printed[c.name]) for c in explanation.components]
    if not explanation.exact:
        rows.append((residual_title(explanation.method)[0], explanation.residual, printed["residual"]))
    if len(rows) <= _MOST_ROWS:
        yield from rows
        return
    strong = sorted(range(len(rows)), key=lambda i: -abs(rows[i][1]))[: _MOST_ROWS - 1]
    yield from (rows[i] for i in sorted(strong))
    rest = [row for i, row in enumerate(rows) if i not in strong]
    digits = sum(round(1000 * float(text)) for *_, text in rest)
    yield f"{len(rest)} others", sum(value for _, value, _ in rest), f"{digits / 1000:.3f}"


def _legend(sheet: Image.Image, draw: Draw, comparison: Comparison, top: int) -> None:
    """The colour scale with what each end means, under the maps that it belongs to."""
    side = (_SIZE[0] - 2 * _MARGIN - 3 * _GAP) // 4
    left, right = _MARGIN + 2 * (side + _GAP) + 230, _SIZE[0] - _MARGIN
    left = max(left, _MARGIN + _BARS_WIDTH + 60)
    ramp = Image.new("RGB", (right - left, 22))
    paint = ImageDraw.Draw(ramp)
    for x in range(ramp.width):
        paint.line((x, 0, x, 22), color_of(2 * x / (ramp.width - 1) - 1))
    mask = Image.new("L", ramp.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, ramp.width - 1, 21), 11, 255)
    sheet.paste(ramp, (left, top + 10), mask)
    draw.text((left, top + 66), "pulls together", _TOGETHER, _font(24, bold=True), anchor="ls")
    draw.text((right, top + 66), "pushes apart", _APART, _font(24, bold=True), anchor="rs")
    exact = comparison.explanation.exact
    whole = "the distance" if exact else "the parts that lie in a region"
    for index, line in enumerate(
        _wrapped(draw, f"Over both pictures, blue and orange add up to {whole}.", _font(22), right - left)
    ):
        draw.text((left, top + 106 + 30 * index), line, _MUTED, _font(22), anchor="ls")


def _foot(draw: Draw, papers: ModelPapers, when: str) -> None:
    y = _SIZE[1] - 40
    draw.line((_MARGIN, y - 34, _SIZE[0] - _MARGIN, y - 34), _LINE, 2)
    name = _shown(papers.name) or papers.method
    text = " \u00b7 ".join(filter(None, [f"Model {name} ({papers.method}, {papers.fingerprint[:8]})", when]))
    draw.text((_MARGIN, y), _fitting(draw, text, _font(20), 1300), _MUTED, _font(20), anchor="ls")
    draw.text((_SIZE[0] - _MARGIN, y), "AVSL: how alike, and why", _MUTED, _font(20), anchor="rs")


def _resized(crop: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.LANCZOS))


@cache
def _rounded(side: int) -> Image.Image:
    """A square with round corners, smooth at the edge."""
    large = Image.new("L", (4 * side, 4 * side), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * side - 1, 4 * side - 1), 72, 255)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def _wrapped(draw: Draw, text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitting(draw: Draw, text: str, font: Font, width: int) -> str:
    """The text, with an ellipsis in its middle where it is too long: the ends of file names tell most."""
    if draw.textlength(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = text[: (kept + 1) // 2].rstrip()
        shorter = f"{head}\u2026{text[len(text) - kept // 2 :].lstrip()}"
        if draw.textlength(shorter, font) <= width:
            return shorter
    return "\u2026"


def _shown(name: str) -> str:
    """A name in letters that the font has; empty where too little of it would be left."""
    known = "".join(letter for letter in name if letter.isspace() or _has_letter(letter))
    return known.strip() if len(known) > len(name) // 2 else ""


@cache
def _has_letter(letter: str) -> bool:
    font = _font(24)
    missing = font.getmask("\U0010fffd")
    return letter.isprintable() and bytes(font.getmask(letter)) != bytes(missing)


@cache
def _font(size: int, *, bold: bool = False) -> Font:
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise MissingPackageError('the picture needs the fonts of Matplotlib: "pip install matplotlib"')
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)
