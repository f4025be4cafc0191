"""The shipped default model, on the shipped drawings and views of them."""

import itertools
import random
from pathlib import Path

import pytest

import avsl_core as avsl
from avsl_core.images import load_image

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "assets" / "examples").glob("*.webp"))


@pytest.fixture(scope="module")
def default():
    return avsl.load("default")


@pytest.fixture(scope="module")
def encoded(default):
    """Every drawing, and two crops of each: thirty pictures."""
    views = []
    for path in EXAMPLES:
        image = load_image(path)
        height, width = image.shape[:2]
        views += [image, image[: int(0.8 * height)].copy(), image[:, int(0.2 * width) :].copy()]
    return [avsl.encode_picture(default, view) for view in views]


def test_maps_add_up_to_the_distance_for_200_pairs(default, encoded):
    pairs = random.Random(0).sample(list(itertools.combinations(encoded, 2)), 200)
    for a, b in pairs:
        explanation = default.model.explain(a.encoding, b.encoding)
        cells = sum(float(c.map_a.sum() + c.map_b.sum()) for c in explanation.components)
        assert cells == pytest.approx(explanation.total, rel=1e-5)
        assert sum(c.value for c in explanation.components) == pytest.approx(explanation.total, rel=1e-12)
        assert float(default.model.distance(a.encoding, b.encoding)) == pytest.approx(
            explanation.total, rel=1e-4, abs=1e-6
        )


def test_a_picture_is_at_distance_zero_from_itself(default, encoded):
    for picture in encoded[::5]:
        assert avsl.compare_encoded(default, picture, picture).distance == pytest.approx(0.0, abs=1e-12)


def test_the_distance_is_symmetric(default, encoded):
    for a, b in itertools.pairwise(encoded[::3]):
        forth, back = avsl.compare_encoded(default, a, b), avsl.compare_encoded(default, b, a)
        assert forth.distance == pytest.approx(back.distance, rel=1e-6)
        assert forth.verdict.words == back.verdict.words


def test_a_crop_is_nearer_than_another_drawing(default, encoded):
    nearer = 0
    for index in range(0, len(encoded), 3):
        crop = avsl.compare_encoded(default, encoded[index], encoded[index + 1]).distance
        other = avsl.compare_encoded(default, encoded[index], encoded[(index + 15) % len(encoded)]).distance
        nearer += crop < other
    assert nearer >= 0.9 * (len(encoded) // 3)


def test_its_linkage_gates_and_pairs_were_learned(default):
    assert bool(default.model.linkage_initialized)
    assert all(float(beta.std()) > 0 for beta in default.model.betas)
    assert default.pairs is not None
    assert default.pairs.same_count > 100
    assert default.pairs.threshold().balanced_accuracy > 0.8


def test_it_is_small_and_carries_its_record(default):
    assert default.path is not None
    assert default.path.stat().st_size < 25_000_000
    assert default.path.with_suffix(".md").is_file()
    assert set(default.metrics["test"]) == {"birds", "grocery", "clothing"}
    assert default.record["recipe"]["backbone"] == "tf_efficientnet_lite0"
