"""The sentences say what the figures of an account say, to the digit, and nothing more."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avsl_core.explain.flow import place_words
from avsl_core.explain.levels import part_titles, residual_title
from avsl_core.explain.sentence import plain_words
from avsl_core.models import Component, DimlModel, Explanation
from avsl_core.models.explanation import Flow

NAMES = {
    "avsl": ("level1", "level2", "level3"),
    "embedding": ("level1",),
    "cgd": ("S", "M", "G"),
    "raml": ("low", "high"),
    "adaptation": ("layer1", "layer2", "layer3", "layer4"),
    "diml": ("level1", "structure"),
    "novel": ("colour", "form"),
}
PLACES = {place_words((row, column), (3, 3)): np.s_[row, column] for row in range(3) for column in range(3)}
THIRDS = {
    "upper third": np.s_[0, :],
    "lower third": np.s_[2, :],
    "left third": np.s_[:, 0],
    "right third": np.s_[:, 2],
}
ANYWHERE = PLACES | THIRDS

SHARE = r"((?:less than |more than )?\d+ %)"
DIFFER = re.compile(
    r"To this model, the two pictures differ most in the ([a-z ]+) of "
    r"(?:the (first|second) picture|both pictures)"
    rf", with {SHARE} of (the distance|all that pushes them apart)"
    rf"(?:, and in the ([a-z ]+) of the (first|second), with {SHARE})?\.$"
)
PULL = re.compile(
    rf"What pulls them together most lies in the ([a-z ]+) of the (first|second) picture: it takes {SHARE} "
    r"off again\.$"
)


@st.composite
def explanations(draw, methods=tuple(NAMES)):
    method = draw(st.sampled_from(methods))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sign, sharpness = draw(st.floats(-1, 1)), draw(st.sampled_from([0.2, 1.0, 3.0]))
    components = []
    for name in NAMES[method]:
        maps = []
        for _ in range(2):
            grid = draw(st.sampled_from([(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (5, 3)]))
            size = np.exp(sharpness * rng.standard_normal(grid)) * 10.0 ** rng.uniform(-2, 1)
            maps.append(torch.from_numpy(size * np.where(rng.random(grid) < (sign + 1) / 2, -1.0, 1.0)))
        components.append(Component(name, float(maps[0].sum() + maps[1].sum()), *maps))
    residual = float(rng.normal()) * draw(st.sampled_from([0.0, 1.0, 10.0])) if method == "raml" else 0.0
    total = sum(component.value for component in components) + residual
    if total < 0:
        components = [Component(c.name, -c.value, -c.map_a, -c.map_b) for c in components]
        residual, total = -residual, -total
    before = Explanation(method, total * float(rng.uniform(0.5, 2)), ()) if method == "adaptation" else None
    flow = draw(flows()) if method == "diml" else None
    exact = method != "raml"
    return Explanation(method, total, tuple(components), residual, exact, flow=flow, before=before)


@st.composite
def flows(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    plan = rng.random((16, 16)) ** draw(st.sampled_from([1.0, 8.0])) + draw(st.floats(0, 8)) * np.eye(16)
    plan, similarity = plan / plan.sum(), rng.uniform(-0.5, 1, (16, 16))
    plan, similarity = torch.from_numpy(plan), torch.from_numpy(similarity)
    return Flow((4, 4), (4, 4), plan, similarity, plan.sum(1), plan.sum(0))


def swapped(explanation):
    components = tuple(Component(c.name, c.value, c.map_b, c.map_a) for c in explanation.components)
    flow = explanation.flow
    if flow is not None:
        flow = Flow(
            flow.grid_b, flow.grid_a, flow.plan.T, flow.similarity.T, flow.marginal_b, flow.marginal_a
        )
    return replace(explanation, components=components, flow=flow)


def zones(explanation):
    """What the cells of nine places add up to, per picture: counted apart from the code under test."""
    sides = {}
    for picture, side in (("first", "map_a"), ("second", "map_b")):
        sides[picture] = np.zeros((3, 3))
        for component in explanation.components:
            values = getattr(component, side).numpy()
            height, width = values.shape
            fine = np.kron(values, np.full((3, 3), 1 / 9))
            sides[picture] += fine.reshape(3, height, 3, width).sum(axis=(1, 3))
    return sides


def parts(explanation):
    names = [c.name for c in explanation.components]
    titles = [title for title, _ in part_titles(names, explanation.method)]
    values = dict(zip(titles, (c.value for c in explanation.components), strict=True))
    return (
        values
        if explanation.exact
        else values | {residual_title(explanation.method)[0]: explanation.residual}
    )


def printed(share):
    if 0 < share < 0.01:
        return "less than 1 %"
    return "more than 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def only(pattern, words):
    found = [match for match in map(pattern.match, words.sentences) if match]
    assert len(found) <= 1
    return found[0] if found else None


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_there_are_two_to_four_sentences_and_no_share_above_everything(explanation):
    words = plain_words(explanation)
    assert 2 <= len(words.sentences) <= 4
    assert words.text == " ".join(words.sentences)
    assert all(re.match(r"[A-Z0-9m].*\.$", sentence) for sentence in words.sentences)
    assert all(0 <= int(share) <= 100 for share in re.findall(r"(\d+) %", words.text))


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_the_first_sentence_gives_the_greatest_part_and_its_share(explanation):
    sentence, values = plain_words(explanation).sentences[0], parts(explanation)
    pushing = sum(value for value in values.values() if value > 0)
    shares = {title: value / pushing for title, value in values.items()}
    greatest, lowest = max(shares, key=shares.get), min(shares, key=shares.get)
    figures = re.findall(SHARE, sentence)
    if len(values) == 1:
        assert sentence.startswith("The distance has only one part")
    elif "count about alike" in sentence:
        assert max(abs(share * len(shares) - 1) for share in shares.values()) < 0.25
        assert set(figures) == {printed(shares[greatest]), printed(shares[lowest])}
    else:
        assert re.search(rf"comes from (the part called )?{greatest}\b", sentence)
        assert (
            figures[:1] == ([] if shares[greatest] >= 1 else [printed(shares[greatest])])
            or min(shares.values()) < 0
        )
        if "takes" in sentence:
            assert re.search(rf"{lowest} \(.*\) takes {printed(-shares[lowest])}|{lowest} takes", sentence)
            assert figures == [printed(shares[greatest]), printed(-shares[lowest])]
        assert ("Most of the distance" in sentence) <= (shares[greatest] > 0.5)
        assert ("of the distance" in sentence) == (min(shares.values()) >= 0)


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_a_named_place_holds_the_strongest_place_and_as_much_as_is_said(explanation):
    match, sides = only(DIFFER, plain_words(explanation)), zones(explanation)
    if match is None:
        return
    place, picture, share, whole, other_place, other_picture, other_share = match.groups()
    pushing = sum(float(side.clip(min=0).sum()) for side in sides.values())
    over = explanation.total if whole == "the distance" else pushing
    strongest = max(sides, key=lambda side: sides[side].max())
    here = sides[strongest][ANYWHERE[place]]
    assert picture in (strongest, None)
    assert here.max() == pytest.approx(sides[strongest].max())
    assert here.sum() / sides[strongest].clip(min=0).sum() > (0.4999 if place in THIRDS else 0.2222)
    value = sum(side[ANYWHERE[place]].sum() for side in sides.values()) if picture is None else here.sum()
    assert share == printed(value / over)
    if other_place:
        there = sides[other_picture][ANYWHERE[other_place]]
        assert there.max() == pytest.approx(sides[other_picture].max())
        assert other_share == printed(there.sum() / over)
        assert other_picture != picture


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_no_place_is_named_where_none_holds_clearly_more_than_its_share(explanation):
    words, sides = plain_words(explanation), zones(explanation)
    if "No place of either picture stands out" not in words.text:
        return
    side = max(sides.values(), key=lambda values: values.max())
    assert side.max() <= 0.2223 * side.clip(min=0).sum()


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_the_strongest_pull_is_named_with_what_it_takes_off(explanation):
    match, sides = only(PULL, plain_words(explanation)), zones(explanation)
    lowest = min(sides, key=lambda side: sides[side].min())
    pushing = sum(float(side.clip(min=0).sum()) for side in sides.values())
    pull = -sides[lowest].min() / pushing
    own = sides[lowest].min() / sides[lowest].clip(max=0).sum() if pull > 0 else 0
    if match is None:
        assert explanation.flow is not None or pull < 0.0501 or pull > 0.9999 or own < 0.2223
        return
    assert own > 0.2222
    place, picture, share = match.groups()
    assert picture == lowest
    assert sides[lowest][PLACES[place]] == pytest.approx(sides[lowest].min())
    assert share == printed(pull)


@settings(max_examples=60, deadline=None)
@given(explanations())
def test_swapping_the_pictures_swaps_first_and_second_and_nothing_else(explanation):
    values = np.sort(np.concatenate([side.ravel() for side in zones(explanation).values()]))
    assume(np.diff(values).min() > 1e-9 * np.abs(values).max())
    words, other = plain_words(explanation), plain_words(swapped(explanation))
    exchanged = {"first": "second", "second": "first"}
    turned = re.sub("first|second", lambda match: exchanged[match[0]], other.text)
    # The match is told from the first picture to the second, whichever they are.
    joins = r"joins the ([a-z ]+) of the (first|second) picture to the ([a-z ]+) of the (first|second)"
    turned = re.sub(joins, r"joins the \3 of the \4 picture to the \1 of the \2", turned)
    assert turned == words.text


@settings(max_examples=60, deadline=None)
@given(explanations(methods=["diml"]))
def test_the_match_is_told_by_its_share_of_the_likeness(explanation):
    text, flow = plain_words(explanation).text, explanation.flow
    adds = flow.likeness.clamp_min(0)
    names = [place_words(divmod(cell, 4), (4, 4)) for cell in range(16)]
    same = sum(adds[i, j] for i in range(16) for j in range(16) if names[i] == names[j]) / adds.sum()
    if same > 0.505:
        assert f"Most of what makes them alike, {printed(float(same))}, joins the same place" in text
    else:
        i, j = divmod(int(adds.argmax()), 16)
        share = printed(float(adds.max() / adds.sum()))
        assert (
            f"joins the {names[i]} of the first picture to the {names[j]} of the second, with {share}" in text
        )


@settings(max_examples=60, deadline=None)
@given(explanations(methods=["raml"]))
def test_a_residual_is_told_with_its_share_of_all_that_pushes(explanation):
    text, residual = plain_words(explanation).text, explanation.residual
    pushing = sum(value for value in parts(explanation).values() if value > 0)
    if match := re.search(rf"{SHARE} lies in no region of either picture", text):
        assert residual > 0
        assert match[1] == printed(residual / pushing)


@settings(max_examples=60, deadline=None)
@given(explanations(methods=["adaptation"]))
def test_learning_is_told_by_both_distances(explanation):
    last = plain_words(explanation).sentences[-1]
    old, new = f"{explanation.before.total:.3f}", f"{explanation.total:.3f}"
    if old == new:
        assert last == f"Learning left the distance as it was: {new}."
    else:
        assert ("closer" in last) == (explanation.total < explanation.before.total)
        assert last.endswith(f"the distance was {old} before and is {new} now.")


@settings(max_examples=60, deadline=None)
@given(explanations(), st.sampled_from([0.0, 1e-12, -1e-12]))
def test_no_sentence_about_a_distance_of_zero_claims_a_difference(explanation, total):
    text = plain_words(replace(explanation, total=total)).text
    assert not re.search(r"\d|differ|farther|most", text)
    assert "the same" in text


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_a_distance_that_is_no_number_is_called_that(total):
    assert "not a number" in plain_words(Explanation("avsl", total, ())).text


def test_an_account_without_parts_is_all_residual():
    words = plain_words(Explanation("novel", 0.5, (), residual=0.5, exact=False))
    assert words.sentences == (
        "The distance has only one part: the part called Not attributed (left over by the parts above).",
        "It lies in no region of either picture.",
    )


def test_titles_of_the_caller_are_used():
    nothing, corner = torch.zeros(3, 3), torch.zeros(3, 3)
    corner[0, 0] = 0.5
    components = (Component("x", 0.5, corner, nothing), Component("y", 0.0, nothing, nothing))
    words = plain_words(Explanation("novel", 0.5, components), titles={"x": ("Colour", "hue, 3 x 3 cells")})
    assert words.sentences[0] == "All of the distance comes from the part called Colour (hue)."


@pytest.fixture(params=["avsl", "embedding", "cgd", "adaptation", "raml", "raml_student", "diml"])
def tiny(request):
    if request.param == "diml":
        return DimlModel.over(request.getfixturevalue("embedding"))
    return request.getfixturevalue(request.param)


def test_every_method_s_own_account_is_put_into_words(tiny, pictures):
    with torch.inference_mode():
        explanation = tiny.explain(*(tiny.encode(pictures[i : i + 1]) for i in (0, 1)))
    words = plain_words(explanation)
    assert 2 <= len(words.sentences) <= 4
    assert any(re.search(rf"\b{title}\b", words.sentences[0]) for title in parts(explanation)) or (
        "count about alike" in words.sentences[0]
    )
    assert (explanation.before is not None) == words.sentences[-1].startswith("Learning ")
    assert ("makes them alike" in words.text) == (explanation.flow is not None)


def test_of_a_picture_and_itself_no_method_says_where_it_differs(tiny, pictures):
    with torch.inference_mode():
        encoding = tiny.encode(pictures[:1])
    words = plain_words(tiny.explain(encoding, encoding))
    assert "differ" not in words.text
    assert "the same" in words.text or "It lies in no region of either picture." in words.sentences
