"""Birds on paper, and the folders of pairs made of them."""

import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.aviary import (
    Scene,
    draw_pair,
    part_masks,
    sample_individual,
    sample_scene,
    sketch,
    write_pairs,
)
from avsl_core.aviary.parameters import PARTS
from avsl_core.data import read_pairs
from avsl_core.errors import ConfigError, DataError

PAPER = (246, 243, 234)


@pytest.fixture(scope="module")
def bird():
    return sample_individual(np.random.default_rng(3))


@pytest.fixture(scope="module")
def scene():
    return Scene(seed=5, size=0.7)


def covered(bird, scene, size=96):
    """Where the whole bird is."""
    return sum(mask.astype(int) for mask in part_masks(bird, scene, size).values())


class TestSilhouette:
    def test_is_black_where_the_bird_is_and_paper_elsewhere(self, bird, scene):
        drawn, cover = sketch(bird, scene, "silhouette", 96), covered(bird, scene)
        assert (drawn[cover >= 255] <= 16).all()  # coverage is rounded up, part by part
        assert (drawn[cover == 0] == PAPER).all()

    def test_shows_form_and_not_plumage(self, bird, scene):
        repainted = bird.with_part("wing", palette="gold", texture="barred")
        assert np.array_equal(
            sketch(bird, scene, "silhouette", 96), sketch(repainted, scene, "silhouette", 96)
        )
        other = "spike" if bird.parts["crest"].form != "spike" else "fan"
        reshaped = bird.with_part("crest", form=other)
        assert not np.array_equal(
            sketch(bird, scene, "silhouette", 96), sketch(reshaped, scene, "silhouette", 96)
        )


class TestSketch:
    def test_is_grey_and_lies_within_the_bird_but_for_the_hands_unsteadiness(self, bird, scene):
        drawn, cover = sketch(bird, scene, size=128), covered(bird, scene, 128)
        spread = drawn.astype(int).max(axis=2) - drawn.astype(int).min(axis=2)
        assert spread.max() <= 16
        near = np.zeros_like(cover, dtype=bool)
        for down in range(-3, 4):
            for across in range(-3, 4):
                near |= np.roll(cover > 0, (down, across), axis=(0, 1))
        assert (drawn[~near] == PAPER).all()

    @pytest.mark.parametrize("change", [{"form": "hook"}, {"form": "spatula"}])
    def test_shows_the_form_of_a_part(self, bird, scene, change):
        changed = bird.with_part("beak", **change)
        assert changed == bird or not np.array_equal(sketch(bird, scene), sketch(changed, scene))

    def test_shows_a_pattern_and_how_dark_a_part_is_but_not_its_hue(self, bird, scene):
        plain = bird.with_part("wing", texture="plain", palette="snow")
        first = sketch(plain, scene)
        assert not np.array_equal(first, sketch(plain.with_part("wing", texture="spotted"), scene))
        assert sketch(plain.with_part("wing", palette="coal"), scene).mean() < first.mean()

    def test_light_and_background_leave_no_trace(self, bird, scene):
        elsewhere = Scene(
            **scene.to_dict() | {"background": "water", "light_from": 40.0, "occluder": "twig", "noise": 4.0}
        )
        assert np.array_equal(sketch(bird, scene), sketch(bird, elsewhere))

    def test_the_same_arguments_give_the_same_pixels(self, bird, scene):
        assert np.array_equal(sketch(bird, scene), sketch(bird, scene))

    @pytest.mark.parametrize(
        ("options", "message"), [({"kind": "oil"}, "kind of sketch"), ({"size": 9}, "32 to 2048")]
    )
    def test_what_cannot_be_drawn_is_refused(self, bird, scene, options, message):
        with pytest.raises(ConfigError, match=message):
            sketch(bird, scene, **options)


