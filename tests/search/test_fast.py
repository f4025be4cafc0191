"""Fast search: what it may lose is measured, and what it says of a pair is exact."""

import json

import pytest
import torch

from avsl_core.errors import ConfigError, EncodingError, GalleryError
from avsl_core.models import Rows
from avsl_core.search import ExactSearch, MemoryRows
from avsl_core.search.fast import FastIndex, build_fast, open_fast
from tests.search.conftest import brute_force, random_measure, random_rows

KINDS = ["hnsw", "ivfpq"]
COUNT = 2000


class StoredRows(MemoryRows):
    """Rows with a folder and a state, as a gallery has them."""

    def __init__(self, rows, path, generation="one"):
        super().__init__(rows)
        self.path, self.generation = path, generation


@pytest.fixture(scope="module")
def measure():
    return random_measure(0)


@pytest.fixture(scope="module")
def rows():
    return random_rows(1, COUNT)


@pytest.fixture(scope="module")
def queries():
    return random_rows(2, 20)


@pytest.fixture(scope="module", params=KINDS)
def index(request, measure, rows):
    return FastIndex.build(measure, MemoryRows(rows), kind=request.param, sample=50)


def share_found(found, expected):
    """Of the true neighbours, those that were found; at one distance any will do."""
    return float((found.distances <= expected[1]).float().mean())


class TestSearch:
    def test_finds_nearly_all_true_neighbours(self, index, measure, rows, queries):
        found = index.search(queries, 10)
        assert share_found(found, brute_force(measure, queries, rows, 10)) >= 0.95

    def test_says_the_models_own_distance_and_its_parts(self, index, measure, rows, queries):
        found = index.search(queries, 5)
        for query in range(len(queries)):
            one, others = queries[query : query + 1], rows[found.rows[query]]
            torch.testing.assert_close(found.parts[query], measure.part_distances(one, others))
        torch.testing.assert_close(found.parts.sum(dim=2), found.distances)
        assert bool((found.distances.diff(dim=1) >= 0).all())

    def test_is_exact_search_where_the_shortlist_is_everything(self, measure, rows, queries):
        few = MemoryRows(rows[:300])
        index = FastIndex.build(measure, few, kind="hnsw")
        found, true = index.search(queries, 7, shortlist=300), ExactSearch(measure, few).search(queries, 7)
        assert torch.equal(found.rows, true.rows)
        assert torch.equal(found.distances, true.distances)

    def test_a_longer_shortlist_measures_more(self, index, queries):
        short, long = (index.search(queries, 5, shortlist=n).verified for n in (20, 200))
        assert bool((short <= 20).all())
        assert bool((long > short).all())

    def test_never_finds_the_excluded_row(self, index, rows):
        own = torch.tensor([3, -1, 700])
        found = index.search(rows[torch.tensor([3, 4, 700])], 10, exclude=own)
        assert found.rows[1, 0] == 4
        assert not bool((found.rows == own[:, None]).any())
        assert bool((found.rows >= 0).all())

    @pytest.mark.parametrize("share", [0.8, 0.2, 0.01])
    def test_finds_allowed_rows_only_and_nearly_all_of_them(self, index, measure, rows, queries, share):
        allowed = torch.rand(COUNT, generator=torch.Generator().manual_seed(3)) < share
        found = index.search(queries, 10, allowed=allowed)
        assert bool(allowed[found.rows].all())
        assert share_found(found, brute_force(measure, queries, rows, 10, allowed=allowed)) >= 0.9

    def test_removed_rows_are_gone_at_once(self, measure, rows, queries):
        source = MemoryRows(rows)
        index = FastIndex.build(measure, source, kind="hnsw", sample=10)
        nearest = index.search(queries, 1).rows[:, 0]
        source.live = torch.ones(COUNT, dtype=torch.bool)
        source.live[nearest] = False
        found = index.search(queries, 3)
        assert not bool(torch.isin(found.rows, nearest).any())

    def test_more_neighbours_than_rows_leave_places_empty(self, measure, rows):
        index = FastIndex.build(measure, MemoryRows(rows[:4]))
        found = index.search(rows[:2], 6, exclude=torch.tensor([0, -1]))
        assert (found.rows[0] >= 0).tolist() == [True] * 3 + [False] * 3
        assert (found.rows[1] >= 0).tolist() == [True] * 4 + [False] * 2
        assert bool(found.distances[0, 3:].isinf().all())

    def test_ranks_by_weighted_parts_as_exact_search(self, index, measure, rows, queries):
        weights = [1.0, 0.0, 0.0]
        found = index.search(queries, 8, part_weights=weights)
        expected = brute_force(measure, queries, rows, 8, part_weights=weights)
        assert torch.equal(found.rows, expected[0])

    def test_one_weight_for_all_parts_scales_the_distance(self, index, queries):
        plain, scaled = index.search(queries, 5), index.search(queries, 5, part_weights=[2.0, 2.0, 2.0])
        assert torch.equal(plain.rows, scaled.rows)
        torch.testing.assert_close(2 * plain.distances, scaled.distances)

    def test_no_queries_give_no_answers(self, index, queries):
        assert index.search(queries[:0], 3).rows.shape == (0, 3)

    def test_refuses_what_cannot_be_searched_for(self, index, queries):
        with pytest.raises(ConfigError, match="shortlist"):
            index.search(queries, 3, shortlist=0)
        with pytest.raises(ConfigError, match="k is 0"):
            index.search(queries, 0)
        with pytest.raises(EncodingError, match="do not fit"):
            index.search(Rows(queries.vectors[:, 1:], queries.gates), 3)


