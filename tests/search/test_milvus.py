"""A gallery in Milvus answers as exact search does; on Milvus Lite, which runs inside the tests' process."""

import itertools
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from milvus_lite.server_manager import server_manager_instance

from avsl_core.errors import ConfigError, EncodingError, GalleryError
from avsl_core.models import Rows
from avsl_core.search import MemoryRows
from avsl_core.search.milvus import MilvusGallery, Record
from avsl_core.search.milvus_search import least_product
from tests.search.conftest import brute_force, random_measure, random_rows

COUNT = 300


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("milvus") / "lite.db")
    yield path
    server_manager_instance.release_server(path)


@pytest.fixture(scope="module")
def create(uri):
    """create(measure, rows, ...) -> a new gallery that holds the rows."""
    numbers, opened = itertools.count(), []

    def create(measure, rows=None, *, classes=None, **options):
        gallery = MilvusGallery(uri, f"pictures_{next(numbers)}", measure, **options)
        opened.append(gallery)
        if rows is not None:
            gallery.add(MemoryRows(rows), names_of(len(rows)), classes=classes)
        return gallery

    yield create
    for gallery in opened:
        gallery.close()


@pytest.fixture(scope="module")
def measure():
    return random_measure(0)


@pytest.fixture(scope="module")
def rows():
    return random_rows(1, COUNT)


@pytest.fixture(scope="module")
def queries():
    return random_rows(2, 5)


@pytest.fixture(scope="module")
def gallery(create, measure, rows):
    return create(measure, rows, classes=[f"kind {i % 3}" for i in range(COUNT)])


def names_of(count):
    return [f"{i}.jpg" for i in range(count)]


def assert_same(found, expected):
    assert torch.equal(found.rows[:, : expected[0].shape[1]], expected[0])
    assert torch.equal(found.distances[:, : expected[1].shape[1]], expected[1])


class TestExactMode:
    @given(
        seed=st.integers(0, 10**6),
        alpha=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
        beta=st.sampled_from([0.0, 0.5, 20.0]),
        certainty=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
        count=st.integers(1, 400),
        k=st.integers(1, 12),
    )
    @settings(max_examples=8, deadline=None)
    def test_equals_brute_force_for_gates_of_every_kind(self, create, seed, alpha, beta, certainty, count, k):
        measure = random_measure(seed, alpha=alpha, beta=beta)
        rows = random_rows(seed, count, certainty=certainty, repeated=count // 3)
        queries = random_rows(seed + 1, 3, certainty=certainty)
        gallery = create(measure, rows)
        assert_same(gallery.search(queries, k), brute_force(measure, queries, rows, k))
        gallery.drop()

    def test_equals_brute_force_without_gates(self, create, plain_measure):
        vectors = torch.randn(100, 24, generator=torch.Generator().manual_seed(0))
        rows = Rows(vectors, torch.empty(100, 0))
        assert_same(
            create(plain_measure, rows).search(rows[:4], 5), brute_force(plain_measure, rows[:4], rows, 5)
        )

    def test_equals_brute_force_by_weighted_parts(self, gallery, measure, rows, queries):
        for weights in ([1.0, 0.0, 0.0], [0.5, 0.0, 3.0]):
            found = gallery.search(queries, 6, part_weights=weights)
            assert_same(found, brute_force(measure, queries, rows, 6, part_weights=weights))

    def test_measures_far_fewer_than_all(self, create, queries):
        # Gates that hardly differ: the bound is close to the distance.
        measure = random_measure(3, alpha=0.1)
        gallery = create(measure, random_rows(4, COUNT, certainty=0.05))
        assert float(gallery.search(queries, 3).verified.float().mean()) < COUNT / 4

    def test_splits_the_rows_where_an_answer_can_be_no_longer(self, create, queries, monkeypatch):
        monkeypatch.setattr("avsl_core.search.milvus_search._MOST", 20)
        measure = random_measure(5, alpha=30.0)
        rows = random_rows(6, COUNT, certainty=1.0, repeated=200)
        gallery = create(measure, rows)
        found = gallery.search(queries, 9)
        assert_same(found, brute_force(measure, queries, rows, 9))
        assert bool((found.bounded > 20).all())

    def test_excludes_one_row_per_query(self, gallery, measure, rows):
        own = torch.tensor([5, -1])
        found = gallery.search(rows[torch.tensor([5, 6])], 4, exclude=own)
        assert_same(found, brute_force(measure, rows[torch.tensor([5, 6])], rows, 4, exclude=own))

    def test_finds_only_the_classes_asked_for(self, gallery, measure, rows, queries):
        allowed = torch.arange(COUNT) % 3 != 0
        found = gallery.search(queries, 5, classes=["kind 1", "kind 2"])
        assert_same(found, brute_force(measure, queries, rows, 5, allowed=allowed))
        assert bool((gallery.search(queries, 5, classes=[]).rows == -1).all())
        named = gallery.search(queries, 5, names=["3.jpg", "4.jpg", "5.jpg"], classes=["kind 1", "kind 2"])
        assert {row for row in named.rows.flatten().tolist() if row >= 0} == {4, 5}
        assert bool((gallery.search(queries, 5, classes=["none such"]).rows == -1).all())

    def test_more_neighbours_than_pictures_leave_places_empty(self, create, measure, rows):
        found = create(measure, rows[:3]).search(rows[:1], 5)
        assert (found.rows[0] >= 0).tolist() == [True, True, True, False, False]

    def test_an_empty_gallery_gives_nothing(self, create, measure, queries):
        gallery = create(measure)
        assert len(gallery) == 0
        assert bool((gallery.search(queries, 2).rows == -1).all())


class TestRounding:
    @given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-3, 1.0, 1e3]))
    @settings(max_examples=60, deadline=None)
    def test_no_row_within_the_distance_has_a_lesser_product_in_float32(self, seed, scale):
        g = torch.Generator().manual_seed(seed)
        x, w = scale * torch.randn(500, generator=g), torch.rand(500, generator=g)
        y = x + scale * 0.1 * torch.randn(200, 500, generator=g)
        x64, w64 = x.double(), w.double()
        own = float((w64 * x64.square()).sum())
        bounds = (w64 * (x64 - y.double()).square()).sum(dim=1)
        asked = torch.cat([2 * w64 * x64, -w64]).float()
        products = torch.cat([y, y.square()], dim=1) @ asked
        for bound, product in zip(bounds.tolist(), products.tolist(), strict=True):
            assert product >= least_product(own, bound, 1000)

    def test_the_margin_is_small_where_widths_are_those_of_the_default_model(self):
        assert 1.0 - 0.3 - least_product(1.0, 0.3, 3072) < 2e-3


