"""evaluate_retrieval: hand-computed rankings, the published MAP@R examples, and every way to call it."""

import pytest
import torch

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics import RetrievalMetrics, evaluate_retrieval

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def one_query(relevance):
    """The ranking of one query of class 1 whose gallery comes in this order of relevance."""
    distances = torch.arange(len(relevance), dtype=torch.float32)[None, :]
    return distances, [1], relevance


def on_a_line(positions):
    points = torch.tensor(positions, dtype=torch.float64)
    return (points[:, None] - points[None, :]).abs()


def random_case(queries=23, gallery=31, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    distances = torch.rand(queries, gallery, generator=generator)
    query_labels = torch.randint(classes, (queries,), generator=generator)
    gallery_labels = torch.randint(classes, (gallery,), generator=generator)
    return distances, query_labels, gallery_labels


class TestSmoke:
    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_every_floating_type_and_device_gives_the_same_metrics(self, dtype, device):
        # Whole numbers up to 20 are exact in every type.
        distances = torch.stack([torch.arange(20.0).roll(shift) for shift in (0, 4, 8)])
        labels = ([0, 1, 2], [index % 3 for index in range(20)])
        expected = evaluate_retrieval(distances, *labels, same_set=False)
        assert evaluate_retrieval(distances.to(device, dtype), *labels, same_set=False) == expected

    def test_labels_may_be_lists_or_tensors_of_any_integer_type(self):
        distances, queries, gallery = random_case()
        expected = evaluate_retrieval(distances, queries, gallery, same_set=False)
        as_lists = evaluate_retrieval(distances, queries.tolist(), gallery.tolist(), same_set=False)
        as_bytes = evaluate_retrieval(distances, queries.to(torch.uint8), gallery.int(), same_set=False)
        assert as_lists == expected
        assert as_bytes == expected

    def test_distances_that_carry_gradients_are_read_without_them(self):
        distances, queries, gallery = random_case()
        expected = evaluate_retrieval(distances, queries, gallery, same_set=False)
        assert evaluate_retrieval(distances.requires_grad_(), queries, gallery, same_set=False) == expected

    def test_distances_are_left_as_they_were(self):
        distances, queries, _ = random_case(queries=12, gallery=12)
        before = distances.clone()
        evaluate_retrieval(distances, queries, queries, same_set=True)
        assert torch.equal(distances, before)


class TestValues:
    # "A Metric Learning Reality Check", table of toy examples: ten positives, ten places.
    @pytest.mark.parametrize(
        ("correct_ranks", "r_precision", "map_at_r"),
        [
            ([1], 0.10, 0.10),
            ([1, 10], 0.20, 0.12),
            ([1, 2], 0.20, 0.20),
            (range(1, 11), 1.00, 1.00),
        ],
    )
    def test_musgraves_examples(self, correct_ranks, r_precision, map_at_r):
        first_ten = [int(rank in correct_ranks) for rank in range(1, 11)]
        remaining = [0] * 10 + [1] * (10 - sum(first_ten))
        metrics = evaluate_retrieval(*one_query(first_ten + remaining), same_set=False, ks=(1,))
        assert metrics.recall[1] == 1.0
        assert metrics.precision_at_1 == 1.0
        assert metrics.r_precision == pytest.approx(r_precision)
        assert metrics.map_at_r == pytest.approx(map_at_r)

    def test_one_ranking_by_hand(self):
        metrics = evaluate_retrieval(*one_query([0, 1, 0, 1, 1, 0]), same_set=False, ks=(1, 2, 4))
        assert metrics.recall == {1: 0.0, 2: 1.0, 4: 1.0}
        assert metrics.precision_at_1 == 0.0
        assert metrics.r_precision == pytest.approx(1 / 3)
        assert metrics.map_at_r == pytest.approx((1 / 2) / 3)
        assert metrics.mean_average_precision == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)

    def test_recall_is_a_hit_rate_not_a_share_of_positives_found(self):
        metrics = evaluate_retrieval(*one_query([1, 0, 1, 1, 1]), same_set=False, ks=(1, 2))
        assert metrics.recall == {1: 1.0, 2: 1.0}

    def test_a_set_against_itself_leaves_each_query_out(self):
        # From 0: 1 (same). From 1: 0 (same). From 3: 1, 5.5, 0. From 5.5: 3 (same).
        labels = [0, 0, 1, 1]
        metrics = evaluate_retrieval(on_a_line([0, 1, 3, 5.5]), labels, labels, same_set=True, ks=(1, 2))
        assert metrics.recall == {1: 0.75, 2: 1.0}
        assert metrics.map_at_r == 0.75
        assert metrics.mean_average_precision == 0.875

    def test_the_query_is_not_one_of_its_own_positives(self):
        # One other picture of the class, at rank 2: R is 1 and nothing within R is right.
        labels = [0, 1, 0]
        metrics = evaluate_retrieval(on_a_line([0, 1, 3]), labels, labels, same_set=True)
        assert metrics.map_at_r == 0.0
        assert metrics.r_precision == 0.0
        assert metrics.mean_average_precision == 0.5

    def test_the_query_is_left_out_even_where_it_is_not_nearest_to_itself(self):
        distances = torch.tensor([[9.0, 1.0, 2.0], [5.0, 9.0, 1.0], [1.0, 2.0, 9.0]])
        labels = [0, 0, 1]
        metrics = evaluate_retrieval(distances, labels, labels, same_set=True, ks=(1, 2))
        assert metrics.recall == {1: 0.5, 2: 1.0}
        assert metrics.mean_average_precision == 0.75

    def test_query_and_gallery_that_differ_leave_nothing_out(self):
        distances = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        metrics = evaluate_retrieval(distances, [0, 1], [0, 1], same_set=False, ks=(1,))
        assert metrics.recall == {1: 1.0}
        assert metrics.queries_without_positive == 0

    def test_equal_distances_are_ordered_by_gallery_index(self):
        distances = torch.zeros(1, 4)
        early = evaluate_retrieval(distances, [1], [0, 1, 0, 0], same_set=False, ks=(1, 2, 3))
        late = evaluate_retrieval(distances, [1], [0, 0, 0, 1], same_set=False, ks=(1, 2, 3))
        assert early.mean_average_precision == 1 / 2
        assert late.mean_average_precision == 1 / 4

    def test_infinite_distances_rank_last_and_keep_their_order(self):
        # As after a shortlist, where all that was not looked at is infinitely far; the query itself is too.
        inf = float("inf")
        distances = torch.tensor([[inf, inf, inf], [inf, inf, 1.0], [1.0, inf, inf]])
        labels = [0, 0, 1]
        metrics = evaluate_retrieval(distances, labels, labels, same_set=True, ks=(1, 2))
        assert metrics.recall == {1: 0.5, 2: 1.0}

    def test_queries_without_a_positive_are_counted_and_left_out_of_the_means(self):
        labels = [0, 0, 7]
        metrics = evaluate_retrieval(on_a_line([0, 2, 1]), labels, labels, same_set=True, ks=(1, 2))
        assert metrics.queries == 3
        assert metrics.queries_without_positive == 1
        assert metrics.recall == {1: 0.0, 2: 1.0}
        assert metrics.mean_average_precision == 0.5

    def test_k_beyond_the_gallery_finds_every_class_that_is_there(self):
        distances, queries, gallery = random_case()
        assert evaluate_retrieval(distances, queries, gallery, same_set=False, ks=(1000,)).recall == {
            1000: 1.0
        }

    def test_one_query_against_one_picture(self):
        metrics = evaluate_retrieval(torch.ones(1, 1), [3], [3], same_set=False, ks=(1,))
        assert metrics == RetrievalMetrics({1: 1.0}, 1.0, 1.0, 1.0, 1.0, None, 1, 0)


