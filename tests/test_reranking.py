"""Re-ranking by structure: one evaluation for many K, each what re-ranking alone would give."""

import csv

import pytest
import torch
from torch.testing import assert_close

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, DataError, EncodingError
from avsl_core.evaluation import evaluate_encoding
from avsl_core.models import DimlModel
from avsl_core.reranking import evaluate_reranked, structural_distances, write_table

LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]


@pytest.fixture(scope="module")
def model(new_embedding):
    return DimlModel.over(new_embedding(levels=(4,)), grid=2)


@pytest.fixture(scope="module")
def encoding(model):
    generator = torch.Generator().manual_seed(4)
    classes = torch.randn(3, 3, 64, 64, generator=generator)
    noise = torch.randn(len(LABELS), 3, 64, 64, generator=generator)
    return model.encode(classes[torch.tensor(LABELS)] + 1.5 * noise)


def test_no_reranking_is_the_bases_ranking(model, encoding):
    (plain,) = evaluate_reranked(model, encoding, LABELS, top_k=[0])
    assert plain.metrics == evaluate_encoding(model.base, encoding.base, LABELS, with_pairs=False).metrics


def test_reranking_everything_is_the_ranking_of_diml(model, encoding):
    (whole,) = evaluate_reranked(model, encoding, LABELS, top_k=[1000])
    assert whole.metrics == evaluate_encoding(model, encoding, LABELS, with_pairs=False).metrics


def test_each_k_of_a_sweep_is_as_if_alone(model, encoding):
    sweep = evaluate_reranked(model, encoding, LABELS, top_k=[0, 2, 4, 9])
    assert [row.top_k for row in sweep] == [0, 2, 4, 9]
    for row in sweep:
        (alone,) = evaluate_reranked(model, encoding, LABELS, top_k=[row.top_k])
        assert alone == row


def test_the_set_within_the_first_k_does_not_change(model, encoding):
    plain, four = evaluate_reranked(model, encoding, LABELS, top_k=[0, 4], ks=(1, 4))
    assert plain.metrics.recall[4] == four.metrics.recall[4]


@pytest.mark.parametrize(("queries", "width"), [(10, 1), (7, 3), (3, 128), (2, 129), (1, 300)])
def test_each_candidate_is_matched_with_its_own_query(model, encoding, queries, width):
    asked = torch.arange(queries).flip(0)
    candidates = torch.randint(len(encoding), (queries, width), generator=torch.Generator().manual_seed(1))
    found = structural_distances(model, encoding, asked, candidates)
    for query, others, row in zip(asked, candidates, found, strict=True):
        alike = AF.structural_similarity(
            encoding.cells[query], encoding.whole[query], encoding.cells[others], encoding.whole[others]
        )
        assert_close(row, 1.0 - alike, atol=1e-5, rtol=0)


def test_the_table_has_a_line_per_k(model, encoding, tmp_path):
    rows = evaluate_reranked(model, encoding, LABELS, top_k=[0, 5])
    write_table(rows, tmp_path / "sweep.csv")
    lines = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [line["top_k"] for line in lines] == ["0", "5"]
    assert float(lines[1]["recall@1"]) == rows[1].metrics.recall[1]


@pytest.mark.parametrize("top_k", [[], [-1], [3, -5]])
def test_impossible_numbers_are_refused(model, encoding, top_k):
    with pytest.raises(ConfigError, match="top_k"):
        evaluate_reranked(model, encoding, LABELS, top_k=top_k)


def test_pictures_without_a_like_are_refused(model, encoding):
    with pytest.raises(DataError):
        evaluate_reranked(model, encoding, list(range(len(LABELS))), top_k=[5])


@pytest.mark.parametrize("labels", [LABELS[:-1], [*LABELS, 0]])
def test_labels_that_are_not_one_each_are_refused(model, encoding, labels):
    with pytest.raises(DataError, match=f"{len(labels)} labels for 10 pictures"):
        evaluate_reranked(model, encoding, labels, top_k=[5])


def test_an_encoding_of_another_model_or_grid_is_refused(model, encoding):
    with pytest.raises(EncodingError, match="encode with this model"):
        evaluate_reranked(model, encoding.base, LABELS, top_k=[5])
    with pytest.raises(EncodingError, match="encode with this model"):
        evaluate_reranked(DimlModel.over(model.base, grid=1), encoding, LABELS, top_k=[5])


def test_a_recall_at_nothing_is_refused(model, encoding):
    with pytest.raises(ConfigError):
        evaluate_reranked(model, encoding, LABELS, top_k=[5], ks=(0,))


def test_a_table_that_cannot_be_written_says_so(model, encoding, tmp_path):
    rows = evaluate_reranked(model, encoding, LABELS, top_k=[0])
    with pytest.raises(ConfigError, match="cannot be written"):
        write_table(rows, tmp_path)
