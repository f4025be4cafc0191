"""A few plain sentences that say what the figures of an explanation say, and nothing more.

Where two pictures differ most to a model can be read off the maps; what in the picture made them differ
cannot, so no sentence says "because of".
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.explain.flow import place_words, strongest_matches
from avsl_core.explain.levels import part_titles, residual_title
from avsl_core.models.explanation import Explanation, Flow

__all__ = ["PlainWords", "plain_words"]

_ZERO = 1e-9  # as the verdict has it
_EQUAL = 1e-6  # far below what is printed
_PLACES = (3, 3)  # upper, middle, lower; left, middle, right
_PICTURES = ("first", "second")
_DIGITS = 3  # of a distance, as the bars print it

# How much of what pushes in a picture must lie in a place before the place is named: an even share is 11 % of
# one of nine places, and 33 % of one of three thirds.
_PLACE_STANDS_OUT, _THIRD_STANDS_OUT = 2 / 9, 1 / 2
_ALSO = 0.5  # a place of the other picture is named as well from this part of the strongest place on
_WORTH_SAYING = 0.05
_MOST = 0.505  # rounds to more than a half
_NOWHERE = "It lies in no region of either picture."
_ABOUT_ALIKE = 0.25  # of an even share: how far from it a part may be


@dataclass(frozen=True)
class PlainWords:
    """What an explanation says, in words.

    Attributes:
        sentences: Two to four.
    """

    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences as one paragraph."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class _Place:
    """A named place of one picture, and what its cells add up to."""

    words: str
    picture: str
    value: float


def plain_words(
    explanation: Explanation, *, titles: Mapping[str, tuple[str, str]] | None = None
) -> PlainWords:
    """Say in a few sentences which part decides a distance, and where the two pictures differ to the model.

    Shares are of the distance while nothing in the account is negative. Where something pulls the pictures
    together, what pushes them apart is more than the distance; shares are then of all that pushes, so that
    none is above 100 %.

    Args:
        explanation: Of any method.
        titles: Title and gloss by component name; those of :mod:`avsl_core.explain.levels` when None.

    Example:
        >>> import torch
        >>> from avsl_core.models import Component
        >>> here = torch.tensor([[0.0, 0.0, 0.3], [0.0, 0.0, 0.1], [0.0, 0.0, 0.0]])
        >>> component = Component("level1", 0.4, here, torch.zeros(3, 3))
        >>> print(plain_words(Explanation("avsl", 0.4, (component,))).sentences[1])
        To this model, the two pictures differ most in the upper right of the first picture, with 75 % of
        the distance.
    """
    if not math.isfinite(explanation.total):
        return PlainWords(("The distance is not a number.", "Nothing can be said about these two pictures."))
    if explanation.total <= _ZERO:
        return PlainWords(
            (
                "To the model the two pictures are the same.",
                "Nothing in either of them sets them apart.",
            )
        )
    names = [component.name for component in explanation.components]
    known = dict(zip(names, part_titles(names, explanation.method), strict=True)) | dict(titles or {})
    parts = [(_part_name(*known[c.name]), c.value) for c in explanation.components]
    if not explanation.exact or explanation.residual:
        parts.append((_part_name(*residual_title(explanation.method)), explanation.residual))
    sentences = [_parts_sentence(parts)]
    rest = explanation.flow is not None and all(value <= _ZERO for _, value in parts[:-1])
    if not rest:
        sentences += _place_sentences(explanation)
    if explanation.flow is not None:
        # Which cells match says more than which pull together.
        sentences = [*sentences[:2], _match_sentence(explanation.flow)]
    if rest:
        sentences.append("As whole pictures the two are the same; matching keeps this rest even then.")
    if not explanation.exact:
        sentences += _residual_sentence(parts, named=parts[-1][0] in sentences[0])
    if explanation.before is not None:
        sentences.append(_learning_sentence(explanation.before.total, explanation.total))
    return PlainWords(tuple(sentences))


def _part_name(title: str, gloss: str) -> str:
    name = title if title[-1:].isdigit() else f"the part called {title}"
    short = re.split("[,;]", gloss)[0]
    return f"{name} ({short})" if short else name


def _parts_sentence(parts: Sequence[tuple[str, float]]) -> str:
    pushing = sum(max(value, 0.0) for _, value in parts)
    if not pushing > 0:
        return "The account of this distance has no parts."
    name, greatest = max(parts, key=lambda part: part[1])
    if len(parts) == 1:
        return f"The distance has only one part: {name}."
    shares = [value / pushing for _, value in parts]
    even = 1 / len(parts)
    if max(abs(share - even) for share in shares) < _ABOUT_ALIKE * even:
        low, high = _percent(min(shares)), _percent(max(shares))
        each = f"{low} of the distance" if low == high else f"between {low} and {high} of the distance"
        return f"All parts count about alike: each holds {each}."
    if min(shares) >= 0:
        amount = "All" if max(shares) >= 1 else "Most" if max(shares) > _MOST else "The largest part"
        share = "" if amount == "All" else f", {_percent(max(shares))},"
        return f"{amount} of the distance{share} comes from {name}."
    share = _percent(greatest / pushing)
    sentence = f"Of all that pushes the two pictures apart, {share} comes from {name}"
    lowest_name, lowest = min(parts, key=lambda part: part[1])
    if not _WORTH_SAYING * pushing <= -lowest <= pushing:
        return f"{sentence}."
    return f"{sentence}; {lowest_name} takes {_percent(-lowest / pushing)} of it off again."


def _place_sentences(explanation: Explanation) -> list[str]:
    """Where the maps of all parts together push most, and where they pull together."""
    if not explanation.components:
        return [_NOWHERE]
    maps = [
        _in_places([component.map_a for component in explanation.components]),
        _in_places([component.map_b for component in explanation.components]),
    ]
    pushing = float(sum(m.clamp_min(0).sum() for m in maps))
    if not pushing > _ZERO * explanation.total:
        return [_NOWHERE]
    return [_pushing_sentence(maps, pushing, explanation.total), *_pulling_sentence(maps, pushing)]


def _in_places(maps: Sequence[Tensor]) -> Tensor:
    """What maps of any grids add up to in each of nine places."""
    return torch.stack([AF.regrid(m.detach().double().cpu(), _PLACES) for m in maps]).sum(dim=0)


def _pushing_sentence(maps: Sequence[Tensor], pushing: float, total: float) -> str:
    strongest = int(maps[1].max() > maps[0].max())
    first, other = (_standing_out(maps[side], _PICTURES[side]) for side in (strongest, 1 - strongest))
    if first is None:
        return "No place of either picture stands out: the difference is spread over them."
    named = [first] if other is None or other.value < _ALSO * first.value else [first, other]
    together = sum(place.value for place in named)
    # A little that pulls elsewhere leaves it true that so much of the distance lies here.
    of_distance = pushing <= (1 + _WORTH_SAYING) * total and together <= total
    whole, over = ("the distance", total) if of_distance else ("all that pushes them apart", pushing)
    where = "To this model, the two pictures differ most in the"
    if len({place.words for place in named}) < len(named):
        return f"{where} {first.words} of both pictures, with {_percent(together / over)} of {whole}."
    sentence = f"{where} {first.words} of the {first.picture} picture"
    sentence += f", with {_percent(first.value / over)} of {whole}"
    for place in named[1:]:
        sentence += f", and in the {place.words} of the {place.picture}, with {_percent(place.value / over)}"
    return f"{sentence}."


def _standing_out(values: Tensor, picture: str) -> _Place | None:
    """The strongest place, or the third of the picture around it, if it holds clearly more than its share."""
    own = float(values.clamp_min(0).sum())
    row, column = divmod(int(values.argmax()), _PLACES[1])
    strongest = float(values[row, column])
    if not own > 0:
        return None
    if strongest > _PLACE_STANDS_OUT * own:
        return _Place(place_words((row, column), _PLACES), picture, strongest)
    thirds = []
    if row != 1:
        thirds.append(_Place("upper third" if row == 0 else "lower third", picture, float(values[row].sum())))
    if column != 1:
        words = "left third" if column == 0 else "right third"
        thirds.append(_Place(words, picture, float(values[:, column].sum())))
    greatest = max(thirds, key=lambda third: third.value, default=None)
    return greatest if greatest is not None and greatest.value > _THIRD_STANDS_OUT * own else None


def _pulling_sentence(maps: Sequence[Tensor], pushing: float) -> list[str]:
    side = int(maps[1].min() < maps[0].min())
    pull, own = -float(maps[side].min()), -float(maps[side].clamp_max(0).sum())
    if not _WORTH_SAYING * pushing <= pull <= pushing or pull <= _PLACE_STANDS_OUT * own:
        return []
    words = place_words(divmod(int(maps[side].argmin()), _PLACES[1]), _PLACES)
    where = f"the {words} of the {_PICTURES[side]} picture"
    return [f"What pulls them together most lies in {where}: it takes {_percent(pull / pushing)} off again."]


def _match_sentence(flow: Flow) -> str:
    """Whether most cells match the same place of the other picture; if not, which match counts most."""
    if flow.plan.numel() == 1:
        return "The pictures are matched as wholes, not place by place."
    matches = strongest_matches(flow, enough=math.inf, most=flow.plan.numel())
    if not matches:
        return "No place of one picture matches a place of the other."
    ends = [(place_words(match.a, flow.grid_a), place_words(match.b, flow.grid_b)) for match in matches]
    same = sum(match.share for match, (here, there) in zip(matches, ends, strict=True) if here == there)
    if same > _MOST:
        return f"Most of what makes them alike, {_percent(same)}, joins the same place of both pictures."
    here, there = ends[0]
    return (
        f"The match that counts most joins the {here} of the first picture to the {there} of the second, "
        f"with {_percent(matches[0].share)} of what makes them alike."
    )


def _residual_sentence(parts: Sequence[tuple[str, float]], *, named: bool) -> list[str]:
    """What is said of the last part, which is in no map, unless all is: then it has been said."""
    name, residual = parts[-1]
    pushing = sum(max(value, 0.0) for _, value in parts)
    if not _WORTH_SAYING * pushing <= abs(residual) < (1 - _EQUAL) * pushing:
        return []
    if named:
        return ["That part lies in no region of either picture."] if residual > 0 else []
    share = _percent(abs(residual) / pushing)
    if residual < 0:
        return [f"{name[:1].upper()}{name[1:]} takes {share} off again."]
    return [f"{share[:1].upper()}{share[1:]} lies in no region of either picture: {name}."]


def _learning_sentence(before: float, after: float) -> str:
    old, new = f"{before:.{_DIGITS}f}", f"{after:.{_DIGITS}f}"
    if old == new:
        return f"Learning left the distance as it was: {new}."
    words = "brought the two closer together" if after < before else "moved the two farther apart"
    return f"Learning {words}: the distance was {old} before and is {new} now."


def _percent(share: float) -> str:
    """A whole percentage that never rounds a share inside (0, 1) to none or all."""
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"