class TestBlocks:
    @pytest.mark.parametrize("size", [1, 4, 23])
    def test_blocks_give_exactly_what_the_whole_matrix_gives(self, size):
        distances, queries, gallery = random_case()
        blocks = ((start, distances[start : start + size]) for start in range(0, 23, size))
        whole = evaluate_retrieval(distances, queries, gallery, same_set=False)
        assert evaluate_retrieval(blocks, queries, gallery, same_set=False) == whole

    def test_blocks_know_which_query_is_which_gallery_picture(self):
        distances, labels, _ = random_case(queries=20, gallery=20)
        blocks = [(start, distances[start : start + 3]) for start in range(0, 20, 3)]
        whole = evaluate_retrieval(distances, labels, labels, same_set=True)
        assert evaluate_retrieval(blocks, labels, labels, same_set=True) == whole

    def test_the_order_of_blocks_does_not_matter(self):
        distances, queries, gallery = random_case()
        blocks = [(start, distances[start : start + 5]) for start in (15, 0, 20, 10, 5)]
        whole = evaluate_retrieval(distances, queries, gallery, same_set=False)
        assert evaluate_retrieval(blocks, queries, gallery, same_set=False) == whole

    @pytest.mark.parametrize("byte_budget", [1, 10_000, 2**40])
    def test_the_byte_budget_changes_no_value(self, byte_budget):
        distances, labels, _ = random_case(queries=20, gallery=20)
        expected = evaluate_retrieval(distances, labels, labels, same_set=True)
        result = evaluate_retrieval(distances, labels, labels, same_set=True, byte_budget=byte_budget)
        assert result == expected

    def test_one_block_is_held_at_a_time(self):
        distances, queries, gallery = random_case()
        handed_out = []

        def blocks():
            for start in range(0, 23, 4):
                block = distances[start : start + 4].clone()
                handed_out.append(block)
                yield start, block
                # Whoever kept a block to read it later would now read NaN.
                block.fill_(float("nan"))

        expected = evaluate_retrieval(distances, queries, gallery, same_set=False)
        assert evaluate_retrieval(blocks(), queries, gallery, same_set=False) == expected
        assert len(handed_out) == 6


