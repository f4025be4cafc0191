"""Pictures and masks: the same bytes every time, and a part's mask holds every pixel that it can change."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.aviary.parameters import (
    BACKGROUNDS,
    FORMS,
    OCCLUDERS,
    PALETTES,
    PARTS,
    TEXTURES,
    Bird,
    Build,
    Part,
    Scene,
)
from avsl_core.aviary.render import part_masks, render
from avsl_core.errors import ConfigError


def between(low, high):
    return st.floats(low, high, allow_nan=False, width=32)


BUILDS = st.builds(
    Build,
    body=between(0.75, 1.5),
    depth=between(0.75, 1.375),
    head=between(0.625, 1.5),
    neck=between(0, 3),
    legs=between(0.375, 3),
    beak=between(0.5, 2.25),
    tail=between(0.375, 2.25),
    upright=between(5, 75),
)
SCENES = st.builds(
    Scene,
    seed=st.integers(0, 999),
    facing=st.sampled_from(["left", "right"]),
    size=between(0.5, 0.9375),
    x=between(0.25, 0.75),
    y=between(0.25, 0.75),
    tilt=between(-20, 20),
    nod=between(-25, 25),
    tail_lift=between(-20, 25),
    wing_lift=between(0, 1),
    light_from=between(0, 180),
    light=between(0, 1),
    warmth=between(-1, 1),
    background=st.sampled_from(BACKGROUNDS),
    occluder=st.sampled_from(OCCLUDERS),
    cover=between(0, 0.34375),
    blur=st.sampled_from([0.0, 0.003, 0.008]),
    noise=st.sampled_from([0.0, 8.0]),
)


def parts_of(name):
    return st.builds(
        Part, st.sampled_from(FORMS[name]), st.sampled_from(TEXTURES), st.sampled_from(list(PALETTES))
    )


BIRDS = st.builds(Bird, BUILDS, st.fixed_dictionaries({name: parts_of(name) for name in PARTS}))


def plain_bird(build=None):
    return Bird(build or Build(), {name: Part(FORMS[name][0], "barred", "gold") for name in PARTS})


@settings(max_examples=40, deadline=None)
@given(BIRDS, SCENES, st.data())
def test_changing_a_part_changes_no_pixel_outside_its_masks(bird, scene, data):
    name = data.draw(st.sampled_from(PARTS))
    other = Bird(bird.build, {**bird.parts, name: data.draw(parts_of(name))})
    changed = (render(bird, scene, 96) != render(other, scene, 96)).any(axis=2)
    inside = (part_masks(bird, scene, 96)[name] > 0) | (part_masks(other, scene, 96)[name] > 0)
    assert not (changed & ~inside).any()


@settings(max_examples=8, deadline=None)
@given(BIRDS, SCENES, st.sampled_from([32, 65, 200]))
def test_pictures_and_masks_have_the_shape_they_promise(bird, scene, size):
    picture, masks = render(bird, scene, size), part_masks(bird, scene, size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    assert tuple(masks) == PARTS
    assert all(mask.shape == (size, size) and mask.dtype == np.uint8 for mask in masks.values())


@settings(max_examples=10, deadline=None)
@given(BIRDS, SCENES)
def test_parts_share_a_pixel_and_never_fill_it_more_than_once(bird, scene):
    masks = part_masks(bird, scene, 96)
    total = sum(mask.astype(int) for mask in masks.values())
    # Every mask is rounded up.
    assert total.max() <= 255 + 2 * len(PARTS)


def test_a_whole_bird_shows_every_part():
    bird = plain_bird().with_part("crest", form="fan")
    masks = part_masks(bird, Scene())
    assert all((mask > 128).sum() >= 40 for mask in masks.values())


def test_masks_are_where_the_picture_answers_to_the_part():
    bird, scene = plain_bird(), Scene()
    for name in PARTS[:-1]:
        solid = part_masks(bird, scene)[name] == 255
        plain = render(bird.with_part(name, texture="plain", palette="scarlet"), scene).astype(int)
        other = render(bird.with_part(name, texture="plain", palette="leaf"), scene).astype(int)
        # Pupil and rim of the eye are dark in every bird.
        least = 0.4 if name == "eye" else 0.9
        assert (np.abs(plain - other).max(axis=2)[solid] > 20).mean() > least


def test_an_occluder_hides_parts_and_a_mask_says_so():
    bird = plain_bird()
    free = part_masks(bird, Scene())
    hidden = part_masks(bird, Scene(occluder="leaves", cover=0.3, seed=4))
    assert all((hidden[name] <= free[name]).all() for name in PARTS)
    assert sum(mask.astype(int).sum() for mask in hidden.values()) < 0.9 * sum(
        mask.astype(int).sum() for mask in free.values()
    )


def test_blur_widens_a_mask():
    sharp, soft = (part_masks(plain_bird(), Scene(blur=blur))["beak"] > 0 for blur in (0.0, 0.006))
    assert soft[sharp].all() and soft.sum() > sharp.sum()


def test_seeds_change_details():
    pictures = [render(plain_bird(), Scene(seed=seed), 96) for seed in (1, 2)]
    assert (pictures[0] != pictures[1]).any()


def test_another_process_draws_the_same_bytes():
    code = (
        "import gc, hashlib\n"
        "gc.disable()\n"
        "from avsl_core.aviary.parameters import FORMS, PARTS, Bird, Build, Part, Scene\n"
        "from avsl_core.aviary.render import part_masks, render\n"
        "bird = Bird(Build(), {name: Part(FORMS[name][0], 'barred', 'gold') for name in PARTS})\n"
        "scene = Scene(seed=3, occluder='grass', blur=0.003, noise=4.0)\n"
        "masks = part_masks(bird, scene, 96).values()\n"
        "data = render(bird, scene, 96).tobytes() + b''.join(mask.tobytes() for mask in masks)\n"
        "print(hashlib.sha256(data).hexdigest())\n"
        "gc.freeze()\n"  # what was imported is not searched through at the end
    )
    scene = Scene(seed=3, occluder="grass", blur=0.003, noise=4.0)
    masks = part_masks(plain_bird(), scene, 96)
    data = render(plain_bird(), scene, 96).tobytes() + b"".join(mask.tobytes() for mask in masks.values())
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 31, 2049])
@pytest.mark.parametrize("draw", [render, part_masks])
def test_a_size_out_of_range_is_refused(draw, size):
    with pytest.raises(ConfigError, match=f"not {size}"):
        draw(plain_bird(), Scene(), size)
