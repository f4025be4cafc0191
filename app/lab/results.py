"""The account of one pair of made birds as HTML: the birds, where the model looked, the score."""

from collections.abc import Sequence
from html import escape

from torch import Tensor

from app.lab.bench import LabResult
from app.lab.figures import draw_map
from app.lab.state import LabState, Try
from app.lab.words import change_words, describe, join_words, part_words
from app.look.figures import image_tag, legend
from avsl_core.explain.bars import level_bars, printed_parts
from avsl_core.explain.heatmap import shared_scale
from avsl_core.explain.levels import component_titles
from avsl_core.explain.methods import account_words
from avsl_core.explain.total import total_maps

__all__ = ["levels_html", "score_html", "strip_html", "verdict_html", "view_html"]

_SIDES = ("left", "right")
_TRIES_SHOWN = 24
_RING = "<strong>The ring</strong> marks the strongest spot"
_PLACES = {
    "on": ("✓", "the strongest spot was on it"),
    "beside": ("~", "the strongest spot was right beside it"),
    "elsewhere": ("✗", "the strongest spot was elsewhere"),
}


def view_html(result: LabResult, state: LabState, *, outline: bool) -> str:
    """The two birds, and below each the map of everything together.

    Args:
        result: What to draw.
        state: What was changed.
        outline: Whether the changed parts' true contours are laid over the maps.
    """
    left, right = result.pictures
    changes = [change_words(p, *(bird.parts[p] for bird in result.birds)) for p in state.changed]
    birds = "".join(
        f"<figure>{image_tag(picture.encoded.crop, alt)}<figcaption>{caption}</figcaption></figure>"
        for picture, alt, caption in (
            (
                left,
                f"The left bird, a {state.species}: {describe(result.birds[0])}",
                f"<strong>{escape(state.species[:1].upper() + state.species[1:])}</strong>",
            ),
            (
                right,
                f"The right bird: {'; '.join(changes) if changes else 'the same as the left one'}",
                "<br>".join(escape(change) for change in changes) or "The same bird: change any part of it",
            ),
        )
    )
    maps = _all_levels(result, state, outline=outline)
    return (
        f'<div class="lab-birds" data-key="{escape(state.key)}">{birds}</div>'
        f'<p class="lab-spot" role="status">{_spot_words(result, state)}</p>{_several_html(state)}'
        f'<div class="lab-maps">{maps}</div>{legend()}'
    )


def strip_html(result: LabResult, state: LabState, *, outline: bool) -> str:
    """The four pictures small, to stay in view above the menus on a phone; all is said elsewhere."""
    verdict = result.comparison.verdict
    birds = "".join(image_tag(picture.encoded.crop[::2, ::2], "") for picture in result.pictures)
    maps = _all_levels(result, state, outline=outline)
    words = "Identical" if result.identical else verdict.words
    return (
        f'<div aria-hidden="true"><div class="lab-four">{birds}{maps}</div>'
        f"<p>{escape(words)}, distance {result.comparison.distance:.3f}</p></div>"
    )


def verdict_html(result: LabResult) -> str:
    """Verdict in words, distance, and the bars that add up to it."""
    comparison = result.comparison
    verdict, account = comparison.verdict, account_words(comparison.explanation)
    words, sentence = verdict.words, verdict.sentence
    if result.identical:
        words = "Identical"
        sentence = "The two pictures are the same to the pixel, so their distance is 0."
    return (
        '<section class="avsl-card lab-verdict" aria-label="Verdict">'
        f'<h2 class="avsl-words" data-grade="{verdict.grade}">{escape(words)}</h2>'
        f'<p class="avsl-sentence">{escape(sentence)}</p>'
        f'<p class="avsl-distance"><span id="lab-distance" data-value="{comparison.distance!r}">'
        f"{comparison.distance:.3f}</span> <small>distance; {escape(account.zero)}</small></p>"
        f"{level_bars(comparison.explanation, component_titles(comparison.explanation))}"
        f'<p class="avsl-note">{escape(account.note)}</p></section>'
    )


def levels_html(result: LabResult, state: LabState, *, outline: bool) -> str:
    """Each level's own map on both birds."""
    explanation = result.comparison.explanation
    if result.identical:
        return ""
    printed, _ = printed_parts(explanation)
    titles = component_titles(explanation)
    figures = ""
    for component in explanation.components:
        title, gloss = titles[component.name]
        scale = shared_scale([component.map_a, component.map_b])
        maps = [[component.map_a], [component.map_b]]
        drawn = _maps(result, state, title, maps, scale, outline=outline, ringed=False)
        figures += (
            f'<figure><div class="pair">{drawn}</div><figcaption><strong>{escape(title)}</strong> '
            f'<span class="value">{printed[component.name]}</span><small>{escape(gloss)}</small>'
            "</figcaption></figure>"
        )
    return (
        '<section class="avsl-maps" aria-label="Heatmaps of the levels"><h3>Level by level</h3>'
        '<p class="note">Each figure uses the whole colour scale: compare the two pictures of a figure, not '
        f'the figures.</p><div class="avsl-levels">{figures}</div></section>'
    )