class TestExceptions:
    @pytest.mark.parametrize(("queries", "gallery"), [([], [0]), ([0], [])])
    def test_no_labels(self, queries, gallery):
        distances = torch.zeros(len(queries), len(gallery))
        with pytest.raises(DataError, match="labels is empty"):
            evaluate_retrieval(distances, queries, gallery, same_set=False)

    @pytest.mark.parametrize(
        "labels", [[0.5, 1.5], [True, False], ["wren", "robin"], [[0], [1]], [[0], [1, 2]]]
    )
    def test_labels_that_are_not_a_row_of_whole_numbers(self, labels):
        with pytest.raises(DataError, match="query_labels"):
            evaluate_retrieval(torch.zeros(2, 2), labels, [0, 1], same_set=False)

    def test_more_gallery_labels_than_columns(self):
        with pytest.raises(DataError, match=r"shape \[2, 2\]; with 3 gallery labels"):
            evaluate_retrieval(torch.zeros(2, 2), [0, 1], [0, 1, 1], same_set=False)

    def test_more_rows_than_query_labels(self):
        with pytest.raises(DataError, match="queries 0 to 2 do not fit 2 query labels"):
            evaluate_retrieval(torch.zeros(3, 2), [0, 1], [0, 1], same_set=False)

    def test_fewer_rows_than_query_labels(self):
        with pytest.raises(DataError, match="query 1 are missing"):
            evaluate_retrieval(torch.zeros(1, 2), [0, 1], [0, 1], same_set=False)

    def test_a_matrix_that_is_not_two_dimensional(self):
        with pytest.raises(DataError, match="shape"):
            evaluate_retrieval(torch.zeros(2), [0, 1], [0, 1], same_set=False)

    def test_distances_that_are_whole_numbers(self):
        with pytest.raises(DataError, match=r"torch.int64; convert"):
            evaluate_retrieval(torch.zeros(2, 2, dtype=torch.int64), [0, 1], [0, 1], same_set=False)

    def test_rows_given_twice(self):
        blocks = [(0, torch.zeros(2, 2)), (1, torch.zeros(1, 2))]
        with pytest.raises(DataError, match="query 1 were given twice"):
            evaluate_retrieval(blocks, [0, 1], [0, 1], same_set=False)

    def test_a_block_before_the_first_row(self):
        with pytest.raises(DataError, match="do not fit"):
            evaluate_retrieval([(-1, torch.zeros(2, 2))], [0, 1], [0, 1], same_set=False)

    def test_no_blocks(self):
        with pytest.raises(DataError, match="query 0 are missing"):
            evaluate_retrieval([], [0, 1], [0, 1], same_set=False)

    def test_nan_names_the_query(self):
        distances = torch.zeros(5, 2)
        distances[3, 1] = float("nan")
        blocks = [(0, distances[:2]), (2, distances[2:])]
        with pytest.raises(DataError, match="query 3 contain NaN"):
            evaluate_retrieval(blocks, [0] * 5, [0, 1], same_set=False)

    def test_no_query_with_a_positive(self):
        with pytest.raises(DataError, match="no query has another picture of its class"):
            evaluate_retrieval(torch.zeros(3, 3), [0, 1, 2], [0, 1, 2], same_set=True)

    def test_a_set_against_itself_with_other_labels(self):
        with pytest.raises(DataError, match="same_set"):
            evaluate_retrieval(torch.zeros(2, 2), [0, 0], [0, 1], same_set=True)

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_below_one(self, k):
        with pytest.raises(ConfigError, match=f"is {k};"):
            evaluate_retrieval(torch.zeros(2, 2), [0, 0], [0, 0], same_set=True, ks=(1, k))

    def test_a_byte_budget_of_nothing(self):
        with pytest.raises(ConfigError, match="byte_budget"):
            evaluate_retrieval(torch.zeros(2, 2), [0, 0], [0, 0], same_set=True, byte_budget=0)
