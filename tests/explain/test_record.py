import json

import numpy as np
import pytest

from avsl_core.checkpoint import Checkpoint, fingerprint
from avsl_core.comparison import Comparison, EncodedPicture
from avsl_core.errors import DataError
from avsl_core.explain.record import ModelPapers, comparison_record, read_record, record_json
from avsl_core.explain.verdict import judge
from avsl_core.images import Preprocess

NAMES = ("jay.webp", 'an "owl" \u00e4.webp')


@pytest.fixture(params=["avsl", "embedding", "cgd", "raml", "adaptation"])
def checkpoint(request):
    return Checkpoint(request.getfixturevalue(request.param), Preprocess(size=64, resize=64))


@pytest.fixture
def comparison(checkpoint, pictures):
    sides = [
        EncodedPicture(np.zeros((64, 64, 3), np.uint8), checkpoint.model.encode(p[None]))
        for p in pictures[:2]
    ]
    explanation = checkpoint.model.explain(sides[0].encoding, sides[1].encoding)
    return Comparison(*sides, explanation, judge(explanation.total, None))


@pytest.fixture
def record(comparison, checkpoint):
    return comparison_record(comparison, names=NAMES, papers=ModelPapers.of(checkpoint))


def test_everything_comes_back_as_it_was(record):
    assert read_record(record_json(record)) == json.loads(json.dumps(record)) == record


def test_no_number_loses_a_digit(record, comparison):
    read, explanation = read_record(record_json(record)), comparison.explanation
    assert (read["distance"], read["residual"], read["exact"]) == (
        explanation.total,
        explanation.residual,
        explanation.exact,
    )
    for component, back in zip(explanation.components, read["components"], strict=True):
        assert (back["name"], back["value"]) == (component.name, component.value)
        assert np.array_equal(np.array(back["map_a"]), component.map_a.numpy())
        assert np.array_equal(np.array(back["map_b"]), component.map_b.numpy())


def test_the_maps_read_back_add_up_to_the_distance(record):
    read = read_record(record_json(record))
    maps = [np.sum(c["map_a"]) + np.sum(c["map_b"]) for c in read["components"]]
    assert maps == pytest.approx([c["value"] for c in read["components"]], abs=1e-9)
    assert sum(maps) + read["residual"] == pytest.approx(read["distance"], abs=1e-9)


def test_what_only_some_methods_have_is_there_where_they_have_it(record, comparison):
    explanation = comparison.explanation
    assert ("levels" in record) == bool(explanation.levels)
    assert ("flow" in record) == (explanation.flow is not None)
    assert ("before" in record) == (explanation.before is not None)
    assert ("likeness" in record) == (explanation.likeness is not None)
    for name, level in record.get("levels", {}).items():
        assert level["P"] == explanation.levels[name].gate.tolist()
        assert level["w"] == explanation.levels[name].weight.tolist()
        assert level["contribution"] == explanation.levels[name].contribution.tolist()
    if explanation.likeness is not None:
        assert record["likeness"]["matrix"] == explanation.likeness.matrix.tolist()


def test_the_model_can_be_told_from_any_other(record, checkpoint):
    assert record["model"]["fingerprint"] == fingerprint(checkpoint)
    assert record["model"]["method"] == checkpoint.model.method
    assert record["model"]["preprocess"]["size"] == 64
    assert record["versions"].keys() == {"avsl", "torch", "python"}


def test_equal_comparisons_give_equal_records(record, comparison, checkpoint):
    assert comparison_record(comparison, names=NAMES, papers=ModelPapers.of(checkpoint)) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r | {"schema": "other"}, "not a record"),
        (lambda r: r | {"version": 2}, "of version 2, this program reads 1"),
        (lambda r: r | {"distance": r["distance"] + 0.1}, "components and residual add up to"),
        (lambda r: {k: v for k, v in r.items() if k != "residual"}, "lacks 'residual'"),
        (lambda r: r | {"levels": {"none": {"contribution": [1.0]}}}, "lacks 'none'"),
        (lambda r: r | {"levels": [1]}, "damaged"),
        (lambda r: r | {"distance": 10**400}, "damaged"),
        (lambda r: r | {"beside": {**r, "distance": r["distance"] + 0.1}}, "components and residual"),
    ],
)
def test_a_foreign_or_damaged_record_is_refused(record, change, message):
    with pytest.raises(DataError, match=message):
        read_record(json.dumps(change(record)))


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_record_at_all_is_refused(text):
    with pytest.raises(DataError, match="not a record of a comparison"):
        read_record(text)


def test_a_cell_that_was_changed_is_noticed(record):
    changed = json.loads(record_json(record))
    changed["components"][0]["map_a"][0][0] += 0.5
    with pytest.raises(DataError, match=f"the maps of {changed['components'][0]['name']} add up"):
        read_record(json.dumps(changed))


def test_a_number_that_is_none_is_never_written(record):
    with pytest.raises(DataError, match="cannot be written as JSON"):
        record_json(record | {"distance": float("nan")})
