"""RetrievalMetrics: a value with plain names."""

import dataclasses
import json

import pytest

from avsl_core.errors import DataError
from avsl_core.metrics import RetrievalMetrics

METRICS = RetrievalMetrics({1: 0.5, 10: 0.9}, 0.5, 0.4, 0.3, 0.6, None, queries=8, queries_without_positive=2)


def test_names_are_the_usual_ones_and_fit_json():
    assert json.loads(json.dumps(METRICS.to_dict())) == {
        "recall@1": 0.5,
        "recall@10": 0.9,
        "precision@1": 0.5,
        "r_precision": 0.4,
        "map@r": 0.3,
        "map": 0.6,
        "nmi": None,
        "queries": 8,
        "queries_without_positive": 2,
    }


def test_nmi_is_filled_in_on_a_copy():
    assert METRICS.with_nmi(0.7).to_dict()["nmi"] == 0.7
    assert METRICS.nmi is None


def test_metrics_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        METRICS.map_at_r = 1.0


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_metric_outside_zero_to_one_is_refused(value):
    with pytest.raises(DataError, match="nmi is"):
        METRICS.with_nmi(value)
