"""The shipped aviary model, on the shipped gallery and on birds drawn here: species it never saw."""

from pathlib import Path

import pytest

import avsl_core as avsl
from avsl_core.data import read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_encoding
from avsl_core.faithfulness import measure_faithfulness

PICTURES = Path(__file__).resolve().parent.parent / "assets" / "gallery" / "pictures"


@pytest.fixture(scope="module")
def aviary():
    return avsl.load("aviary")


def test_finds_unseen_species_in_the_gallery(aviary):
    gallery = read_folder(PICTURES)
    some = gallery.subset([i for i, path in enumerate(gallery.paths) if int(path.stem) % 2 == 0])
    assert len(some) == 180
    encoding = encode_pictures(aviary.model, aviary.preprocess, some.paths)
    metrics = evaluate_encoding(aviary.model, encoding, some.labels).metrics.to_dict()
    assert metrics["recall@1"] > 0.7


def test_its_ledger_points_at_the_changed_part(aviary):
    report = measure_faithfulness(
        aviary, pairs=18, seed=5, methods=["ledger", "random"], perturbation_pairs=1
    )
    assert report["ledger"]["pointing_15px"] >= 0.9
    assert report["ledger"]["pointing"] > 0.6
    assert report["ledger"]["mass"] > 5 * report["random"]["mass"]
    assert report["ledger"]["completeness"]["worst"] < 1e-9


def test_it_is_small_and_carries_its_record(aviary):
    assert aviary.path is not None
    assert aviary.path.stat().st_size < 6_000_000
    assert aviary.path.with_suffix(".md").is_file()
    assert aviary.metrics["test"]["recall@1"] > 0.8
    assert "drawn by this project" in aviary.record["data"]["aviary"]
