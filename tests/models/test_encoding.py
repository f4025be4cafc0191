"""Encodings: immutable values that can be indexed, joined and moved."""

import dataclasses

import numpy as np
import pytest
import torch

from avsl_core.errors import EncodingError
from avsl_core.models import AvslEncoding, EmbeddingEncoding


@pytest.fixture(scope="module")
def encoded(avsl, pictures):
    return avsl.encode(pictures)


def same(a, b):
    for spec in dataclasses.fields(a):
        left, right = getattr(a, spec.name), getattr(b, spec.name)
        if left is None or right is None:
            if left is not right:
                return False
        elif not all(torch.equal(x, y) for x, y in zip(left, right, strict=True)):
            return False
    return type(a) is type(b)


class TestEncode:
    def test_holds_every_level_from_low_to_high(self, avsl, encoded):
        assert len(encoded) == 6
        assert [tuple(n.shape) for n in encoded.nodes] == [(6, 12)] * 3
        assert [tuple(s.shape) for s in encoded.certainties] == [(6, 12)] * 3
        assert [tuple(norm.shape) for norm in encoded.norms] == [(6,)] * 3
        assert [m.shape[1] for m in encoded.maps] == list(avsl.trunk.channels)

    def test_nodes_have_length_one_and_norms_are_positive(self, encoded):
        for nodes, norms in zip(encoded.nodes, encoded.norms, strict=True):
            torch.testing.assert_close(nodes.norm(dim=1), torch.ones(6))
            assert (norms > 0).all()

    def test_leaves_the_maps_out_on_request(self, avsl, encoded, pictures):
        light = avsl.encode(pictures, keep_maps=False)
        assert light.maps is None
        assert same(dataclasses.replace(encoded, maps=None), light)

    def test_cached_maps_give_the_same_encoding(self, avsl, encoded, pictures):
        assert same(avsl.encode_maps(avsl.trunk_maps(pictures)), encoded)

    def test_a_symmetric_method_ignores_the_role(self, avsl, encoded, pictures):
        assert same(avsl.encode(pictures, role="gallery"), encoded)

    @pytest.mark.parametrize("shape", [(3, 64, 64), (2, 1, 64, 64), (2, 64, 64, 3)])
    def test_refuses_what_is_no_batch_of_rgb_pictures(self, avsl, embedding, shape):
        for model in (avsl, embedding):
            with pytest.raises(EncodingError, match=r"pictures must be \[B, 3, S, S\]"):
                model.encode(torch.zeros(shape))

    @pytest.mark.parametrize("kind", [torch.uint8, torch.int64])
    def test_refuses_pictures_that_are_not_normalised(self, avsl, embedding, kind):
        for model in (avsl, embedding):
            with pytest.raises(EncodingError, match=f"not {kind}: normalise them first"):
                model.encode(torch.zeros(2, 3, 64, 64, dtype=kind))


class TestIndexing:
    @pytest.mark.parametrize(
        "index", [2, -1, np.int64(2), torch.tensor(2), torch.tensor([[0.1, 0.0]]).argmin()], ids=repr
    )
    def test_a_single_number_of_any_kind_keeps_a_batch_of_one(self, encoded, index):
        one = encoded[index]
        assert len(one) == 1
        assert torch.equal(one.nodes[0][0], encoded.nodes[0][int(index)])
        assert one.maps[0].shape[0] == 1

    @pytest.mark.parametrize(
        ("index", "expected"),
        [
            (slice(1, 4), [1, 2, 3]),
            (slice(None, None, 2), [0, 2, 4]),
            (slice(4, 4), []),
            ([5, 0, 0], [5, 0, 0]),
            ((1, 2), [1, 2]),
            ([], []),
            (np.array([3, 1]), [3, 1]),
            (torch.tensor([3, 1]), [3, 1]),
            (torch.tensor([True, False, False, True, False, False]), [0, 3]),
            ([True, False, False, True, False, False], [0, 3]),
        ],
        ids=repr,
    )
    def test_selects_pictures_in_order(self, encoded, index, expected):
        chosen = encoded[index]
        assert len(chosen) == len(expected)
        for level in range(3):
            assert torch.equal(chosen.nodes[level], encoded.nodes[level][expected])
            assert torch.equal(chosen.maps[level], encoded.maps[level][expected])

    @pytest.mark.parametrize("index", [6, -7, torch.tensor(6)])
    def test_beyond_the_end_is_an_index_error(self, encoded, index):
        with pytest.raises(IndexError, match="of an encoding of 6"):
            encoded[index]

    def test_ends_a_loop_like_any_sequence(self, encoded):
        assert len(list(encoded)) == 6

    def test_without_maps_stays_without(self, avsl, pictures):
        assert avsl.encode(pictures, keep_maps=False)[1:3].maps is None


class TestConcatenate:
    def test_undoes_cutting(self, encoded):
        assert same(AvslEncoding.concatenate([encoded[:1], encoded[1:4], encoded[4:]]), encoded)

    def test_one_part_without_maps_leaves_all_without(self, avsl, encoded, pictures):
        light = avsl.encode(pictures[:2], keep_maps=False)
        joined = AvslEncoding.concatenate([encoded, light])
        assert joined.maps is None
        assert len(joined) == 8

    def test_refuses_nothing(self):
        with pytest.raises(EncodingError, match="nothing to join"):
            AvslEncoding.concatenate([])

    def test_refuses_another_method(self, embedding, encoded, pictures):
        other = embedding.encode(pictures)
        with pytest.raises(EncodingError, match="cannot join EmbeddingEncoding to AvslEncoding"):
            AvslEncoding.concatenate([encoded, other])
        with pytest.raises(EncodingError, match="cannot join AvslEncoding to EmbeddingEncoding"):
            EmbeddingEncoding.concatenate([encoded])

    @pytest.mark.parametrize("options", [{"nodes": 7}, {"levels": (2, 3)}])
    def test_refuses_encodings_of_another_shape(self, new_avsl, encoded, pictures, options):
        other = new_avsl(**options).encode(pictures)
        with pytest.raises(EncodingError, match="do not fit together"):
            AvslEncoding.concatenate([encoded, other])


class TestValue:
    def test_fields_cannot_be_set(self, encoded):
        with pytest.raises(dataclasses.FrozenInstanceError):
            encoded.maps = None

    def test_moves_to_a_device_and_leaves_the_first_where_it_was(self, encoded, device):
        moved = encoded.to(device)
        assert {t.device.type for t in (*moved.nodes, *moved.norms, *moved.certainties, *moved.maps)} == {
            device.type
        }
        assert encoded.nodes[0].device.type == "cpu"
        assert same(moved.to("cpu"), encoded)

    def test_measuring_and_explaining_do_not_change_it(self, avsl, encoded):
        before = AvslEncoding.concatenate([encoded])
        avsl.distance_matrix(encoded, encoded)
        avsl.explain(encoded[0], encoded[1])
        assert same(encoded, before)
