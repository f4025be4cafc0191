"""Pictures in a plane, placed by their distances."""

import json
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["flat_places", "map_html", "same_nearest", "spread"]

Matrix = NDArray[np.float64]

_WIDTH, _HEIGHT, _THUMB = 1000, 720, 124
_GAP, _EDGE, _ROUNDS, _PULL, _TRIES = 8, 14, 200, 0.1, 8


def flat_places(distances: Matrix) -> Matrix:
    """Classical scaling: the plane in which squared lengths come nearest to the distances.

    AVSL's distance is a weighted sum of squared differences, hence the squares.

    Args:
        distances: Symmetric, ``[N, N]``, zeros on the diagonal.

    Returns:
        ``[N, 2]``, centred; the same distances give the same signs.
    """
    centre = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-0.5 * centre @ distances @ centre)
    best = vectors[:, ::-1][:, :2] * np.sqrt(np.clip(values[::-1][:2], 0, None))
    heaviest = np.take_along_axis(best, np.abs(best).argmax(axis=0)[None], axis=0)
    return np.asarray(best * np.where(heaviest < 0, -1.0, 1.0))


def same_nearest(distances: Matrix, places: Matrix) -> int:
    """How many have the same nearest neighbour in the plane as by their distances."""
    flat = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    return int((_nearest(distances) == _nearest(flat)).sum())


def spread(places: Matrix) -> Matrix:
    """Centres of thumbnails on the drawing, moved apart where they would cover each other.

    Args:
        places: ``[N, 2]``, in any unit; both directions are scaled alike.

    Returns:
        ``[N, 2]`` inside the drawing.
    """
    true = _scaled(places)
    generator = np.random.default_rng(0)
    jitters = [np.zeros_like(true), *generator.normal(0, _THUMB / 3, (_TRIES - 1, *true.shape))]
    layouts = [_settle(true, true + jitter) for jitter in jitters]
    return min(layouts, key=lambda layout: float(((layout - true) ** 2).sum()))


def map_html(
    places: Matrix,
    pictures: Sequence[str],
    names: Sequence[str],
    sentences: Sequence[str],
    nearest: Sequence[int],
) -> str:
    """The drawing: a button with its picture at every place.

    Args:
        places: From :func:`flat_places`.
        pictures: An image element each.
        names: What each is called.
        sentences: What choosing each one says.
        nearest: Which one is nearest to each.
    """
    dots, thumbs = _scaled(places), spread(places)
    lines = "".join(
        f'<path d="M{x:.0f} {y:.0f}L{u:.0f} {v:.0f}"/><circle cx="{x:.0f}" cy="{y:.0f}" r="7"/>'
        for (x, y), (u, v) in zip(dots, thumbs, strict=True)
    )
    buttons = "".join(
        f'<button type="button" data-say="{escape(sentence)}" data-near="{near}" aria-pressed="false" '
        f'aria-label="{escape(name)}" style="left:{100 * x / _WIDTH:.2f}%;top:{100 * y / _HEIGHT:.2f}%">'
        f"{picture}</button>"
        for (x, y), picture, name, sentence, near in zip(
            thumbs, pictures, names, sentences, nearest, strict=True
        )
    )
    return (
        f'<div class="learn-map" role="group" aria-label="Map of {len(names)} pictures" '
        f'data-places="{escape(json.dumps(np.round(dots, 1).tolist()))}">'
        f'{buttons}<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{lines}'
        '<path class="to" d=""/></svg></div>'
    )


def _settle(true: Matrix, points: Matrix) -> Matrix:
    """From where thumbnails start, to where none covers another."""
    edge = _THUMB / 2 + _EDGE
    low, high = np.full(2, edge), np.array([_WIDTH, _HEIGHT]) - edge
    for number in range(_ROUNDS):
        pulled = number < _ROUNDS // 2  # back to their places, so that none ends up farther than it must
        if pulled:
            points = points + _PULL * (true - points)
        moved = _push_apart(points)
        points = np.clip(points, low, high)
        if not moved and not pulled:
            break
    return points


def _push_apart(points: Matrix) -> bool:
    """Move every two that cover each other half the way each, in place; whether any did."""
    moved = False
    for i in range(len(points)):
        for j in range(i):
            apart = points[i] - points[j]
            cover = _THUMB + _GAP - np.abs(apart)
            if (cover > 0.01).all():
                axis = int(cover.argmin())  # the shorter way out
                step = cover[axis] / 2 if apart[axis] >= 0 else -cover[axis] / 2
                points[i, axis] += step
                points[j, axis] -= step
                moved = True
    return moved


def _scaled(places: Matrix) -> Matrix:
    """Places on the drawing, as large as it allows, one scale for both directions."""
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([_WIDTH, _HEIGHT]) - _THUMB - 2 * _EDGE
    extent = high - low
    scale = min((room[i] / extent[i] for i in range(2) if extent[i] > 1e-12), default=0.0)
    middle = np.array([_WIDTH, _HEIGHT]) / 2
    return np.asarray(middle + (places - (low + high) / 2) * scale)


def _nearest(distances: Matrix) -> NDArray[np.intp]:
    return np.asarray((distances + np.diag(np.full(len(distances), np.inf))).argmin(axis=1), np.intp)
