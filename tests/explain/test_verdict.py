import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.errors import DataError
from avsl_core.explain.verdict import PAIRS_NOTE, judge
from avsl_core.metrics import PairDistribution

SEPARATE = PairDistribution((0.2, 0.4), (1.0, 1.4), same_count=10, different_count=90)
OVERLAPPING = PairDistribution((0.0, 1.0), (0.5, 1.5), same_count=10, different_count=90)
ORDER = ["very alike", "alike", "in between", "different", "very different"]

distances = st.floats(0, 4)
quantiles = st.lists(st.floats(0, 4), min_size=2, max_size=20).map(lambda values: tuple(sorted(values)))


@pytest.mark.parametrize(
    ("distance", "grade"),
    [(0.1, "very alike"), (0.55, "alike"), (0.7, "in between"), (0.94, "different"), (1.2, "very different")],
)
def test_five_grades_follow_from_the_shares(distance, grade):
    assert judge(distance, OVERLAPPING).grade == grade


@pytest.mark.parametrize(("distance", "grade"), [(0.65, "alike"), (0.75, "different")])
def test_the_threshold_decides_in_a_gap_between_the_kinds(distance, grade):
    assert judge(distance, SEPARATE).grade == grade


@given(distances, distances, quantiles, quantiles)
def test_a_greater_distance_is_never_graded_more_alike(first, second, same, different):
    pairs = PairDistribution(same, different, same_count=5, different_count=5)
    near, far = sorted((first, second))
    assert ORDER.index(judge(near, pairs).grade) <= ORDER.index(judge(far, pairs).grade)


def test_sentence_states_both_shares():
    verdict = judge(0.55, OVERLAPPING)
    assert verdict.sentence == (
        "Closer together than 45 % of same-kind pairs; only 5 % of different-kind pairs are closer."
    )
    assert verdict.same_farther == pytest.approx(0.45)
    assert verdict.different_closer == pytest.approx(0.05)


def test_sentence_never_rounds_a_few_pairs_to_none_or_all():
    assert "less than 1 % of different-kind" in judge(0.504, OVERLAPPING).sentence
    assert "more than 99 % of same-kind" in judge(0.001, OVERLAPPING).sentence


def test_sentence_beyond_all_measured_pairs_says_every():
    assert judge(2.0, OVERLAPPING).sentence == (
        "Farther apart than every same-kind pair measured; every different-kind pair measured is closer."
    )
    assert judge(0.1, SEPARATE).sentence == (
        "Closer together than every same-kind pair measured; no different-kind pair is closer."
    )


def test_zero_distance_is_called_identical():
    assert judge(0.0, OVERLAPPING).words == "Identical to the model"
    assert judge(0.0, None).words == "Identical to the model"


def test_only_a_sentence_about_pairs_says_which_pairs_are_meant():
    assert judge(0.55, OVERLAPPING).basis == PAIRS_NOTE
    assert [judge(0.0, OVERLAPPING).basis, judge(0.4, None).basis] == ["", ""]


def test_without_pairs_no_grade_is_claimed():
    verdict = judge(0.4, None)
    assert verdict.grade == "unknown"
    assert verdict.same_farther is None
    assert "No pairs of pictures that this model was tested with" in verdict.sentence


def test_a_distance_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="NaN"):
        judge(float("nan"), OVERLAPPING)