def score_html(tries: Sequence[Try]) -> str:
    """How often the model's strongest spot was on the changed part, and on which."""
    if not tries:
        return (
            '<p class="lab-score">No change scored yet. Change one part of the right bird: the score tells '
            "how often the model's strongest spot is on the part that was changed.</p>"
        )
    hits, beside = (sum(done.place == place for done in tries) for place in ("on", "beside"))
    more = f", and right beside it in {beside}" if beside else ""
    chips = "".join(
        f'<li class="{done.place}" title="{_PLACES[done.place][1]}"><span aria-hidden="true">'
        f'{_PLACES[done.place][0]}</span> {escape(part_words(done.part))}<span class="lab-hidden">: '
        f"{_PLACES[done.place][1]}</span></li>"
        for done in tries[-_TRIES_SHOWN:]
    )
    return (
        f'<p class="lab-score" role="status" data-hits="{hits}" data-tries="{len(tries)}">The model\'s '
        f"strongest region was the changed part in <strong>{hits} of {len(tries)}</strong> "
        f"{'change' if len(tries) == 1 else 'changes'}{more}.</p><ul class='lab-tries'>{chips}</ul>"
    )


def _all_levels(result: LabResult, state: LabState, *, outline: bool) -> str:
    components = result.comparison.explanation.components
    maps = [[c.map_a for c in components], [c.map_b for c in components]]
    scale = shared_scale(total_maps(result.comparison.explanation))
    return _maps(result, state, "all levels together", maps, scale, outline=outline)


def _maps(
    result: LabResult,
    state: LabState,
    title: str,
    maps: Sequence[Sequence[Tensor]],
    scale: float,
    *,
    outline: bool,
    ringed: bool = True,
) -> str:
    drawn = ""
    for index, (picture, side_maps) in enumerate(zip(result.pictures, maps, strict=True)):
        outlines = [picture.masks[part] for part in state.changed] if outline else []
        spot = result.spot if ringed and result.spot and result.spot.picture == index else None
        apart = sum(float(values.clamp_min(0).sum()) for values in side_maps)
        alt = f"Heatmap on the {_SIDES[index]} bird, {title}: pushes apart {apart:.3f}"
        if spot is not None:
            alt += f", strongest on {_where(spot.part)}"
        if outlines:
            alt += (
                f"; the outline shows the true place of {join_words([part_words(p) for p in state.changed])}"
            )
        drawn += image_tag(draw_map(picture.encoded.crop, side_maps, scale, outlines, spot), alt)
    return drawn


def _several_html(state: LabState) -> str:
    """Says that several parts differ, and offers to go back to one."""
    if len(state.changes) < 2:
        return ""
    names = [part_words(part) for part in state.changed]
    buttons = "".join(
        f'<button type="button" class="lab-only" data-only="{part}">Only the {name}</button>'
        for part, name in zip(state.changed, names, strict=True)
    )
    return (
        f'<div class="lab-several"><p>{len(names)} parts differ now: {join_words(names)}. '
        f"The score counts changes of one part.</p>{buttons}</div>"
    )


def _spot_words(result: LabResult, state: LabState) -> str:
    """Where the strongest spot is, and what that says."""
    if not state.changes:
        return "Nothing is changed yet, so there is nothing for the model to find."
    if result.identical:
        return "This change cannot be seen in this picture. Try another one."
    if result.spot is None:
        return "Nothing pushes the two pictures apart."
    where = f"on {_where(result.spot.part)} of the {_SIDES[result.spot.picture]} bird"
    if result.spot.part is None:
        where = f"on the background of the {_SIDES[result.spot.picture]} picture"
    changed = join_words([part_words(part) for part in state.changed])
    if len(state.changes) > 1:
        found = result.spot.part in state.changed
        end = "one of the parts you changed" if found else f"though you changed {changed}"
        return f"{_RING}: {where}, {end}."
    if result.pointing is None:
        return f"The changed part is hidden here. The strongest spot is {where}."
    share = (
        f"{100 * result.pointing.mass:.0f}\u00a0% of the orange, of what pushes apart, lies on the "
        f"{changed}, which covers {_percent(result.pointing.area)} of the pictures."
    )
    ends = {
        "on": ", the part that was changed.",
        "beside": f", right beside the {changed} that was changed.",
        "elsewhere": f"; the change was on the {changed}.",
    }
    return f"{_RING}: {where}{ends[result.place or 'elsewhere']} {share}"


def _where(part: str | None) -> str:
    return "the background" if part is None else f"the {part_words(part)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%" if share >= 0.0095 else f"{100 * share:.1f}\u00a0%"
