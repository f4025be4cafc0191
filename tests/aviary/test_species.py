"""The 240 species: a fixed grid of families, plumage lines and form variants, divided into splits."""

from collections import Counter
from itertools import combinations

import pytest

from avsl_core.aviary.families import FAMILIES
from avsl_core.aviary.naming import form_word, plumage_words
from avsl_core.aviary.parameters import FORMS, PARTS
from avsl_core.aviary.species import LINES, VARIANTS, all_species, species_of
from avsl_core.errors import ConfigError

SPECIES = all_species()


def differing(first, second, *attributes):
    """How many parts differ in one of the attributes."""
    return sum(
        any(
            getattr(first.bird.parts[part], name) != getattr(second.bird.parts[part], name)
            for name in attributes
        )
        for part in PARTS
    )


def family_pairs():
    families = {species.family: [] for species in SPECIES}
    for species in SPECIES:
        families[species.family].append(species)
    return [pair for members in families.values() for pair in combinations(members, 2)]


def test_there_are_twenty_families_of_four_lines_by_three_variants():
    assert len(SPECIES) == len(FAMILIES) * LINES * VARIANTS == 240
    places = {(species.family, species.line, species.variant) for species in SPECIES}
    assert len(places) == 240


def test_a_family_shares_its_build_and_no_two_families_have_the_same():
    builds = {species.family: species.bird.build for species in SPECIES}
    assert all(species.bird.build == builds[species.family] for species in SPECIES)
    assert len(set(builds.values())) == 20


def test_all_species_are_distinct_birds():
    looks = {(species.bird.build, tuple(species.bird.parts.items())) for species in SPECIES}
    assert len(looks) == 240


def test_all_forms_occur():
    worn = {(part, species.bird.parts[part].form) for species in SPECIES for part in PARTS}
    assert worn == {(part, form) for part, forms in FORMS.items() for form in forms}


def test_species_of_one_line_share_plumage_and_differ_in_the_form_of_one_to_three_parts():
    for first, second in family_pairs():
        if first.line == second.line:
            assert differing(first, second, "texture", "palette") == 0
            assert 1 <= differing(first, second, "form") <= 3


def test_species_of_one_variant_share_forms_and_differ_in_the_plumage_of_two_to_five_parts():
    for first, second in family_pairs():
        if first.variant == second.variant:
            assert differing(first, second, "form") == 0
            assert 2 <= differing(first, second, "texture", "palette") <= 5


def test_plumage_lines_never_differ_in_a_crest_that_is_not_there():
    for first, second in family_pairs():
        crests = first.bird.parts["crest"], second.bird.parts["crest"]
        if "none" in (crests[0].form, crests[1].form):
            assert crests[0].palette == crests[1].palette
            assert crests[0].texture == crests[1].texture


def test_neighbouring_parts_wear_different_palettes():
    for species in SPECIES:
        palettes = {part: species.bird.parts[part].palette for part in PARTS}
        assert len({palettes["coat"], palettes["wing"], palettes["tail"]}) == 3, species.name
        assert len({palettes["coat"], palettes["breast"], palettes["throat"]}) == 3, species.name


def test_names_are_unique_and_make_folder_names():
    assert len({species.name for species in SPECIES}) == 240
    slugs = {species.slug for species in SPECIES}
    assert len(slugs) == 240
    assert all(slug == slug.lower() and slug.replace("-", "").isalpha() for slug in slugs)
    assert all(species.name.endswith(f" {species.family}") for species in SPECIES)


def test_names_do_not_lie():
    for species in SPECIES:
        plumage, *form = species.name.removesuffix(f" {species.family}").split(" ")
        # Every word a plumage could be given, were there nothing to tell it from.
        assert plumage in plumage_words(species.bird, []), species.name
        true_forms = {form_word(species.bird, part) for part in PARTS}
        assert set(form) <= true_forms, species.name


def test_the_splits_have_their_sizes_and_hold_whole_lines():
    assert Counter(species.split for species in SPECIES) == {"train": 144, "val": 36, "test": 60}
    lines = {(species.family, species.line, species.split) for species in SPECIES}
    assert len(lines) == 80


def test_test_holds_families_never_seen_and_new_species_of_known_families():
    trained = {species.family for species in species_of("train")}
    tested = {species.family for species in species_of("test")}
    assert len(tested - trained) == 3
    assert len(tested & trained) == 4


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_species_has_both_kinds_of_twin_in_its_split(split):
    species = species_of(split)
    for one in species:
        family = [other for other in species if other.family == one.family and other is not one]
        assert any(other.line == one.line for other in family)
        assert any(other.variant == one.variant for other in family)


def test_all_is_every_split_together():
    assert species_of("all") == SPECIES
    assert sum(len(species_of(split)) for split in ("train", "val", "test")) == 240


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="'dev' is not one of train, val, test, all"):
        species_of("dev")
