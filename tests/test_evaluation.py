import dataclasses

import pytest
import torch

from avsl_core import evaluation
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError, DataError, EncodingError
from avsl_core.evaluation import distance_rows, evaluate_encoding, evaluate_queries, measure_pairs_of
from avsl_core.images import Preprocess

LABELS = [0, 0, 1, 1, 2, 2]


@pytest.fixture
def encoding(avsl, pictures):
    with torch.inference_mode():
        return avsl.encode(pictures, keep_maps=False)


def test_rows_are_the_whole_matrix(avsl, encoding, monkeypatch):
    monkeypatch.setattr(evaluation, "_ROW_BYTES", 4 * len(encoding) * 2)
    rows = list(distance_rows(avsl, encoding, encoding))
    assert [start for start, _ in rows] == [0, 2, 4]
    torch.testing.assert_close(torch.cat([r for _, r in rows]), avsl.distance_matrix(encoding, encoding))


def test_neighbours_give_the_metrics_of_whole_rankings(avsl, encoding):
    found = evaluate_encoding(avsl, encoding, LABELS)
    ranked = evaluate_encoding(avsl, encoding, LABELS, full_ranking=True)
    assert_alike(found.metrics, ranked.metrics)
    assert found.pairs == ranked.pairs


@pytest.mark.parametrize("sizes", [(2, 3, 1, 7), (40, 2, 2), (1, 1, 5)])
def test_classes_of_any_size_are_scored_alike(avsl, sizes, monkeypatch):
    monkeypatch.setattr(evaluation, "_QUERIES", 4)
    generator = torch.Generator().manual_seed(len(sizes))
    images = torch.randn(sum(sizes), 3, 32, 32, generator=generator)
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    with torch.inference_mode():
        encoding = avsl.encode(images, keep_maps=False)
    options = {"ks": (1, 3, 100), "with_pairs": False}
    found = evaluate_encoding(avsl, encoding, labels, **options)
    ranked = evaluate_encoding(avsl, encoding, labels, full_ranking=True, **options)
    assert_alike(found.metrics, ranked.metrics)
    assert found.pairs is None


def test_queries_against_another_set_are_scored_alike(avsl, encoding):
    sides = (encoding[:3], LABELS[:3], encoding[2:], LABELS[2:])
    found = evaluate_queries(avsl, *sides)
    ranked = evaluate_queries(avsl, *sides, full_ranking=True)
    assert_alike(found, ranked)


def assert_alike(found, ranked):
    """All but the figure that needs whole rankings, up to the order of summation."""
    assert ranked.mean_average_precision is not None
    expected = dataclasses.replace(ranked, mean_average_precision=None).to_dict()
    assert found.to_dict() == pytest.approx(expected, abs=1e-12)


def test_a_rank_below_one_is_refused(avsl, encoding):
    with pytest.raises(ConfigError, match="from 1 up"):
        evaluate_encoding(avsl, encoding, LABELS, ks=(0, 1))


@pytest.mark.parametrize("count", [5, 7])
def test_labels_must_be_as_many_as_pictures(avsl, encoding, count):
    labels = [0, 0, 1, 1, 2, 2, 2][:count]
    with pytest.raises(DataError, match=f"{count} labels for 6 pictures"):
        evaluate_encoding(avsl, encoding, labels)
    with pytest.raises(DataError, match=f"{count} labels for 6 pictures"):
        evaluate_queries(avsl, encoding, labels, encoding, LABELS)


def test_encodings_that_are_not_numbers_are_refused(avsl, encoding):
    broken = avsl.encode(torch.randn(6, 3, 32, 32), keep_maps=False)
    broken.nodes[0][2, 0] = torch.nan
    with pytest.raises(EncodingError, match="not finite"):
        evaluate_queries(avsl, encoding, LABELS, broken, LABELS)


def test_pairs_are_measured_as_the_model_does(avsl, encoding):
    measured = measure_pairs_of(avsl.measure(), avsl.rows(encoding))(
        torch.tensor([0, 1]), torch.tensor([2, 5])
    )
    torch.testing.assert_close(measured, avsl.distance(encoding[:2], encoding[[2, 5]]), atol=1e-6, rtol=1e-5)


def test_nmi_comes_when_asked_for(avsl, encoding):
    assert evaluate_encoding(avsl, encoding, LABELS).metrics.nmi is None
    assert 0 <= evaluate_encoding(avsl, encoding, LABELS, with_nmi=True).metrics.nmi <= 1


def test_no_pictures_is_an_error(avsl):
    with pytest.raises(DataError, match="no pictures"):
        encode_pictures(avsl, Preprocess(), [])
