"""Metrics from neighbours alone equal those from whole rankings, and refuse too few."""

import dataclasses

import pytest
import torch

from avsl_core.errors import DataError
from avsl_core.metrics import count_positives, evaluate_retrieval, mean_scores, score_neighbours


@pytest.mark.parametrize("seed", range(4))
def test_they_equal_those_of_the_whole_ranking(seed):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 9, (60,), generator=g)
    distances = torch.rand(60, 60, generator=g)
    ranked = evaluate_retrieval(distances, labels, labels, same_set=True, ks=(1, 4))
    order = distances.fill_diagonal_(torch.inf).argsort(dim=1)
    positives = count_positives(labels, labels, same_set=True)
    k = max(4, int(positives.max()))
    metrics = mean_scores(score_neighbours(order[:, :k], labels, labels, positives), (1, 4))
    expected = dataclasses.replace(ranked, mean_average_precision=None).to_dict()
    assert metrics.to_dict() == pytest.approx(expected, abs=1e-12)


def test_positives_of_labels_that_the_gallery_lacks_are_none():
    assert count_positives([5, 0, 9], [0, 0, 5, 5, 5], same_set=False).tolist() == [3, 2, 0]


def test_places_without_a_neighbour_are_no_hits():
    labels = torch.tensor([0, 0])
    scores = score_neighbours(torch.tensor([[-1, -1]]), labels[:1], labels, torch.tensor([1]))
    assert scores.first_hit.tolist() == [3]
    assert scores.map_at_r.tolist() == [0.0]


def test_too_few_neighbours_are_refused():
    labels = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(DataError, match="1 neighbours a query, but a class has 4 more"):
        score_neighbours(torch.tensor([[1]]), labels[:1], labels, torch.tensor([4]))
