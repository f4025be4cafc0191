"""A whole bird: its pieces from back to front, painted on a canvas or as coverage."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import skia
from numpy.typing import NDArray

from avsl_core.aviary.anatomy import Anatomy, build_anatomy
from avsl_core.aviary.outlines import Piece
from avsl_core.aviary.outlines_body import breast_pieces, coat_mark, coat_pieces, throat_pieces
from avsl_core.aviary.outlines_head import beak_pieces, crest_pieces, eye_pieces
from avsl_core.aviary.outlines_limbs import far_wing_pieces, leg_pieces, tail_pieces, wing_pieces
from avsl_core.aviary.parameters import PARTS, Bird, Scene
from avsl_core.aviary.plumage import draw_piece, draw_through

__all__ = ["PosedBird", "pose_bird"]


@dataclass(frozen=True)
class PosedBird:
    """A bird in its place on a picture, ready to be drawn.

    Attributes:
        bird: Its looks.
        anatomy: Where everything is; the same whatever the parts look like.
        pieces: From back to front.
        seed: Of the details.
    """

    bird: Bird
    anatomy: Anatomy
    pieces: tuple[Piece, ...]
    seed: int

    def paint(self, canvas: skia.Canvas) -> None:
        """Draw all pieces on a canvas in pixels."""
        mark = coat_mark(self.bird.parts["coat"].form, self.anatomy)
        for index, piece in self._numbered():
            # A generator for every piece: what one part draws must not move another's details.
            generator = random.Random(f"{self.seed}/{piece.part}/{index}")
            look = self.bird.parts[piece.part]
            draw_piece(canvas, piece, look, self.anatomy, generator, mark if piece.part == "coat" else None)

    def coverage(self, size: int, in_front: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """How much of every pixel each part fills, as seen.

        Args:
            size: Side of the picture, pixels.
            in_front: [S, S] opacity of what stands in front of the bird, 0 to 255.

        Returns:
            For each part [S, S], 0 to 255; more than 0 wherever the part can change a pixel at all.
        """
        through = (255 - in_front).astype(np.float32) / 255
        seen = {name: np.zeros((size, size), np.float32) for name in PARTS}
        sheet = np.zeros((size, size), np.uint8)
        info = skia.ImageInfo.MakeA8(size, size)
        surface = skia.Surface.MakeRasterDirect(info, sheet, size)
        canvas, paint = surface.getCanvas(), skia.Paint(AntiAlias=True, Color=skia.ColorBLACK)
        for piece in reversed(self.pieces):
            box = _pixels(piece, size)
            if box is None:
                continue
            sheet.fill(0)
            draw_through(canvas, piece, paint)
            alpha = sheet[box].astype(np.float32) / 255
            seen[piece.part][box] += alpha * through[box]
            through[box] *= 1 - alpha
        return {name: _whole_steps(share) for name, share in seen.items()}

    def _numbered(self) -> Iterator[tuple[int, Piece]]:
        counts = dict.fromkeys(PARTS, 0)
        for piece in self.pieces:
            yield counts[piece.part], piece
            counts[piece.part] += 1


def pose_bird(bird: Bird, scene: Scene, size: int) -> PosedBird:
    """Put a bird into a scene.

    Args:
        bird: Build and looks.
        scene: Pose and place.
        size: Side of the picture, pixels.
    """
    anatomy = build_anatomy(bird.build, scene, size)
    form = {name: part.form for name, part in bird.parts.items()}
    eye = eye_pieces(form["eye"], anatomy)
    crest = crest_pieces(form["crest"], anatomy)
    front_crest = form["crest"] == "swept"  # it lies on the crown; the others grow up from behind it
    pieces = [
        *far_wing_pieces(form["wing"], anatomy),
        *tail_pieces(form["tail"], anatomy),
        *leg_pieces(form["legs"], anatomy),
        *(() if front_crest else crest),
        *coat_pieces(anatomy),
        *breast_pieces(form["breast"], anatomy),
        *throat_pieces(form["throat"], anatomy),
        *wing_pieces(form["wing"], anatomy),
        *(piece for piece in eye if not piece.eyeball),
        *beak_pieces(form["beak"], anatomy),
        *(piece for piece in eye if piece.eyeball),
        *(crest if front_crest else ()),
    ]
    return PosedBird(bird, anatomy, tuple(pieces), scene.seed)


def _whole_steps(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """From 0 to 1 to 0 to 255, rounded up: what is seen at all stays above 0."""
    steps: NDArray[np.uint8] = np.ceil(255 * share - 1e-4).clip(share > 0, 255).astype(np.uint8)
    return steps


def _pixels(piece: Piece, size: int) -> tuple[slice, slice] | None:
    bounds = piece.path.getBounds().roundOut()
    left, top = max(bounds.left() - 1, 0), max(bounds.top() - 1, 0)
    right, bottom = min(bounds.right() + 1, size), min(bounds.bottom() + 1, size)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None
