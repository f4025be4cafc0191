"""The pointing game on marked photographs: from a made archive to the rates."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint
from avsl_core.data.cub_parts import CubParts, read_cub_parts
from avsl_core.errors import ConfigError, DataError
from avsl_core.faithfulness.explainers import grad_cam
from avsl_core.faithfulness.landmarks import crop_box, crop_points, score_landmarks, score_map
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.images import Preprocess

WHOLE = Preprocess(size=64, resize=64)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Four photographs, 120 x 80: a patch of noise on grey, its box and two visible parts on it."""
    base = tmp_path_factory.mktemp("cub") / "CUB_200_2011"
    (base / "images" / "001.a").mkdir(parents=True)
    (base / "parts").mkdir()
    rng = np.random.default_rng(0)
    images, boxes, points = "", "", ""
    for number in range(1, 5):
        pixels = np.full((80, 120, 3), 128, np.uint8)
        pixels[20:60, 40:80] = rng.integers(0, 256, (40, 40, 3))
        Image.fromarray(pixels).save(base / "images" / "001.a" / f"{number}.png")
        images += f"{number} 001.a/{number}.png\n"
        boxes += f"{number} 40 20 40 40\n"
        points += f"{number} 1 50 30 1\n{number} 2 70 50 1\n{number} 3 0 0 0\n"
    (base / "images.txt").write_text(images)
    (base / "bounding_boxes.txt").write_text(boxes)
    (base / "parts" / "parts.txt").write_text("1 beak\n2 tail\n3 crown\n")
    (base / "parts" / "part_locs.txt").write_text(points)
    return read_cub_parts(base)


@pytest.fixture(scope="module")
def checkpoint(avsl):
    return Checkpoint(avsl, WHOLE)


def spot(row, column, side=8, value=1.0):
    values = torch.zeros(side, side)
    values[row, column] = value
    return values


class TestMapping:
    def test_points_follow_scale_and_centre_crop(self):
        # The network sees 56 of 64 pixels of the short side: 70 of 80 rows, from row 5 and column 25.
        preprocess = Preprocess(size=56, resize=64)
        assert crop_points({"eye": (60, 40)}, 80, 120, preprocess) == {"eye": (28.0, 28.0)}
        assert crop_points({"corner": (25, 5)}, 80, 120, preprocess) == {"corner": (0.0, 0.0)}

    def test_points_outside_the_crop_are_left_out(self):
        assert crop_points({"tail": (5, 40), "wing": (110, 40)}, 80, 120, WHOLE) == {}

    def test_a_box_is_cut_at_the_edges_of_the_crop(self):
        assert crop_box((0, 20, 60, 60), 80, 120, WHOLE) == (0.0, 16.0, 32.0, 48.0)

    def test_a_box_outside_the_crop_is_none(self):
        assert crop_box((0, 0, 15, 80), 80, 120, WHOLE) is None


class TestOneMap:
    BOX = (16.0, 16.0, 48.0, 48.0)

    def test_a_maximum_in_the_box_is_a_hit(self):
        assert score_map(spot(3, 3), self.BOX, {}, 64).in_box
        assert not score_map(spot(0, 7), self.BOX, {}, 64).in_box

    def test_the_nearest_part_within_the_radius_is_named(self):
        points = {"beak": (24.5, 28.0), "eye": (29.0, 28.0), "tail": (5.0, 60.0)}
        score = score_map(spot(3, 3), self.BOX, points, 64)  # its peak is at 28, 28
        assert (score.near_part, score.part) == (True, "eye")
        far = score_map(spot(3, 3), self.BOX, {"tail": (5.0, 60.0)}, 64)
        assert (far.near_part, far.part) == (False, None)

    def test_the_radius_is_15_pixels_at_224(self):
        centre = spot(14, 14, side=28)  # its peak is at 116, 116
        assert score_map(centre, (0, 0, 224, 224), {"eye": (116.0, 102.0)}, 224).part == "eye"
        assert score_map(centre, (0, 0, 224, 224), {"eye": (116.0, 98.0)}, 224).part is None
        area = score_map(centre, (0, 0, 224, 224), {"eye": (116.0, 102.0)}, 224).parts_share
        assert area == pytest.approx(np.pi * 15**2 / 224**2, rel=0.02)

    def test_without_parts_only_the_box_is_scored(self):
        score = score_map(spot(3, 3), self.BOX, {}, 64)
        assert score.near_part is None
        assert score.parts_share is None

    def test_mass_and_area_are_shares_of_the_crop(self):
        even = score_map(torch.ones(8, 8), self.BOX, {}, 64)
        assert even.box_share == pytest.approx(0.25)
        assert even.mass_in_box == pytest.approx(0.25)
        two = score_map(spot(3, 3) + spot(0, 0, value=3.0), self.BOX, {}, 64)
        assert two.mass_in_box == pytest.approx(0.25, abs=0.03)  # enlarging smooths a little over the edge

    def test_the_other_sign_looks_at_what_pulls_together(self):
        values = spot(0, 0, value=5.0) + spot(3, 3, value=-1.0)
        assert not score_map(values, self.BOX, {}, 64).in_box
        assert score_map(values, self.BOX, {}, 64, sign=-1).in_box

    def test_a_map_without_the_sign_misses(self):
        score = score_map(-torch.ones(8, 8), self.BOX, {"eye": (32.0, 32.0)}, 64)
        assert (score.in_box, score.near_part, score.mass_in_box) == (False, False, 0.0)

    def test_a_sign_that_is_none_is_refused(self):
        with pytest.raises(ConfigError, match="sign is 0"):
            score_map(spot(3, 3), self.BOX, {}, 64, sign=0)


