"""Where a bird's parts are: what pose and place move, and that looks move nothing."""

import dataclasses

import pytest

from avsl_core.aviary.anatomy import build_anatomy
from avsl_core.aviary.parameters import Build, Scene

SIZE = 224
HERON = Build(body=1.1, depth=0.8, head=0.72, neck=2.8, legs=3.0, beak=1.7, tail=0.6, upright=28)
OWL = Build(body=1.05, depth=1.2, head=1.5, neck=0.0, legs=0.5, beak=0.75, tail=0.6, upright=72)
BUILDS = pytest.mark.parametrize("build", [Build(), HERON, OWL], ids=["songbird", "heron", "owl"])


@BUILDS
def test_the_box_has_its_middle_where_the_scene_says_and_the_feet_stand_at_its_bottom_half(build):
    anatomy = build_anatomy(build, Scene(x=0.4, y=0.6), SIZE)
    left, top, right, bottom = anatomy.box
    assert (left + right) / 2 == pytest.approx(0.4 * SIZE)
    assert (top + bottom) / 2 == pytest.approx(0.6 * SIZE)
    assert left < anatomy.footing[0] < right
    assert (top + bottom) / 2 < anatomy.footing[1] <= bottom


@BUILDS
def test_an_ordinary_scene_keeps_the_bird_in_the_picture(build):
    left, top, right, bottom = build_anatomy(build, Scene(), SIZE).box
    assert left > 0 and top > 0 and right < SIZE and bottom < SIZE


@BUILDS
def test_facing_left_is_the_mirror_image(build):
    right, left = (build_anatomy(build, Scene(facing=way), SIZE) for way in ("right", "left"))
    for name in ("body", "head", "tail", "wing"):
        seen, mirrored = getattr(right, name), getattr(left, name)
        assert mirrored.origin == pytest.approx(complex(SIZE - seen.origin.real, seen.origin.imag))
        assert mirrored.u == pytest.approx(complex(-seen.u.real, seen.u.imag))


def test_a_bird_is_as_large_as_the_scene_says_whatever_its_pose():
    posed = Scene(size=0.8, tilt=15, nod=-20, tail_lift=20, wing_lift=1)
    grains = [build_anatomy(HERON, scene, SIZE).grain for scene in (Scene(size=0.8), posed)]
    assert grains[0] == pytest.approx(grains[1]) == pytest.approx(0.01 * 0.8 * SIZE)


def test_anatomy_scales_with_the_picture():
    small, large = (build_anatomy(Build(), Scene(), size) for size in (100, 400))
    assert large.box == pytest.approx(tuple(4 * edge for edge in small.box))
    assert large.eye == pytest.approx(4 * small.eye)


@pytest.mark.parametrize(
    ("change", "rises"),
    [
        ({"nod": 20.0}, lambda a, b: b.head.u.imag > a.head.u.imag),
        ({"tail_lift": 20.0}, lambda a, b: b.tail.u.imag < a.tail.u.imag),
        ({"wing_lift": 0.8}, lambda a, b: b.wing.u.imag < a.wing.u.imag),
        ({"tilt": 15.0}, lambda a, b: b.body.u.imag > a.body.u.imag),
    ],
    ids=["a nod lowers the beak", "the tail rises", "the wing rises", "a tilt lowers the breast"],
)
def test_pose_turns_what_it_names(change, rises):
    # Imaginary parts point down on the picture.
    rest = Scene()
    assert rises(
        build_anatomy(Build(), rest, SIZE), build_anatomy(Build(), dataclasses.replace(rest, **change), SIZE)
    )


def test_builds_differ_where_they_should():
    song, heron, owl = (build_anatomy(build, Scene(), SIZE) for build in (Build(), HERON, OWL))
    assert abs(heron.neck.u) / abs(heron.head.u) > 2 * abs(song.neck.u) / abs(song.head.u)
    assert abs(owl.head.u) / abs(owl.body.u) > abs(song.head.u) / abs(song.body.u)
    standing = [a.footing[1] - a.body.origin.imag for a in (song, heron)]
    assert standing[1] / heron.grain > standing[0] / song.grain
