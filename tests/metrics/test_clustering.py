"""nmi: cases whose entropies can be written down, and its limits."""

import math

import pytest
import torch

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics import clustering, nmi

TWO_HEAPS = torch.tensor([[0.0, 0.0], [0.0, 0.1], [9.0, 9.0], [9.0, 9.1]])


def entropy(*shares):
    return -sum(share * math.log(share) for share in shares)


class TestValues:
    def test_clusters_that_are_the_classes_score_one(self):
        assert nmi(TWO_HEAPS, [4, 4, 7, 7], seed=0) == pytest.approx(1.0)

    def test_clusters_that_say_nothing_about_the_classes_score_zero(self):
        assert nmi(TWO_HEAPS, [0, 1, 0, 1], seed=0) == pytest.approx(0.0, abs=1e-12)

    def test_a_case_in_between_divides_by_the_arithmetic_mean_of_the_entropies(self):
        # Heaps {a, a} and {a, b}: within the second heap one bit of doubt is left.
        classes, clusters = entropy(3 / 4, 1 / 4), entropy(1 / 2, 1 / 2)
        mutual = classes - entropy(1 / 2, 1 / 2) / 2
        expected = mutual / ((classes + clusters) / 2)
        assert nmi(TWO_HEAPS, [0, 0, 0, 1], seed=0) == pytest.approx(expected)

    def test_names_of_classes_do_not_matter(self):
        points = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
        labels = torch.arange(30) % 3
        assert nmi(points, labels, seed=3) == pytest.approx(nmi(points, 50 - 7 * labels, seed=3))

    def test_the_same_seed_gives_the_same_value(self):
        points = torch.randn(60, 4, generator=torch.Generator().manual_seed(2))
        labels = torch.arange(60) % 6
        values = {nmi(points, labels, seed=11) for _ in range(3)}
        assert len(values) == 1
        assert 0 <= values.pop() <= 1

    def test_restarts_keep_the_tightest_clustering(self):
        # Twelve heaps on a line, some far larger than others: a single start often merges two of them.
        labels = torch.arange(12).repeat_interleave(torch.tensor([40, 2] * 6))
        noise = torch.randn(len(labels), 1, generator=torch.Generator().manual_seed(3))
        points = 9.0 * labels[:, None] + noise
        once = [nmi(points, labels, seed=seed) for seed in range(12)]
        often = [nmi(points, labels, seed=seed, restarts=20) for seed in range(12)]
        assert min(once) < min(often)
        assert often == pytest.approx([1.0] * 12)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_every_floating_type_is_taken(self, dtype):
        assert nmi(TWO_HEAPS.to(dtype), [0, 0, 1, 1], seed=0) == pytest.approx(1.0)

    def test_embeddings_that_carry_gradients_are_read_without_them(self):
        assert nmi(TWO_HEAPS.clone().requires_grad_(), [0, 0, 1, 1], seed=0) == pytest.approx(1.0)


class TestExceptions:
    def test_no_pictures(self):
        with pytest.raises(DataError, match="labels is empty"):
            nmi(torch.zeros(0, 2), [], seed=0)

    @pytest.mark.parametrize("shape", [(3, 2), (4,), (4, 0), (4, 2, 1)])
    def test_embeddings_that_do_not_fit_the_labels(self, shape):
        with pytest.raises(DataError, match="embeddings have shape"):
            nmi(torch.zeros(shape), [0, 0, 1, 1], seed=0)

    def test_embeddings_that_are_whole_numbers(self):
        with pytest.raises(DataError, match=r"torch.int64; convert"):
            nmi(TWO_HEAPS.long(), [0, 0, 1, 1], seed=0)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_value_that_is_not_finite_names_the_picture(self, value):
        points = TWO_HEAPS.clone()
        points[2, 1] = value
        with pytest.raises(DataError, match="picture 2 is not finite"):
            nmi(points, [0, 0, 1, 1], seed=0)

    def test_one_class(self):
        with pytest.raises(DataError, match="one class"):
            nmi(TWO_HEAPS, [5, 5, 5, 5], seed=0)

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_a_seed_out_of_range(self, seed):
        with pytest.raises(ConfigError, match="seed"):
            nmi(TWO_HEAPS, [0, 0, 1, 1], seed=seed)

    def test_no_starts(self):
        with pytest.raises(ConfigError, match="restarts"):
            nmi(TWO_HEAPS, [0, 0, 1, 1], seed=0, restarts=0)


class TestManyClusters:
    def test_a_large_set_is_clustered_as_well(self, monkeypatch):
        labels = torch.arange(40).repeat_interleave(6)
        points = 9.0 * torch.nn.functional.one_hot(labels).float()
        points += 0.1 * torch.randn(points.shape, generator=torch.Generator().manual_seed(4))
        monkeypatch.setattr(clustering, "_MANY", 100)
        value = nmi(points, labels, seed=5, restarts=3)
        assert value == nmi(points, labels, seed=5, restarts=3)
        assert value > 0.9
