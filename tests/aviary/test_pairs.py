"""Pairs whose difference is known: to the pixel, or by how two species are kin."""

from itertools import islice

import numpy as np
import pytest

from avsl_core.aviary.pairs import MIN_DIFFERENCE, RELATIONS, part_pairs, species_pairs
from avsl_core.aviary.parameters import PARTS
from avsl_core.errors import ConfigError, DataError

SIZE = 64


@pytest.fixture(scope="module")
def pairs():
    kinds = ("form", "texture")
    return list(part_pairs(2 * len(PARTS), 7, size=SIZE, kinds=kinds))


def test_pairs_go_round_the_parts_and_the_kinds(pairs):
    assert [pair.part for pair in pairs] == [*PARTS, *PARTS]
    assert [pair.kind for pair in pairs] == ["form"] * len(PARTS) + ["texture"] * len(PARTS)


def test_only_the_named_part_of_the_bird_differs(pairs):
    for pair in pairs:
        differing = [part for part in PARTS if pair.bird_a.parts[part] != pair.bird_b.parts[part]]
        assert differing == [pair.part]
        assert pair.bird_a == pair.species.bird
        assert pair.species.split == "test"


def test_no_pixel_differs_outside_the_masks(pairs):
    for pair in pairs:
        differs = (pair.a != pair.b).any(axis=2)
        assert not (differs & ~(pair.mask_a | pair.mask_b)).any(), pair.part


def test_the_change_is_visible_in_both_pictures(pairs):
    for pair in pairs:
        assert pair.mask_a.mean() >= 0.004
        assert pair.mask_b.mean() >= 0.004
        inside = pair.mask_a | pair.mask_b
        step = np.abs(pair.a.astype(float) - pair.b.astype(float))[inside].mean()
        assert step >= MIN_DIFFERENCE


def test_arrays_have_their_types_and_shapes(pairs):
    pair = pairs[0]
    assert pair.a.dtype == pair.b.dtype == np.uint8
    assert pair.a.shape == pair.b.shape == (SIZE, SIZE, 3)
    assert pair.mask_a.dtype == pair.mask_b.dtype == np.bool_
    assert pair.mask_a.shape == pair.mask_b.shape == (SIZE, SIZE)


def test_a_short_run_is_the_beginning_of_a_longer_one_and_can_be_taken_up(pairs):
    again = list(part_pairs(2, 7, size=SIZE, kinds=("form", "texture")))
    later = list(part_pairs(2, 7, size=SIZE, kinds=("form", "texture"), start=9))
    for first, second in zip([*pairs[:2], *pairs[9:11]], [*again, *later], strict=True):
        assert first.bird_b == second.bird_b
        assert first.scene == second.scene
        assert np.array_equal(first.a, second.a)
        assert np.array_equal(first.b, second.b)


def test_another_seed_gives_other_pairs(pairs):
    other = next(part_pairs(1, 8, size=SIZE, kinds=("form",)))
    assert other.scene != pairs[0].scene


def test_nothing_is_drawn_before_it_is_asked_for():
    many = part_pairs(10**9, 0, size=SIZE)
    assert next(many).part == PARTS[0]


@pytest.mark.parametrize("relation", RELATIONS)
def test_species_are_kin_as_asked(relation):
    expected = {
        "same": (True, True, True),
        "twin_form": (True, False, True),
        "twin_plumage": (True, True, False),
        "family": (True, False, False),
    }
    for pair in islice(species_pairs(10, 1, size=SIZE, relation=relation), 3):
        first, second = pair.species_a, pair.species_b
        kin = tuple(getattr(first, name) == getattr(second, name) for name in ("family", "line", "variant"))
        assert kin == expected[relation] if relation != "other" else not kin[0]
        assert first.split == second.split == "test"
        assert pair.scene_a != pair.scene_b


def test_species_pairs_come_with_the_masks_of_both_and_are_the_same_again():
    first, second = (next(species_pairs(1, 3, size=SIZE, relation="twin_form")) for _ in range(2))
    assert np.array_equal(first.a, second.a)
    assert np.array_equal(first.b, second.b)
    assert set(first.masks_a) == set(first.masks_b) == set(PARTS)
    assert first.masks_a["coat"].shape == (SIZE, SIZE)
    assert first.masks_a["coat"].any()


def test_what_cannot_be_is_refused_at_once():
    with pytest.raises(ConfigError, match="kinds of change"):
        part_pairs(1, 0, kinds=("colour",))
    with pytest.raises(ConfigError, match="kinds of change"):
        part_pairs(1, 0, kinds=())
    with pytest.raises(ConfigError, match="count of pairs must be 0 or more, not -1"):
        part_pairs(-1, 0)
    with pytest.raises(ConfigError, match="split of the aviary"):
        part_pairs(1, 0, split="dev")
    with pytest.raises(ConfigError, match="relation of two species"):
        species_pairs(1, 0, relation="cousin")


def test_an_area_that_no_part_has_is_an_error_not_an_endless_search():
    with pytest.raises(DataError, match="set a smaller min_area"):
        next(part_pairs(1, 0, size=32, min_area=0.999))
