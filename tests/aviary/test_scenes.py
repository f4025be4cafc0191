"""Random scenes: varied, usable, and the same again from the same seed."""

import numpy as np
import pytest

from avsl_core.aviary.parameters import BACKGROUNDS, OCCLUDERS
from avsl_core.aviary.render import part_masks
from avsl_core.aviary.scenes import calm_scene, sample_scene
from avsl_core.aviary.species import all_species

MANY = 400


@pytest.fixture(scope="module")
def scenes():
    generator = np.random.default_rng(0)
    return [sample_scene(generator) for _ in range(MANY)]


@pytest.mark.parametrize("sample", [sample_scene, calm_scene])
def test_the_same_seed_gives_the_same_scene_and_another_seed_another(sample):
    assert sample(np.random.default_rng(3)) == sample(np.random.default_rng(3))
    assert sample(np.random.default_rng(3)) != sample(np.random.default_rng(4))


def test_scenes_show_everything_there_is(scenes):
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {scene.occluder for scene in scenes} == set(OCCLUDERS)
    assert {scene.facing for scene in scenes} == {"left", "right"}


def test_about_a_quarter_is_occluded_and_blur_and_noise_are_mild(scenes):
    occluded = sum(scene.occluder != "none" for scene in scenes) / MANY
    assert 0.18 < occluded < 0.32
    assert 0 < sum(scene.blur > 0 for scene in scenes) < MANY
    assert max(scene.blur for scene in scenes) <= 0.005
    assert max(scene.noise for scene in scenes) <= 5


def test_birds_are_of_a_usable_size(scenes):
    sizes = [scene.size for scene in scenes]
    assert min(sizes) >= 0.55
    assert max(sizes) <= 0.9
    assert np.ptp(sizes) > 0.3


def test_calm_scenes_have_nothing_before_the_bird_and_no_blur():
    generator = np.random.default_rng(0)
    scenes = [calm_scene(generator) for _ in range(50)]
    assert {(scene.occluder, scene.blur, scene.noise, scene.wing_lift) for scene in scenes} == {
        ("none", 0.0, 0.0, 0.0)
    }
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


def test_scenes_are_plain_values(scenes):
    plain = scenes[0].to_dict()
    assert {type(value) for value in plain.values()} <= {int, float, str}


def test_the_bird_lies_inside_the_picture():
    generator = np.random.default_rng(1)
    for species in all_species()[::12]:  # one of each family
        cover = sum(part_masks(species.bird, sample_scene(generator), 64).values())
        rim = np.concatenate([cover[0], cover[-1], cover[:, 0], cover[:, -1]])
        # A tip of a tail may leave the picture, the bird may not.
        assert (rim > 0).mean() < 0.1, species.name
