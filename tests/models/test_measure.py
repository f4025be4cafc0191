"""What search knows of a model is enough to give the model's own distances, part by part."""

import pytest
import torch

from avsl_core.errors import EncodingError
from avsl_core.models import Rows


@pytest.fixture(params=["avsl", "embedding", "cgd", "adaptation", "raml", "raml_student"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def encoding(model, pictures):
    return model.encode(pictures)


def test_rows_give_the_models_distance(model, encoding):
    asked, found, measure = model.rows(encoding, "query"), model.rows(encoding, "gallery"), model.measure()
    torch.testing.assert_close(
        measure.distances(asked[0:1], found), model.distance(encoding[0], encoding), atol=1e-6, rtol=1e-5
    )


def test_parts_are_the_components_of_the_explanation_or_their_sum(model, encoding):
    explanation = model.explain(encoding[0], encoding[1])
    asked, found, measure = model.rows(encoding, "query"), model.rows(encoding, "gallery"), model.measure()
    names = tuple(component.name for component in explanation.components)
    values = torch.tensor([component.value for component in explanation.components])
    if measure.parts != names:
        # Search sees the distance as a whole where parts may be negative, or leave something unexplained.
        assert len(measure.parts) == 1
        values = values.sum(dim=0, keepdim=True) + explanation.residual
    torch.testing.assert_close(
        measure.part_distances(asked[0:1], found[1:2])[0], values, atol=1e-6, rtol=1e-4
    )


def test_each_part_is_at_least_its_bound(model, encoding):
    rows, measure = model.rows(encoding), model.measure()
    low, high = rows.gates.amin(dim=0), rows.gates.amax(dim=0)
    weights = measure.bound_weights(rows[:2], low, high)
    assert weights.shape == (2, measure.dimensions) and (weights >= 0).all()
    for query in range(2):
        squared = weights[query] * (rows.vectors[query] - rows.vectors).square()
        bound = torch.stack([s.sum(dim=1) for s in squared.split(list(measure.widths), dim=1)], dim=1)
        assert (bound <= measure.part_distances(rows[query : query + 1], rows) + 1e-6).all()


def test_the_bound_of_a_single_picture_is_its_distance(model, encoding):
    rows, measure = model.rows(encoding), model.measure()
    weights = measure.bound_weights(rows[:1], rows.gates[1], rows.gates[1])[0]
    bound = (weights * (rows.vectors[0] - rows.vectors[1]).square()).sum()
    torch.testing.assert_close(bound, measure.distances(rows[:1], rows[1:2])[0], atol=1e-6, rtol=1e-5)


def test_it_can_be_taken_in_double_precision(model, encoding):
    rows, measure = model.rows(encoding).to(torch.float64), model.measure().to(torch.float64)
    assert measure.distances(rows[:1], rows[1:2]).dtype == torch.float64


def test_rows_of_another_shape_are_refused(model):
    measure = model.measure()
    with pytest.raises(EncodingError, match="encode with one model"):
        measure.check(Rows(torch.zeros(1, measure.dimensions + 1), torch.zeros(1, measure.gates)))


def test_it_does_not_change_when_the_model_learns_on(new_avsl, pictures):
    model = new_avsl(3)
    rows, measure = model.rows(model.encode(pictures)), model.measure()
    before = measure.distances(rows[:1], rows)
    with torch.no_grad():
        for alpha in model.alphas:
            alpha.add_(1.0)
        model.update_linkage([torch.rand_like(link) for link in model.linkages])
    torch.testing.assert_close(measure.distances(rows[:1], rows), before)


def test_typical_weights_are_those_of_two_pictures_with_the_same_gates(model, encoding):
    rows, measure = model.rows(encoding), model.measure()
    twins = Rows(rows.vectors[:2], rows.gates[:1].expand(2, -1))
    squared = (twins.vectors[0] - twins.vectors[1]).square()
    distance = (measure.typical_weights(rows.gates[0]) * squared).sum()
    torch.testing.assert_close(distance, measure.distances(twins[:1], twins[1:])[0], atol=1e-6, rtol=1e-5)
