"""What the Bird lab remembers of one visitor: plain values, and the steps from one to the next."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from avsl_core.aviary.parameters import Part

__all__ = ["LabState", "Place", "Try"]

Place = Literal["on", "beside", "elsewhere"]
"""Where the model's strongest spot lies, seen from the changed part."""


@dataclass(frozen=True)
class Try:
    """One change of one part that was scored.

    Attributes:
        key: The pair of pictures it belongs to; a pair counts once.
        part: What was changed.
        place: Where the strongest spot was.
    """

    key: str
    part: str
    place: Place


@dataclass(frozen=True)
class LabState:
    """What is on the page.

    Attributes:
        species: Name of the left bird's species.
        scene: Seed of the scene, the same for both birds.
        wild: Whether light, pose, weather and what stands in front vary freely.
        part: The part whose menus are shown.
        changes: The parts of the right bird that look different, with their look, sorted by part.
        tries: All changes scored, oldest first.
        example: Whether the change is the page's own example, which gives way to the visitor's first change.
    """

    species: str
    scene: int
    wild: bool = False
    part: str = "beak"
    changes: tuple[tuple[str, Part], ...] = ()
    tries: tuple[Try, ...] = ()
    example: bool = False

    @property
    def key(self) -> str:
        """Names the pair of pictures."""
        changes = ";".join(f"{part}={look.form},{look.texture},{look.palette}" for part, look in self.changes)
        return f"{self.species}|{self.scene}|{self.wild}|{changes}"

    @property
    def changed(self) -> tuple[str, ...]:
        """The parts in which the two birds differ."""
        return tuple(part for part, _ in self.changes)

    def with_bird(self, species: str, scene: int, *, wild: bool = False) -> "LabState":
        """Another bird, with nothing changed; the score goes on."""
        return dataclasses.replace(self, species=species, scene=scene, wild=wild, changes=(), example=False)

    def with_part(self, part: str, look: Part, original: Part) -> "LabState":
        """The right bird with another look of one part; its original look is no change.

        Args:
            part: The part.
            look: How it looks from now on.
            original: How it looks on the left bird.
        """
        # Sorted, so that two ways to one bird are one state.
        others = {} if self.example else {name: kept for name, kept in self.changes if name != part}
        after = others if look == original else others | {part: look}
        changes = tuple(sorted(after.items(), key=lambda c: c[0]))
        return dataclasses.replace(self, part=part, changes=changes, example=False)

    def with_only(self, part: str) -> "LabState":
        """The right bird with the change of one part alone; as it is if that part is not changed."""
        if part not in self.changed:
            return self
        changes = tuple(change for change in self.changes if change[0] == part)
        return dataclasses.replace(self, part=part, changes=changes)

    def as_example(self) -> "LabState":
        """The same, as the page's own example."""
        return dataclasses.replace(self, example=True)

    def with_try(self, place: Place) -> "LabState":
        """Score the present pair, if exactly one part is changed and the pair is new."""
        if len(self.changes) != 1 or any(done.key == self.key for done in self.tries):
            return self
        return dataclasses.replace(self, tries=(*self.tries, Try(self.key, self.changed[0], place)))

    def with_scene(self, scene: int) -> "LabState":
        """The same two birds in another scene that varies freely."""
        return dataclasses.replace(self, scene=scene, wild=True)

    def without_tries(self) -> "LabState":
        """The score starts again."""
        return dataclasses.replace(self, tries=())
