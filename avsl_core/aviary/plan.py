"""Which pictures a folder of the aviary holds: so many of each of so many species, spread evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from avsl_core.aviary.species import SPLITS, all_species, species_of
from avsl_core.errors import ConfigError

__all__ = ["PlannedPicture", "plan_pictures"]

PICTURES_PER_SPECIES = 8
"""About how many pictures a species gets where the number of species is not given."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class PlannedPicture:
    """One picture to draw.

    Attributes:
        species: Position of the species in :func:`all_species`.
        number: Which picture of the species, from 0.
    """

    species: int
    number: int

    @property
    def stem(self) -> str:
        """The file's path in the folder, without its ending: "<species>/<number>"."""
        return f"{all_species()[self.species].slug}/{self.number:04d}"


def plan_pictures(count: int, split: str = "all", species: int | None = None) -> list[PlannedPicture]:
    """Share a number of pictures out evenly among species.

    Args:
        count: How many pictures.
        split: "train", "val", "test" or "all".
        species: How many species; by default so many that each has about eight pictures, and at least two.

    Returns:
        The pictures in the order of the species. The species are spread evenly over families, and for
        "all" over the splits in proportion; a plan for more species includes those of one for fewer.

    Raises:
        ConfigError: There are no pictures, more species than pictures or than the split has, or no such
            split.
    """
    available = len(species_of(split))
    if count < 1:
        raise ConfigError(f"count of pictures must be at least 1, not {count}")
    if species is None:
        species = min(available, count, max(2, round(count / PICTURES_PER_SPECIES)))
    if not 1 <= species <= min(available, count):
        raise ConfigError(
            f"species: {species} is not in 1 to {min(available, count)}; {split} has {available} species, "
            f"and each needs one of the {count} pictures"
        )
    chosen = _spread_species(split)[:species]
    each, more = divmod(count, species)
    # The first chosen take what is left over; files are listed in the order of the species.
    shares = sorted((number, each + (place < more)) for place, number in enumerate(chosen))
    return [PlannedPicture(number, picture) for number, share in shares for picture in range(share)]


def _spread_species(split: str) -> list[int]:
    """The species of a split in an order whose every beginning is spread over families and splits."""
    if split != "all":
        return _spread_over_families(split)
    waiting = {name: _spread_over_families(name) for name in SPLITS}
    totals = {name: len(queue) for name, queue in waiting.items()}
    order: list[int] = []
    while len(order) < sum(totals.values()):
        behind = {
            name: totals[name] * (len(order) + 1) / sum(totals.values()) - (totals[name] - len(queue))
            for name, queue in waiting.items()
            if queue
        }
        order.append(waiting[max(behind, key=lambda name: behind[name])].pop(0))
    return order


def _spread_over_families(split: str) -> list[int]:
    families: dict[str, list[int]] = {}
    for number, species in enumerate(all_species()):
        if species.split == split:
            families.setdefault(species.family, []).append(number)
    # Families side by side in the list are built alike, and species side by side are twins: take strides.
    queues = _stride([_stride(members, 5) for members in families.values()], 3)
    longest = max(map(len, queues))
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


def _stride(items: Sequence[_T], step: int) -> list[_T]:
    """Every item once, in strides; the step has no divisor in common with any length used here."""
    return [items[step * place % len(items)] for place in range(len(items))]