class TestBuild:
    def test_recall_is_measured_against_exact_search(self, measure, rows):
        source = MemoryRows(rows)
        recall = FastIndex.build(measure, source, kind="hnsw", sample=40, k=5).recall
        assert (recall.k, recall.queries) == (5, 40)
        assert 0.95 <= recall.value <= 1.0
        assert 50 <= recall.shortlist <= COUNT

    def test_recall_falls_where_the_mean_gate_says_little(self, rows):
        wild = random_measure(5, alpha=1e4, beta=20.0)
        steady = random_measure(5, alpha=0.0, beta=0.5)
        wide = Rows(rows.vectors, rows.gates * 3)
        recalls = [FastIndex.build(m, MemoryRows(wide), sample=50).recall.value for m in (wild, steady)]
        assert recalls[0] < recalls[1]
        assert recalls[1] == 1.0

    def test_the_same_seed_gives_the_same_answers(self, measure, rows, queries):
        built = [
            FastIndex.build(measure, MemoryRows(rows), kind="ivfpq", seed=4, sample=10) for _ in range(2)
        ]
        first, second = (index.search(queries, 10, shortlist=10) for index in built)
        assert torch.equal(first.rows, second.rows)

    def test_progress_ends_with_all_rows(self, measure, rows):
        told = []
        FastIndex.build(measure, MemoryRows(rows[:50]), progress=lambda done, of: told.append((done, of)))
        assert told[-1] == (50, 50)

    def test_a_single_row_can_be_found(self, measure, rows):
        index = FastIndex.build(measure, MemoryRows(rows[:1]))
        assert index.recall is None
        assert index.search(rows[:1], 2).rows.tolist() == [[0, -1]]

    def test_works_without_gates(self, plain_measure):
        vectors = torch.randn(400, 24, generator=torch.Generator().manual_seed(0))
        rows = Rows(vectors, torch.empty(400, 0))
        index = FastIndex.build(plain_measure, MemoryRows(rows), sample=50)
        assert index.recall.value == 1.0
        assert index.search(rows[:5], 1).rows[:, 0].tolist() == [0, 1, 2, 3, 4]

    def test_refuses_too_few_rows(self, measure, rows):
        with pytest.raises(GalleryError, match="no rows"):
            FastIndex.build(measure, MemoryRows(rows[:0]))
        with pytest.raises(ConfigError, match="use kind='hnsw'"):
            FastIndex.build(measure, MemoryRows(rows[:100]), kind="ivfpq")


class TestFiles:
    def test_a_stored_index_answers_as_before(self, index, measure, rows, queries, tmp_path):
        index.save(tmp_path / "fast")
        again = FastIndex.load(tmp_path / "fast", measure, MemoryRows(rows))
        assert again.info == index.info
        assert again.info.bytes > 0
        assert torch.equal(again.search(queries, 10).rows, index.search(queries, 10).rows)

    def test_a_gallery_opens_its_index_until_it_changes(self, measure, rows, tmp_path):
        gallery = StoredRows(rows[:200], tmp_path)
        assert open_fast(gallery, measure) is None
        built = build_fast(gallery, measure)
        assert open_fast(gallery, measure).info == built.info
        assert open_fast(StoredRows(rows[:200], tmp_path, "two"), measure) is None

    def test_a_new_index_replaces_the_old_file(self, measure, rows, tmp_path):
        for generation in ("one", "two"):
            build_fast(StoredRows(rows[:200], tmp_path, generation), measure)
        assert len(list((tmp_path / "fast").iterdir())) == 2
        assert open_fast(StoredRows(rows[:200], tmp_path, "two"), measure) is not None

    def test_an_interrupted_write_leaves_the_former_index(self, measure, rows, tmp_path, monkeypatch):
        gallery = StoredRows(rows[:200], tmp_path)
        before = build_fast(gallery, measure).info

        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_fast(gallery, measure)
        monkeypatch.undo()
        assert open_fast(gallery, measure).info == before

    @pytest.mark.parametrize(
        "damage", ["cut", "gone", "other", "json", "version", "key", "kind", "file", "recall"]
    )
    def test_damage_is_told(self, measure, rows, tmp_path, damage):
        gallery = StoredRows(rows[:200], tmp_path)
        build_fast(gallery, measure)
        (file,) = (tmp_path / "fast").glob("*.faiss")
        described = tmp_path / "fast" / "index.json"
        values = json.loads(described.read_text())
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:1000])
        elif damage == "gone":
            file.unlink()
        elif damage == "json":
            described.write_text(described.read_text()[:40])
        else:
            change = {
                "other": {"rows": 7},
                "version": {"version": 99},
                "key": {"colour": "red"},
                "kind": {"kind": "tree"},
                "file": {"file": f"../fast/{file.name}"},
                "recall": {"recall": values["recall"] | {"value": 7.0}},
            }[damage]
            described.write_text(json.dumps(values | change))
        with pytest.raises(GalleryError, match="build"):
            open_fast(gallery, measure)

    def test_an_index_of_other_rows_is_refused(self, measure, rows, tmp_path):
        FastIndex.build(measure, MemoryRows(rows[:200])).save(tmp_path)
        with pytest.raises(GalleryError, match="200 rows"):
            FastIndex.load(tmp_path, measure, MemoryRows(rows[:300]))
        with pytest.raises(GalleryError, match="holds no fast index"):
            FastIndex.load(tmp_path / "nowhere", measure, MemoryRows(rows))