class TestIndividuals:
    def test_no_two_are_alike(self):
        birds = [sample_individual(np.random.default_rng(seed)) for seed in range(40)]
        assert len({json.dumps(bird.to_dict(), sort_keys=True) for bird in birds}) == 40

    def test_come_from_the_families_of_a_split(self):
        bird = sample_individual(np.random.default_rng(0), "test")
        assert set(bird.parts) == set(PARTS)
        with pytest.raises(ConfigError):
            sample_individual(np.random.default_rng(0), "dev")


class TestPair:
    def test_shows_one_bird_in_two_scenes(self):
        pair = draw_pair(2, 7, size=64)
        assert np.array_equal(pair.right, sketch(pair.bird, pair.scene_right, "sketch", 64))
        assert pair.scene_left != pair.scene_right

    def test_alignment_does_not_give_the_partner_away(self):
        """Laid over each other, partners' silhouettes agree no better than those of strangers."""
        pairs = [draw_pair(number, 1, "silhouette", size=48) for number in range(24)]
        lefts = [covered(pair.bird, pair.scene_left, 48) > 127 for pair in pairs]
        rights = [pair.right.mean(axis=2) < 128 for pair in pairs]
        overlap = np.array([[(a & b).sum() / (a | b).sum() for b in rights] for a in lefts])
        own = overlap.diagonal()
        found = (overlap >= own[:, None]).sum(axis=1) == 1
        assert found.mean() < 0.3

    def test_both_facings_are_drawn(self):
        generator = np.random.default_rng(0)
        assert {sample_scene(generator).facing for _ in range(20)} == {"left", "right"}


class TestFolder:
    def test_is_read_as_pairs(self, tmp_path):
        report = write_pairs(tmp_path / "p", 3, 4, size=40, workers=0, format="png")
        assert (report.pairs, report.drawn) == (3, 3)
        pairs = read_pairs(tmp_path / "p")
        assert pairs.names == ("0000", "0001", "0002")
        expected = draw_pair(1, 4, size=40)
        with Image.open(pairs.left[1]) as left, Image.open(pairs.right[1]) as right:
            assert np.array_equal(np.asarray(left), expected.left)
            assert np.array_equal(np.asarray(right), expected.right)

    def test_tells_what_each_pair_shows(self, tmp_path):
        write_pairs(tmp_path, 2, 4, "silhouette", size=40, workers=0)
        lines = [json.loads(line) for line in (tmp_path / "aviary.jsonl").read_text().splitlines()]
        assert lines[1]["bird"] == draw_pair(1, 4, size=40).bird.to_dict()
        assert (lines[1]["left"], lines[1]["right"]) == ("left/0001.webp", "right/0001.webp")

    def test_a_run_that_was_broken_off_is_taken_up(self, tmp_path):
        write_pairs(tmp_path, 3, 4, size=40, workers=0)
        lost = tmp_path / "right" / "0001.webp"
        content = lost.read_bytes()
        lost.unlink()
        assert write_pairs(tmp_path, 3, 4, size=40, workers=0).drawn == 1
        assert lost.read_bytes() == content

    def test_another_runs_folder_is_refused(self, tmp_path):
        write_pairs(tmp_path, 1, 4, size=40, workers=0)
        with pytest.raises(DataError, match="other arguments"):
            write_pairs(tmp_path, 1, 4, "silhouette", size=40, workers=0)

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            ((0, 1), {}, "count of pairs"),
            ((1, -1), {}, "seed must be"),
            ((1, 1, "oil"), {}, "kind of pairs"),
            ((1, 1), {"size": 8}, "size must lie"),
            ((1, 1), {"split": "dev"}, "dev"),
            ((1, 1), {"format": "gif"}, "format"),
        ],
    )
    def test_arguments_out_of_range_are_refused(self, tmp_path, arguments, options, message):
        with pytest.raises(ConfigError, match=message):
            write_pairs(tmp_path / "p", *arguments, **options)
        assert not (tmp_path / "p").exists()
