"""Exact search gives what measuring every pair gives: the same rows, the same distances, ties included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import Rows
from avsl_core.search import ExactSearch, MemoryRows
from tests.search.conftest import NODES, brute_force, random_measure, random_rows

TYPES = [torch.float32, torch.bfloat16]


def assert_same(found, expected):
    rows, distances = expected
    assert torch.equal(found.rows[:, : rows.shape[1]], rows)
    assert torch.equal(found.distances[:, : rows.shape[1]], distances)


class TestEqualsBruteForce:
    @pytest.mark.parametrize("dtype", TYPES, ids=str)
    @given(
        seed=st.integers(0, 10**6),
        alpha=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
        beta=st.sampled_from([0.0, 0.5, 20.0]),
        certainty=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
        count=st.integers(1, 180),
        k=st.integers(1, 12),
    )
    @settings(max_examples=60, deadline=None)
    def test_for_gates_of_every_kind(self, dtype, seed, alpha, beta, certainty, count, k):
        measure = random_measure(seed, alpha=alpha, beta=beta)
        rows = random_rows(seed, count, certainty=certainty, repeated=count // 3)
        queries = random_rows(seed + 1, 5, certainty=certainty)
        found = ExactSearch(measure, MemoryRows(rows, block_rows=64), dtype=dtype).search(queries, k)
        assert_same(found, brute_force(measure, queries, rows, k))

    @pytest.mark.parametrize("dtype", TYPES, ids=str)
    def test_for_gates_outside_those_of_the_gallery(self, dtype):
        measure = random_measure(3, alpha=20.0)
        rows, queries = random_rows(3, 300, certainty=0.05), random_rows(4, 8, certainty=1.0)
        found = ExactSearch(measure, MemoryRows(rows), dtype=dtype).search(queries, 7)
        assert_same(found, brute_force(measure, queries, rows, 7))

    def test_for_the_encodings_of_a_model(self, avsl, pictures):
        rows = avsl.rows(avsl.encode(pictures, keep_maps=False))
        measure = avsl.measure()
        found = ExactSearch(measure, MemoryRows(rows)).search(rows, 4)
        encoding = avsl.encode(pictures, keep_maps=False)
        distances, order = avsl.distance_matrix(encoding, encoding).sort(dim=1)
        assert torch.equal(found.rows, order[:, :4])
        torch.testing.assert_close(found.distances, distances[:, :4], atol=1e-6, rtol=1e-5)

    def test_for_a_method_without_gates(self, embedding, pictures):
        encoding = embedding.encode(pictures, keep_maps=False)
        rows = embedding.rows(encoding)
        found = ExactSearch(embedding.measure(), MemoryRows(rows)).search(rows, 3)
        distances, order = embedding.distance_matrix(encoding, encoding).sort(dim=1)
        assert torch.equal(found.rows, order[:, :3])
        torch.testing.assert_close(found.distances, distances[:, :3], atol=1e-5, rtol=1e-5)

    def test_when_columns_count_nothing(self):
        measure = random_measure(5, alpha=0.0, beta=0.0)
        for W in measure.linkages:
            W[: NODES // 2] = 0.0
        rows = random_rows(5, 200)
        assert_same(
            ExactSearch(measure, MemoryRows(rows)).search(rows[:9], 5),
            brute_force(measure, rows[:9], rows, 5),
        )

    def test_whatever_is_kept_in_memory(self):
        measure, rows = random_measure(6), random_rows(6, 400)
        source = MemoryRows(rows, block_rows=64)
        expected = brute_force(measure, rows[:20], rows, 5)
        for memory in (0, 8000, 2**30):
            search = ExactSearch(measure, source, memory=memory)
            for _ in range(2):
                assert_same(search.search(rows[:20], 5), expected)

    def test_with_more_queries_than_are_handled_at_once(self):
        measure, rows = random_measure(7), random_rows(7, 700)
        found = ExactSearch(measure, MemoryRows(rows)).search(rows, 1)
        assert torch.equal(found.rows[:, 0], torch.arange(700))
        assert float(found.distances.max()) == 0.0


class TestTies:
    def test_equal_rows_come_in_the_order_of_their_numbers(self):
        measure, rows = random_measure(8), random_rows(8, 1)
        same = Rows(rows.vectors.expand(500, -1).contiguous(), rows.gates.expand(500, -1).contiguous())
        found = ExactSearch(measure, MemoryRows(same, block_rows=128)).search(random_rows(9, 3), 20)
        assert torch.equal(found.rows, torch.arange(20).expand(3, -1))

    @pytest.mark.parametrize("dtype", TYPES, ids=str)
    def test_copies_far_apart_stay_together(self, dtype):
        measure, rows = random_measure(10), random_rows(10, 257)
        rows.vectors[256], rows.gates[256] = rows.vectors[0], rows.gates[0]
        found = ExactSearch(measure, MemoryRows(rows, block_rows=64), dtype=dtype).search(rows[:1], 2)
        assert found.rows.tolist() == [[0, 256]]
        assert found.distances.tolist() == [[0.0, 0.0]]


class TestChoices:
    def test_asking_for_more_than_there_is_leaves_places_empty(self):
        measure, rows = random_measure(11), random_rows(11, 6)
        found = ExactSearch(measure, MemoryRows(rows)).search(rows[:2], 10)
        assert torch.equal(found.rows[:, :6].sort().values, torch.arange(6).expand(2, -1))
        assert (found.rows[:, 6:] == -1).all() and found.distances[:, 6:].isinf().all()

    def test_an_empty_source_has_no_neighbours(self):
        rows = random_rows(12, 3)
        found = ExactSearch(random_measure(12), MemoryRows(rows[:0])).search(rows, 2)
        assert (found.rows == -1).all()

    @pytest.mark.parametrize(
        "weights", [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.3, 2.0, 0.7], [1e6, 0.0, 3e5], [0.0, 2e-9, 1e-9]]
    )
    @pytest.mark.parametrize("dtype", TYPES, ids=str)
    def test_parts_may_be_weighed_or_taken_alone(self, weights, dtype):
        measure, rows = random_measure(13, alpha=8.0), random_rows(13, 300)
        found = ExactSearch(measure, MemoryRows(rows, block_rows=128), dtype=dtype).search(
            rows[:12], 6, part_weights=weights
        )
        assert_same(found, brute_force(measure, rows[:12], rows, 6, part_weights=weights))
        assert not torch.equal(found.rows, ExactSearch(measure, MemoryRows(rows)).search(rows[:12], 6).rows)

    def test_parts_add_up_to_the_distance(self):
        measure, rows = random_measure(14), random_rows(14, 100)
        found = ExactSearch(measure, MemoryRows(rows)).search(rows[:5], 4, part_weights=[0, 0, 1])
        for query in range(5):
            several = torch.full((4,), query)
            whole = measure.distances(rows[several], rows[found.rows[query]])
            torch.testing.assert_close(found.parts[query].sum(dim=1), whole)
            torch.testing.assert_close(found.distances[query], found.parts[query][:, 2])

    @pytest.mark.parametrize("share", [0.02, 0.7])
    def test_only_allowed_rows_are_found(self, share):
        measure, rows = random_measure(15), random_rows(15, 400)
        allowed = torch.rand(400, generator=torch.Generator().manual_seed(1)) < share
        exclude = torch.arange(10)
        found = ExactSearch(measure, MemoryRows(rows, block_rows=128)).search(
            rows[:10], 5, allowed=allowed, exclude=exclude
        )
        assert_same(found, brute_force(measure, rows[:10], rows, 5, allowed=allowed, exclude=exclude))

    def test_removed_rows_are_not_found(self):
        measure, rows = random_measure(16), random_rows(16, 9000)
        source = MemoryRows(rows)
        source.live = torch.ones(9000, dtype=torch.bool)
        source.live[:4] = False
        found = ExactSearch(measure, source).search(rows[:4], 3)
        assert_same(found, brute_force(measure, rows[:4], rows, 3, allowed=source.live))

    def test_nothing_allowed_finds_nothing(self):
        measure, rows = random_measure(17), random_rows(17, 50)
        found = ExactSearch(measure, MemoryRows(rows)).search(
            rows[:2], 3, allowed=torch.zeros(50, dtype=torch.bool)
        )
        assert (found.rows == -1).all()

    def test_a_query_may_leave_itself_out_or_not(self):
        measure, rows = random_measure(18), random_rows(18, 80)
        search = ExactSearch(measure, MemoryRows(rows))
        found = search.search(rows[:3], 1, exclude=torch.tensor([0, -1, 2]))
        assert found.rows[1, 0] == 1
        assert found.rows[0, 0] != 0 and found.rows[2, 0] != 2


class TestWork:
    def test_few_rows_are_measured_where_gates_vary_little(self):
        measure, rows = random_measure(19, alpha=0.5), random_rows(19, 4000, certainty=0.05, nodes=NODES)
        found = ExactSearch(measure, MemoryRows(rows)).search(rows[:64], 5)
        assert float(found.verified.float().mean()) < 12
        assert (found.verified >= 5).all()

    def test_blocks_that_lie_too_far_are_passed_over(self):
        measure = random_measure(20, alpha=0.5)
        rows = random_rows(20, 640, certainty=0.05)
        # Ten blocks, each a tight cluster of its own.
        centres = rows.vectors[::64].repeat_interleave(64, dim=0)
        clustered = Rows(centres + 0.02 * rows.vectors, rows.gates)
        search = ExactSearch(measure, MemoryRows(clustered, block_rows=64))
        first = search.search(clustered[:1], 5)  # learns the outlines of the blocks
        again = search.search(clustered[:1], 5)
        assert int(first.bounded[0]) == 640
        assert int(again.bounded[0]) < 640
        assert_same(again, brute_force(measure, clustered[:1], clustered, 5))


class TestRefusals:
    @pytest.fixture
    def search(self):
        return ExactSearch(random_measure(21), MemoryRows(random_rows(21, 20)))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"k": 0}, "at least 1"),
            ({"part_weights": [1.0]}, "1 weights for 3 parts"),
            ({"part_weights": [0.0, 0.0, 0.0]}, "not all 0"),
            ({"part_weights": [1.0, -1.0, 0.0]}, "from 0 to 1,000,000"),
            ({"part_weights": [1e39, 1.0, 0.0]}, "from 0 to 1,000,000"),
            ({"part_weights": [float("nan"), 1.0, 0.0]}, "from 0 to 1,000,000"),
            ({"allowed": torch.ones(3, dtype=torch.bool)}, "20 booleans"),
            ({"exclude": torch.tensor([1, 2])}, "1 row numbers"),
        ],
    )
    def test_options_that_do_not_fit(self, search, options, message):
        with pytest.raises(ConfigError, match=message):
            search.search(random_rows(22, 1), **{"k": 3} | options)

    def test_rows_of_another_model(self, search):
        with pytest.raises(EncodingError, match="encode with one model"):
            search.search(random_rows(22, 1, nodes=5), 3)

    @pytest.mark.parametrize("row", [0, 3, 19])
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e25])
    def test_stored_rows_that_are_not_numbers(self, row, value):
        rows = random_rows(23, 20)
        rows.vectors[row, 5] = value
        search = ExactSearch(random_measure(23), MemoryRows(rows, block_rows=8))
        with pytest.raises(EncodingError, match=r"rows \d+ to \d+: a stored picture has numbers"):
            search.search(random_rows(22, 1), 3)

    def test_another_number_type(self):
        search = ExactSearch(random_measure(24), MemoryRows(random_rows(24, 5)), dtype=torch.float16)
        with pytest.raises(ConfigError, match="float32 or bfloat16"):
            search.search(random_rows(25, 1), 1)

    def test_queries_that_are_not_numbers(self, search):
        query = random_rows(22, 1)
        query.vectors[0, 0] = float("nan")
        with pytest.raises(EncodingError, match="not finite"):
            search.search(query, 3)