class TestFastMode:
    def test_finds_nearly_all_and_measures_in_full(self, create, measure, rows, queries):
        gallery = create(measure, rows, mode="fast")
        found = gallery.search(queries, 5)
        rows_, distances = brute_force(measure, queries, rows, 5)
        assert float((found.distances <= distances).float().mean()) >= 0.9
        assert torch.equal(found.rows[:, 0], rows_[:, 0])
        torch.testing.assert_close(found.parts.sum(dim=2), found.distances)

    def test_excludes_and_filters(self, create, measure, rows):
        gallery = create(measure, rows[:60], classes=["a", "b"] * 30, mode="fast")
        found = gallery.search(rows[:2], 50, exclude=torch.tensor([0, -1]), classes=["a"])
        assert 0 not in found.rows[0].tolist()
        assert found.rows[1].max() == 58
        assert bool((found.rows % 2 <= 0).logical_or(found.rows == -1).all())


class TestContents:
    def test_names_digests_and_classes_come_back(self, create, measure, rows):
        gallery = create(measure)
        strange = 'é "quoted" \\ 鳥.jpg'
        assert (
            gallery.add(MemoryRows(rows[:2]), ["a.jpg", strange], digests=["d0", "d1"], classes=["x", "y"])
            == 2
        )
        assert gallery.records([1, -1, 0, 9]) == [
            Record(1, strange, "d1", "y"),
            None,
            Record(0, "a.jpg", "d0", "x"),
            None,
        ]
        assert gallery.remove([strange]) == 1
        assert len(gallery) == 1

    def test_what_is_added_later_is_found_though_its_gates_are_wider(self, create, measure, rows, queries):
        gallery = create(measure, rows[:50])
        wide = Rows(rows.vectors[50:], rows.gates[50:] * 40)
        gallery.add(MemoryRows(wide), names_of(COUNT - 50))
        together = Rows(rows.vectors, torch.cat([rows.gates[:50], wide.gates]))
        assert_same(gallery.search(queries, 8), brute_force(measure, queries, together, 8))

    def test_removed_pictures_are_not_found(self, create, measure, rows, queries):
        gallery = create(measure, rows)
        nearest = gallery.search(queries, 1).rows[:, 0].unique()
        assert gallery.remove([f"{row}.jpg" for row in nearest.tolist()]) == len(nearest)
        allowed = torch.ones(COUNT, dtype=torch.bool)
        allowed[nearest] = False
        assert_same(gallery.search(queries, 4), brute_force(measure, queries, rows, 4, allowed=allowed))

    def test_rows_removed_from_the_source_stay_out(self, create, measure, rows):
        source = MemoryRows(rows[:10])
        source.live = torch.arange(10) % 2 == 0
        gallery = create(measure)
        assert gallery.add(source, names_of(10)) == 5
        assert [r.name for r in gallery.records(range(5))] == ["0.jpg", "2.jpg", "4.jpg", "6.jpg", "8.jpg"]

    def test_it_is_still_there_when_milvus_comes_back(self, tmp_path, measure, rows, queries):
        uri = str(tmp_path / "kept.db")
        try:
            with MilvusGallery(uri, "pictures", measure, fingerprint="one") as gallery:
                gallery.add(MemoryRows(rows[:50]), names_of(50))
            server_manager_instance.release_server(uri)
            with MilvusGallery(uri, "pictures", measure, fingerprint="one") as gallery:
                assert len(gallery) == 50
                assert_same(gallery.search(queries, 3), brute_force(measure, queries, rows[:50], 3))
        finally:
            server_manager_instance.release_server(uri)


