"""The map of a gallery as an inline drawing: every picture a dot, alike pictures near each other."""

import json
from html import escape

import numpy as np
from numpy.typing import NDArray

from app.explore.bench import Found
from app.explore.shelf import OpenGallery
from app.look.printable import printable

__all__ = ["map_html", "marks_html"]

_SIDE, _MARGIN = 1000, 34
_MOST = 5_000
_NAMES = {"umap": "UMAP", "pca": "the two main directions"}


def map_html(opened: OpenGallery, most: int = _MOST) -> str:
    """All dots, drawn once for a gallery; of a large one a choice, the same every time.

    Args:
        opened: The gallery.
        most: Dots at most.
    """
    gallery = opened.gallery
    points = _points(opened)
    if points is None:
        return '<p class="note">This gallery was built without a map.</p>'
    rows = _shown_rows(opened, most)
    places = points[rows]
    dots = "".join(f"M{x} {y}h0" for x, y in places)
    codes = gallery.class_codes[rows]
    data = ";".join(f"{row},{x},{y},{code}" for row, (x, y), code in zip(rows, places, codes, strict=True))
    names = json.dumps([printable(name) for name in gallery.classes])
    method = _NAMES.get(gallery.manifest.map.method if gallery.manifest.map else "", "")
    sample = f" {len(rows):,} of {gallery.count:,} are drawn." if len(rows) < gallery.count else ""
    return (
        '<div class="explore-field" tabindex="0" role="application" '
        'aria-label="Map of the gallery: the arrow keys go from picture to picture, Enter shows the '
        'neighbours" '
        f'data-points="{data}" data-names="{escape(names)}" data-generation="{gallery.generation}">'
        f'<svg viewBox="0 0 {_SIDE} {_SIDE}" aria-hidden="true"><path class="dots" d="{dots}"/>'
        '<circle class="cursor" r="26" cx="-99" cy="-99"/></svg>'
        '<span class="tip" role="status"></span></div>'
        '<p class="explore-key" aria-hidden="true"><span class="here">this picture</span><span class="near">'
        'its neighbours</span><span class="kin">its class</span></p>'
        '<p class="note">Each dot is a picture; alike pictures lie close to each other (places worked out '
        f"with {method}).{sample} Choose one to see its neighbours.</p>"
    )


def marks_html(found: Found) -> str:
    """Where the query, its neighbours and its class are, to lie over the dots."""
    points = _points(found.open)
    if points is None:
        return ""
    rows = [hit.item.row for hit in found.result.hits]
    query = found.query.step
    guessed = query.upload is not None
    if guessed:  # not in the gallery: it lies among its nearest
        here = points[rows[:3]].mean(axis=0) if rows else np.full(2, _SIDE / 2)
    else:
        here = points[query.row or 0]
    kin = "".join(f"M{x} {y}h0" for x, y in points[_class_rows(found)])
    lines = "".join(f"M{here[0]:.0f} {here[1]:.0f}L{x} {y}" for x, y in points[rows])
    near = "".join(f'<circle r="13" cx="{x}" cy="{y}"/>' for x, y in points[rows])
    x, y = (float(v) for v in here)
    words = f"{len(rows)} neighbours of the query on the map of the gallery"
    if guessed:
        words += "; your picture's own place is estimated from them"
    return (
        f'<svg viewBox="0 0 {_SIDE} {_SIDE}" role="img" aria-label="{words}" '
        f'data-x="{x:.0f}" data-y="{y:.0f}">'
        f'<path class="lines" d="{lines}"/><path class="kin" d="{kin}"/><path class="hole" d="{kin}"/>'
        f'<g class="near">{near}</g>'
        f'<path class="here" d="M{x:.0f} {y - 30:.0f}l30 30l-30 30l-30-30z"/></svg>'
    )


def _points(opened: OpenGallery) -> NDArray[np.int64] | None:
    """All places on the drawing, ``[N, 2]``."""
    places = opened.gallery.coordinates
    if places is None:
        return None
    flipped = np.stack([places[:, 0], 1 - places[:, 1]], axis=1)
    drawn: NDArray[np.int64] = np.rint(_MARGIN + (_SIDE - 2 * _MARGIN) * flipped).astype(np.int64)
    return drawn


def _shown_rows(opened: OpenGallery, most: int) -> NDArray[np.int64]:
    live = opened.gallery.live
    rows = np.arange(len(opened.gallery)) if live is None else np.flatnonzero(live.numpy())
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return rows


def _class_rows(found: Found) -> NDArray[np.int64]:
    gallery = found.open.gallery
    if found.query.class_name is None:
        return np.empty(0, np.int64)
    same = gallery.class_codes == gallery.classes.index(found.open.classes[found.query.class_name])
    if gallery.live is not None:
        same &= gallery.live.numpy()
    return np.flatnonzero(same)[:_MOST]
