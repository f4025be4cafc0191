"""pair_distances: every pair once, of the right kind, and samples that do not depend on the blocks."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics import pair_distances

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def on_a_line(positions):
    points = torch.tensor(positions, dtype=torch.float64)
    return (points[:, None] - points[None, :]).abs()


def random_set(count=60, classes=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    return torch.rand(count, count, generator=generator, dtype=torch.float64), labels


def by_definition(distances, labels, quantiles):
    same, different = [], []
    for i, j in combinations(range(len(labels)), 2):
        (same if labels[i] == labels[j] else different).append(float(distances[i, j]))
    points = np.linspace(0, 1, quantiles)
    return np.quantile(same, points), np.quantile(different, points), len(same), len(different)


class TestValues:
    def test_a_set_of_four_by_hand(self):
        pairs = pair_distances(on_a_line([0, 1, 3, 6]), [0, 0, 1, 1], quantiles=3)
        assert pairs.same == (1.0, 2.0, 3.0)  # 0-1 and 3-6
        assert pairs.different == (2.0, 4.0, 6.0)  # 3, 6, 2, 5
        assert (pairs.same_count, pairs.different_count) == (2, 4)

    @settings(max_examples=100, deadline=None)
    @given(
        labels=st.lists(st.integers(0, 3), min_size=3, max_size=14).filter(
            lambda labels: 1 < len(set(labels)) < len(labels)
        ),
        seed=st.integers(0, 1000),
        block=st.integers(1, 5),
    )
    def test_quantiles_and_counts_equal_their_definition(self, labels, seed, block):
        generator = torch.Generator().manual_seed(seed)
        # Not symmetric on purpose: the entry in row i and column j > i is the one that counts.
        distances = torch.rand(len(labels), len(labels), generator=generator, dtype=torch.float64)
        blocks = [(start, distances[start : start + block]) for start in range(0, len(labels), block)]
        pairs = pair_distances(blocks, labels, quantiles=11)
        same, different, same_count, different_count = by_definition(distances, labels, 11)
        assert pairs.same == pytest.approx(same, abs=1e-12)
        assert pairs.different == pytest.approx(different, abs=1e-12)
        assert (pairs.same_count, pairs.different_count) == (same_count, different_count)

    def test_a_hundred_and_one_quantiles_unless_told(self):
        pairs = pair_distances(*random_set())
        assert len(pairs.same) == len(pairs.different) == 101

    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_every_floating_type_and_device_is_taken(self, dtype, device):
        pairs = pair_distances(on_a_line([0, 1, 3, 6]).to(device, dtype), [0, 0, 1, 1], quantiles=3)
        assert pairs.same == (1.0, 2.0, 3.0)


class TestSampling:
    def test_a_sample_draws_no_pair_twice(self):
        # Every pair has a distance of its own, so that a repeated pair would show as a repeated value.
        count = 40
        distances = torch.arange(count * count, dtype=torch.float64).view(count, count)
        labels = torch.arange(count) % 4
        pairs = pair_distances(distances, labels, quantiles=100, max_pairs=100)
        assert len(set(pairs.same)) == 100
        assert len(set(pairs.different)) == 100

    def test_a_sample_holds_pairs_of_its_own_kind_only(self):
        _, labels = random_set()
        distances = (labels[:, None] != labels[None, :]).double()
        pairs = pair_distances(distances, labels, max_pairs=50)
        assert set(pairs.same) == {0.0}
        assert set(pairs.different) == {1.0}

    def test_counts_are_those_of_the_set_not_of_the_sample(self):
        distances, labels = random_set()
        full = pair_distances(distances, labels)
        sample = pair_distances(distances, labels, max_pairs=10)
        assert (sample.same_count, sample.different_count) == (full.same_count, full.different_count)

    def test_a_sample_comes_close_to_the_whole(self):
        distances, labels = random_set(count=300)
        full = pair_distances(distances, labels, quantiles=11)
        sample = pair_distances(distances, labels, quantiles=11, max_pairs=2000)
        # Uniform distances: the standard error of a median of 2,000 is 0.011.
        assert sample.same == pytest.approx(full.same, abs=0.05)
        assert sample.different == pytest.approx(full.different, abs=0.05)

    def test_every_pair_is_as_likely_as_any_other(self):
        count = 12
        labels = torch.arange(count) % 3
        distances = torch.arange(count * count, dtype=torch.float64).view(count, count)
        drawn = np.zeros(count * count)
        for seed in range(600):
            pairs = pair_distances(distances, labels, quantiles=9, max_pairs=9, seed=seed)
            # Nine drawn and nine quantiles: the quantiles are the values themselves.
            drawn[np.round(pairs.different).astype(int)] += 1
        i, j = np.triu_indices(count, 1)
        shares = drawn.reshape(count, count)[i, j][(labels[i] != labels[j]).numpy()] / 600
        # 48 pairs of different kinds, nine drawn each time; five standard errors.
        assert shares == pytest.approx(9 / 48, abs=0.08)

    def test_the_sample_does_not_depend_on_the_blocks(self):
        distances, labels = random_set()
        blocks = [(start, distances[start : start + 7]) for start in reversed(range(0, 60, 7))]
        whole = pair_distances(distances, labels, max_pairs=30, seed=4)
        assert pair_distances(blocks, labels, max_pairs=30, seed=4) == whole
        assert pair_distances(iter(blocks), labels, max_pairs=30, seed=4, byte_budget=1) == whole

    def test_another_seed_draws_another_sample(self):
        distances, labels = random_set()
        first = pair_distances(distances, labels, max_pairs=30, seed=1)
        assert first == pair_distances(distances, labels, max_pairs=30, seed=1)
        assert first != pair_distances(distances, labels, max_pairs=30, seed=2)

    def test_the_seed_leaves_the_global_generator_alone(self):
        distances, labels = random_set()
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        pair_distances(distances, labels, max_pairs=30)
        assert torch.equal(torch.rand(1), expected)


class TestExceptions:
    def test_no_pictures(self):
        with pytest.raises(DataError, match="labels is empty"):
            pair_distances(torch.zeros(0, 0), [])

    def test_no_pair_of_the_same_kind(self):
        with pytest.raises(DataError, match="no class has two pictures"):
            pair_distances(torch.zeros(3, 3), [0, 1, 2])

    def test_no_pair_of_different_kinds(self):
        with pytest.raises(DataError, match="one class"):
            pair_distances(torch.zeros(3, 3), [0, 0, 0])

    def test_distances_that_do_not_fit_the_labels(self):
        with pytest.raises(DataError, match="shape"):
            pair_distances(torch.zeros(3, 4), [0, 0, 1])

    def test_a_missing_row(self):
        with pytest.raises(DataError, match="query 2 are missing"):
            pair_distances([(0, torch.zeros(2, 3))], [0, 0, 1])

    def test_nan(self):
        with pytest.raises(DataError, match="query 0 contain NaN"):
            pair_distances(torch.full((3, 3), float("nan")), [0, 0, 1])

    def test_an_infinite_distance_names_the_pair(self):
        distances = on_a_line([0, 1, 2])
        distances[1, 2] = float("inf")
        with pytest.raises(DataError, match="pictures 1 and 2 is infinite"):
            pair_distances(distances, [0, 0, 1])

    @pytest.mark.parametrize("option", [{"quantiles": 1}, {"max_pairs": 0}, {"byte_budget": 0}])
    def test_an_option_out_of_range(self, option):
        with pytest.raises(ConfigError, match=next(iter(option))):
            pair_distances(on_a_line([0, 1, 3]), [0, 0, 1], **option)
