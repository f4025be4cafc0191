import pytest
import torch

from avsl_core import evaluation
from avsl_core.encoding import encode_pictures
from avsl_core.errors import DataError
from avsl_core.evaluation import distance_rows, evaluate_encoding
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


def test_a_set_too_large_to_hold_gives_the_same_metrics(avsl, encoding, monkeypatch):
    whole = evaluate_encoding(avsl, encoding, LABELS)
    monkeypatch.setattr(evaluation, "_HELD", 5)
    passing = evaluate_encoding(avsl, encoding, LABELS)
    assert passing.metrics == whole.metrics
    assert passing.pairs.same_count <= whole.pairs.same_count


def test_nmi_comes_when_asked_for(avsl, encoding):
    assert evaluate_encoding(avsl, encoding, LABELS).metrics.nmi is None
    assert 0 <= evaluate_encoding(avsl, encoding, LABELS, with_nmi=True).metrics.nmi <= 1


def test_no_pictures_is_an_error(avsl):
    with pytest.raises(DataError, match="no pictures"):
        encode_pictures(avsl, Preprocess(), [])
