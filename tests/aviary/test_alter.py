"""Changing one part of a bird, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.aviary.alter import KINDS, MIN_COLOUR_STEP, alter_part, possible_changes
from avsl_core.aviary.parameters import PALETTES, PARTS
from avsl_core.aviary.species import all_species
from avsl_core.errors import ConfigError

SPECIES = all_species()
BARE_HEADED = next(one.bird for one in SPECIES if one.bird.parts["crest"].form == "none")
CRESTED = next(one.bird for one in SPECIES if one.bird.parts["crest"].form != "none")
CHANGED = {
    "form": {"form"},
    "texture": {"texture"},
    "palette": {"palette"},
    "any": {"form", "texture", "palette"},
}


@given(st.integers(0, len(SPECIES) - 1), st.integers(0, 2**32), st.data())
def test_exactly_what_was_asked_for_changes(number, seed, data):
    bird = SPECIES[number].bird
    part, kind = data.draw(st.sampled_from(possible_changes(bird)))
    changed = alter_part(bird, part, np.random.default_rng(seed), kind)
    before, after = bird.parts[part], changed.parts[part]
    assert {name for name in CHANGED["any"] if getattr(before, name) != getattr(after, name)} == CHANGED[kind]
    assert all(changed.parts[other] == bird.parts[other] for other in PARTS if other != part)
    assert changed.build == bird.build


def test_the_same_generator_state_gives_the_same_change():
    changes = [alter_part(CRESTED, "wing", np.random.default_rng(5)) for _ in range(2)]
    assert changes[0] == changes[1]


def test_all_looks_are_reached():
    generator = np.random.default_rng(0)
    seen = {alter_part(CRESTED, "crest", generator, "form").parts["crest"].form for _ in range(200)}
    assert seen == {"none", "tuft", "spike", "fan", "swept", "curl"} - {CRESTED.parts["crest"].form}


def test_a_new_palette_is_clearly_another_colour():
    generator = np.random.default_rng(0)
    for palette in PALETTES:
        bird = CRESTED.with_part("wing", palette=palette)
        for _ in range(20):
            other = alter_part(bird, "wing", generator, "palette").parts["wing"].palette
            step = np.subtract(PALETTES[palette].base, PALETTES[other].base)
            assert np.linalg.norm(step) >= MIN_COLOUR_STEP


def test_any_never_takes_a_crest_away_and_gives_one_where_none_was():
    generator = np.random.default_rng(0)
    for bird in (CRESTED, BARE_HEADED):
        forms = {alter_part(bird, "crest", generator, "any").parts["crest"].form for _ in range(100)}
        assert "none" not in forms


@pytest.mark.parametrize("kind", ["texture", "palette"])
def test_the_look_of_an_absent_crest_cannot_change(kind):
    with pytest.raises(ConfigError, match=f"without a crest shows no {kind}"):
        alter_part(BARE_HEADED, "crest", np.random.default_rng(0), kind)


def test_possible_changes_are_those_that_are_accepted():
    assert len(possible_changes(CRESTED)) == len(PARTS) * len(KINDS)
    missing = set(possible_changes(CRESTED)) - set(possible_changes(BARE_HEADED))
    assert missing == {("crest", "texture"), ("crest", "palette")}


def test_unknown_parts_and_kinds_are_refused():
    with pytest.raises(ConfigError, match="'foot' is not one of coat"):
        alter_part(CRESTED, "foot", np.random.default_rng(0))
    with pytest.raises(ConfigError, match="'size' is not one of form"):
        alter_part(CRESTED, "wing", np.random.default_rng(0), "size")
