"""evaluate_retrieval against the definitions in plain loops, and against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from avsl_core.errors import DataError
from avsl_core.metrics import evaluate_retrieval

KS = (1, 2, 4, 8)


def by_definition(distances, query_labels, gallery_labels, same_set):
    """Every metric from its definition; None when no query has a positive."""
    hits = {k: [] for k in KS}
    r_precisions, maps_at_r, average_precisions = [], [], []
    for i, label in enumerate(query_labels):
        gallery = [j for j in range(len(gallery_labels)) if not (same_set and j == i)]
        ranking = sorted(gallery, key=lambda j: (distances[i][j], j))
        relevant = [gallery_labels[j] == label for j in ranking]
        r = sum(relevant)
        if r == 0:
            continue
        precision_at = [sum(relevant[: n + 1]) / (n + 1) for n in range(len(relevant))]
        for k in KS:
            hits[k].append(any(relevant[:k]))
        r_precisions.append(sum(relevant[:r]) / r)
        maps_at_r.append(sum(precision_at[n] for n in range(r) if relevant[n]) / r)
        average_precisions.append(sum(precision_at[n] for n in range(len(relevant)) if relevant[n]) / r)
    if not r_precisions:
        return None
    return {
        **{f"recall@{k}": np.mean(hits[k]) for k in KS},
        "precision@1": np.mean(hits[1]),
        "r_precision": np.mean(r_precisions),
        "map@r": np.mean(maps_at_r),
        "map": np.mean(average_precisions),
        "nmi": None,
        "queries": len(query_labels),
        "queries_without_positive": len(query_labels) - len(r_precisions),
    }


@st.composite
def cases(draw):
    """Matrices of few distinct distances, so that ties abound, and classes of which some have one picture."""
    same_set = draw(st.booleans())
    queries = draw(st.integers(1, 9))
    gallery = queries if same_set else draw(st.integers(1, 12))
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0, float("inf")])
    distances = draw(
        st.lists(st.lists(values, min_size=gallery, max_size=gallery), min_size=queries, max_size=queries)
    )
    label = st.integers(-1, 4)
    query_labels = draw(st.lists(label, min_size=queries, max_size=queries))
    gallery_labels = query_labels if same_set else draw(st.lists(label, min_size=gallery, max_size=gallery))
    return distances, query_labels, gallery_labels, same_set


@settings(max_examples=300, deadline=None)
@given(case=cases(), block=st.integers(1, 4))
def test_metrics_equal_their_definitions(case, block):
    distances, query_labels, gallery_labels, same_set = case
    expected = by_definition(*case)
    matrix = torch.tensor(distances, dtype=torch.float64)
    blocks = [(start, matrix[start : start + block]) for start in range(0, len(matrix), block)]
    if expected is None:
        with pytest.raises(DataError, match="no query"):
            evaluate_retrieval(blocks, query_labels, gallery_labels, same_set=same_set)
        return
    metrics = evaluate_retrieval(blocks, query_labels, gallery_labels, same_set=same_set, ks=KS)
    assert metrics.to_dict() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_recall_grows_with_k_and_map_at_r_never_exceeds_r_precision(case):
    distances, query_labels, gallery_labels, same_set = case
    assume(by_definition(*case) is not None)
    metrics = evaluate_retrieval(
        torch.tensor(distances), query_labels, gallery_labels, same_set=same_set, ks=KS
    )
    recalls = [metrics.recall[k] for k in KS]
    assert recalls == sorted(recalls)
    assert metrics.map_at_r <= metrics.r_precision + 1e-12
    assert metrics.precision_at_1 == metrics.recall[1]


@pytest.mark.parametrize("same_set", [True, False])
def test_map_equals_scikit_learn_where_no_distances_are_equal(same_set):
    generator = np.random.default_rng(5)
    query_labels = generator.integers(0, 6, 40)
    gallery_labels = query_labels if same_set else generator.integers(0, 6, 70)
    # A permutation: no two distances of a row are equal.
    distances = np.stack([generator.permutation(len(gallery_labels)) for _ in query_labels]).astype(float)
    scores = []
    for i, label in enumerate(query_labels):
        others = np.arange(len(gallery_labels)) != i if same_set else slice(None)
        scores.append(average_precision_score(gallery_labels[others] == label, -distances[i][others]))
    metrics = evaluate_retrieval(
        torch.from_numpy(distances),
        torch.from_numpy(query_labels),
        torch.from_numpy(gallery_labels),
        same_set=same_set,
    )
    assert metrics.mean_average_precision == pytest.approx(np.mean(scores), abs=1e-12)