class TestManyPairs:
    def test_the_rates_of_a_real_model(self, checkpoint, parts):
        report = score_landmarks(checkpoint, parts, pairs=5, seed=3)
        assert (report.pairs, report.maps, report.maps_with_parts) == (5, 10, 10)
        assert report.box_share == pytest.approx(0.25)  # 32 x 32 of 64 x 64 pixels
        assert 0 < report.parts_share < report.box_share
        assert 0 <= report.near_part <= 1
        assert 0 < report.mass_in_box < 1
        assert sum(report.parts.values()) == pytest.approx(report.near_part)

    def test_the_seed_decides_the_pairs(self, checkpoint, parts):
        first = score_landmarks(checkpoint, parts, pairs=4, seed=1)
        assert first == score_landmarks(checkpoint, parts, pairs=4, seed=1)
        assert first != score_landmarks(checkpoint, parts, pairs=4, seed=2)

    def test_other_explanations_are_scored_alike(self, checkpoint, parts):
        ours = score_landmarks(checkpoint, parts, pairs=4, seed=1)
        theirs = score_landmarks(checkpoint, parts, pairs=4, seed=1, explainer=grad_cam)
        assert theirs.box_share == ours.box_share
        assert theirs.mass_in_box != ours.mass_in_box

    def test_pointing_at_parts_names_them(self, checkpoint, parts):
        # In the crop the beak is at 24, 24 and the tail at 40, 40.
        def knowing(model, images_a, images_b):
            assert images_a.shape == images_b.shape == (1, 3, 64, 64)
            return PairMaps(spot(12, 12, side=32), spot(19, 19, side=32))

        report = score_landmarks(checkpoint, parts, pairs=6, explainer=knowing)
        assert (report.in_box, report.near_part) == (1.0, 1.0)
        assert report.mass_in_box == pytest.approx(1.0)
        assert dict(report.parts) == {"beak": 0.5, "tail": 0.5}

    def test_maps_with_levels_are_scored_as_they_are_drawn(self, checkpoint, parts):
        def in_levels(model, images_a, images_b):
            beak = spot(12, 12, side=32)
            return PairMaps(spot(0, 0), spot(0, 0), levels={"level1": (beak, beak)})

        assert dict(score_landmarks(checkpoint, parts, pairs=2, explainer=in_levels).parts) == {"beak": 1.0}

    def test_a_bird_outside_every_crop_is_refused(self, checkpoint, parts):
        away = tuple(dataclasses.replace(picture, box=(0.0, 0.0, 15.0, 80.0)) for picture in parts.pictures)
        with pytest.raises(DataError, match="no bird lies inside"):
            score_landmarks(checkpoint, CubParts(parts.names, away), pairs=2)

    def test_one_picture_is_no_pair(self, checkpoint, parts):
        with pytest.raises(DataError, match="1 picture is no pair"):
            score_landmarks(checkpoint, CubParts(parts.names, parts.pictures[:1]), pairs=1)

    def test_no_pairs_are_refused(self, checkpoint, parts):
        with pytest.raises(ConfigError, match="0 pairs"):
            score_landmarks(checkpoint, parts, pairs=0)