class TestRefusals:
    def test_of_another_checkpoint_widths_or_mode(self, uri, measure):
        taken = "taken"
        MilvusGallery(uri, taken, measure, fingerprint="one").close()
        for options, message in (
            ({"fingerprint": "two"}, "another checkpoint"),
            ({"fingerprint": "one", "mode": "fast"}, "is in mode 'exact'"),
        ):
            with pytest.raises(GalleryError, match=message):
                MilvusGallery(uri, taken, measure, **options)
        with pytest.raises(GalleryError, match="other widths"):
            MilvusGallery(uri, taken, random_measure(0, nodes=5), fingerprint="one")

    def test_of_a_collection_that_is_no_gallery(self, uri, measure):
        from pymilvus import MilvusClient

        client = MilvusClient(uri)
        client.create_collection("strange", dimension=4)
        client.close()
        with pytest.raises(GalleryError, match="not a gallery of this library"):
            MilvusGallery(uri, "strange", measure)

    def test_of_an_address_where_nothing_answers(self, measure):
        with pytest.raises(GalleryError, match=r"127.0.0.1:9: no Milvus answers there"):
            MilvusGallery("http://127.0.0.1:9", "pictures", measure)

    def test_of_a_path_that_is_no_milvus_lite_file(self, measure, tmp_path):
        with pytest.raises(GalleryError, match="no Milvus answers there"):
            MilvusGallery(str(tmp_path / "missing" / "x.db"), "pictures", measure)
        with pytest.raises(GalleryError, match=r"\.db"):
            MilvusGallery(str(tmp_path / "x"), "pictures", measure)

    def test_of_a_machine_without_pymilvus(self, measure, monkeypatch):
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(ConfigError, match="pip install pymilvus"):
            MilvusGallery("http://127.0.0.1:9", "pictures", measure)

    def test_of_rows_wider_than_milvus_holds(self, uri):
        with pytest.raises(ConfigError, match="wider than Milvus holds"):
            MilvusGallery(uri, "wide", random_measure(0, nodes=4200, levels=2, alpha=0.0), mode="fast")

    def test_of_what_cannot_be_added_or_asked(self, gallery, rows, queries):
        with pytest.raises(ConfigError, match="3 names for 2 rows"):
            gallery.add(MemoryRows(rows[:2]), names_of(3))
        with pytest.raises(EncodingError, match="not finite"):
            gallery.add(MemoryRows(Rows(rows.vectors[:1] / 0, rows.gates[:1])), ["a"])
        with pytest.raises(EncodingError, match="do not fit"):
            gallery.add(MemoryRows(Rows(rows.vectors[:1, 1:], rows.gates[:1])), ["a"])
        with pytest.raises(GalleryError, match="longer than"):
            gallery.add(MemoryRows(rows[:1]), ["x" * 5000])
        with pytest.raises(ConfigError, match="k is 0"):
            gallery.search(queries, 0)
        assert len(gallery) == COUNT
