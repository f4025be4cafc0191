"""PairDistribution: shares between quantiles, ties, the line between the kinds, and saving."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.errors import DataError
from avsl_core.metrics import PairDistribution


def distribution(same, different):
    return PairDistribution(tuple(same), tuple(different), same_count=10, different_count=100)


quantiles = st.lists(st.integers(0, 12).map(float), min_size=2, max_size=12).map(sorted)


class TestShares:
    @pytest.mark.parametrize(
        ("distance", "share"), [(-1, 1.0), (0, 1.0), (0.5, 0.75), (1, 0.5), (2.5, 0.125), (3, 0.0), (9, 0.0)]
    )
    def test_same_kind_pairs_farther_apart(self, distance, share):
        # Quantiles at 0, 50 and 100 %.
        assert distribution((0.0, 1.0, 3.0), (5.0, 6.0)).share_same_farther(distance) == pytest.approx(share)

    @pytest.mark.parametrize(
        ("distance", "share"), [(0, 0.0), (2, 0.0), (3, 0.5), (3.5, 0.75), (4, 1.0), (9, 1.0)]
    )
    def test_different_kind_pairs_closer(self, distance, share):
        assert distribution((0.0, 1.0), (2.0, 3.0, 4.0)).share_different_closer(distance) == pytest.approx(
            share
        )

    def test_pairs_exactly_as_far_apart_are_neither_farther_nor_closer(self):
        pairs = distribution((1.0, 1.0, 1.0, 2.0, 3.0), (1.0, 2.0, 2.0, 2.0, 3.0))
        assert pairs.share_same_farther(1.0) == pytest.approx(0.5)
        assert pairs.share_different_closer(2.0) == pytest.approx(0.25)

    @settings(max_examples=200)
    @given(same=quantiles, different=quantiles, a=st.floats(-1, 14), b=st.floats(-1, 14))
    def test_shares_lie_between_zero_and_one_and_are_monotone(self, same, different, a, b):
        pairs = distribution(same, different)
        near, far = min(a, b), max(a, b)
        assert 1 >= pairs.share_same_farther(near) >= pairs.share_same_farther(far) >= 0
        assert 0 <= pairs.share_different_closer(near) <= pairs.share_different_closer(far) <= 1

    def test_shares_come_back_as_they_were_measured(self):
        values = np.random.default_rng(0).gamma(3.0, size=20_000)
        points = np.quantile(values, np.linspace(0, 1, 101)).tolist()
        pairs = distribution(points, points)
        for distance in (0.5, 1.0, 3.0, 8.0):
            assert pairs.share_same_farther(distance) == pytest.approx(np.mean(values > distance), abs=0.005)
            assert pairs.share_different_closer(distance) == pytest.approx(
                np.mean(values < distance), abs=0.005
            )

    def test_nan_is_refused(self):
        pairs = distribution((0.0, 1.0), (2.0, 3.0))
        with pytest.raises(DataError, match="NaN"):
            pairs.share_same_farther(float("nan"))
        with pytest.raises(DataError, match="NaN"):
            pairs.share_different_closer(float("nan"))


class TestThreshold:
    def test_kinds_that_do_not_overlap_are_parted_in_the_middle_of_the_gap(self):
        threshold = distribution((0.0, 1.0), (2.0, 5.0)).threshold()
        assert (threshold.distance, threshold.balanced_accuracy) == (1.5, 1.0)

    def test_overlapping_kinds_by_hand(self):
        # Same kind evenly over 0..2, different evenly over 1..5. At t in [1, 2]: t/2 right of the one,
        # 1 - (t - 1)/4 of the other; the sum rises up to t = 2, where it is 1 + 3/4.
        threshold = distribution((0.0, 1.0, 2.0), (1.0, 2.0, 3.0, 4.0, 5.0)).threshold()
        assert threshold.distance == pytest.approx(2.0)
        assert threshold.balanced_accuracy == pytest.approx(0.875)

    def test_many_equal_distances_of_different_kinds_are_kept_on_their_side(self):
        # Same kind evenly over 0..2, all different pairs exactly at 1: the best line lies just below 1.
        pairs = distribution((0.0, 1.0, 2.0), (1.0, 1.0))
        threshold = pairs.threshold()
        assert threshold.distance < 1.0
        assert threshold.distance == pytest.approx(1.0)
        assert threshold.balanced_accuracy == pytest.approx(0.75)

    def test_kinds_that_are_alike_cannot_be_told_apart(self):
        assert distribution((0.0, 1.0, 2.0), (0.0, 1.0, 2.0)).threshold().balanced_accuracy == pytest.approx(
            0.5
        )

    def test_equal_distances_everywhere(self):
        threshold = distribution((1.0, 1.0), (1.0, 1.0)).threshold()
        assert (threshold.distance, threshold.balanced_accuracy) == (1.0, 0.5)

    def test_counts_of_pairs_do_not_weigh(self):
        few = PairDistribution((0.0, 2.0), (1.0, 4.0), same_count=1, different_count=1)
        many = PairDistribution((0.0, 2.0), (1.0, 4.0), same_count=1, different_count=10**9)
        assert few.threshold() == many.threshold()

    @settings(max_examples=200)
    @given(same=quantiles, different=quantiles)
    def test_no_other_distance_does_better(self, same, different):
        pairs = distribution(same, different)
        threshold = pairs.threshold()
        for distance in np.linspace(-0.5, 12.5, 131):
            called_same = 1 - pairs.share_same_farther(distance)
            called_different = distribution(different, same).share_same_farther(distance)
            assert (called_same + called_different) / 2 <= threshold.balanced_accuracy + 1e-9
        right_same = 1 - pairs.share_same_farther(threshold.distance)
        right_different = distribution(different, same).share_same_farther(threshold.distance)
        assert threshold.balanced_accuracy == pytest.approx((right_same + right_different) / 2)


class TestSaving:
    def test_a_distribution_survives_json(self):
        pairs = distribution((0.1, 1 / 3, 2.0), (0.2, 1e-30 + 1, 7.0))
        assert PairDistribution.from_dict(json.loads(json.dumps(pairs.to_dict()))) == pairs

    @pytest.mark.parametrize("key", ["same", "different", "same_count", "different_count"])
    def test_a_missing_key_is_named(self, key):
        values = distribution((0.0, 1.0), (2.0, 3.0)).to_dict()
        del values[key]
        with pytest.raises(DataError, match=f"'{key}' is missing"):
            PairDistribution.from_dict(values)

    def test_an_unknown_key_is_named(self):
        values = distribution((0.0, 1.0), (2.0, 3.0)).to_dict()
        with pytest.raises(DataError, match="'median'"):
            PairDistribution.from_dict({**values, "median": 1.0})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("same", "12"),
            ("same", None),
            ("same", [0.0, "far"]),
            ("different", [[0.0], [1.0]]),
            ("same_count", None),
            ("same_count", float("inf")),
        ],
    )
    def test_values_that_are_not_numbers(self, key, value):
        values = distribution((0.0, 1.0), (2.0, 3.0)).to_dict()
        with pytest.raises(DataError, match="not numbers"):
            PairDistribution.from_dict({**values, key: value})


class TestExceptions:
    @pytest.mark.parametrize(
        ("same", "message"),
        [
            ((), "0 quantiles"),
            ((1.0,), "1 quantiles"),
            ((2.0, 1.0), "rising"),
            ((0.0, float("inf")), "not finite"),
            ((0.0, float("nan")), "not finite"),
        ],
    )
    def test_quantiles_that_are_none(self, same, message):
        with pytest.raises(DataError, match=message):
            distribution(same, (0.0, 1.0))

    def test_no_pairs(self):
        with pytest.raises(DataError, match="different_count is 0"):
            PairDistribution((0.0, 1.0), (0.0, 1.0), same_count=1, different_count=0)
