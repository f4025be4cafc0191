"""distance and distance_matrix of both methods: one truth, however it is asked for."""

import pytest
import torch
from torch.testing import assert_close

from avsl_core import functional as AF
from avsl_core.errors import EncodingError


@pytest.fixture(scope="module", params=["avsl", "embedding", "frozen features"])
def model(request, avsl, embedding, new_embedding):
    if request.param == "frozen features":
        return new_embedding(nodes=0)
    return avsl if request.param == "avsl" else embedding


@pytest.fixture(scope="module")
def encoded(model, pictures):
    return model.encode(pictures)


class TestBothMethods:
    def test_matrix_holds_the_pairs(self, model, encoded):
        matrix = model.distance_matrix(encoded, encoded)
        assert matrix.shape == (6, 6)
        for i in range(6):
            for j in range(6):
                assert_close(matrix[i, j], model.distance(encoded[i], encoded[j])[0], rtol=1e-5, atol=1e-6)

    def test_is_symmetric_not_negative_and_zero_to_itself(self, model, encoded):
        matrix = model.distance_matrix(encoded, encoded)
        assert (matrix >= 0).all()
        assert_close(matrix, matrix.T, rtol=1e-5, atol=1e-6)
        assert (model.distance(encoded, encoded) == 0).all()
        assert (matrix + 10 * torch.eye(6)).min() > 1e-4  # different pictures are apart

    @pytest.mark.parametrize("budget", [1, 5_000, 2**40])
    def test_byte_budget_changes_nothing_but_the_blocks(self, model, encoded, budget):
        whole = model.distance_matrix(encoded, encoded)
        assert_close(model.distance_matrix(encoded, encoded, byte_budget=budget), whole, rtol=1e-5, atol=1e-6)

    def test_one_picture_is_measured_against_many_from_either_side(self, model, encoded):
        row = model.distance_matrix(encoded[2], encoded)[0]
        assert_close(model.distance(encoded[2], encoded), row, rtol=1e-5, atol=1e-6)
        assert_close(model.distance(encoded, encoded[2]), row, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(("rows", "columns"), [(0, 6), (6, 0), (0, 0)])
    def test_nothing_against_something_is_an_empty_matrix(self, model, encoded, rows, columns):
        assert model.distance_matrix(encoded[:rows], encoded[:columns]).shape == (rows, columns)

    def test_encodings_without_maps_are_enough(self, model, encoded, pictures):
        light = model.encode(pictures, keep_maps=False)
        assert torch.equal(model.distance_matrix(light, light), model.distance_matrix(encoded, encoded))

    def test_a_picture_measures_the_same_alone_and_in_a_batch(self, model, encoded, pictures):
        alone = model.encode(pictures[3:4])
        assert_close(
            model.distance(alone, encoded), model.distance(encoded[3], encoded), rtol=1e-4, atol=1e-6
        )

    def test_node_vectors_are_one_row_a_picture(self, model, encoded):
        vectors = model.node_vectors(encoded)
        assert vectors.shape[0] == 6
        assert vectors.dim() == 2

    def test_refuses_to_pair_different_numbers(self, model, encoded):
        with pytest.raises(EncodingError, match="equal numbers: 3 and 2"):
            model.distance(encoded[:3], encoded[:2])

    def test_refuses_encodings_of_the_other_method(self, model, encoded, avsl, embedding, pictures):
        other = (embedding if model is avsl else avsl).encode(pictures)
        for function in (model.distance, model.distance_matrix):
            with pytest.raises(EncodingError, match="encode with this model"):
                function(encoded, other)
            with pytest.raises(EncodingError, match="encode with this model"):
                function(other, encoded)
        with pytest.raises(EncodingError, match="encode with this model"):
            model.node_vectors(other)


class TestAvsl:
    def test_equals_the_function(self, avsl, pictures):
        encoded, unused = avsl.encode(pictures), torch.zeros(12)
        expected = AF.avsl_distance(
            encoded.nodes,
            encoded.certainties,
            encoded.nodes,
            encoded.certainties,
            avsl.linkages,
            [unused, *avsl.alphas],
            [unused, *avsl.betas],
            top_k=avsl.config.top_k,
            gamma=avsl.config.gamma,
        )
        assert_close(avsl.distance_matrix(encoded, encoded), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("options", [{"nodes": 7}, {"levels": (2, 3)}])
    def test_refuses_encodings_of_a_model_of_another_shape(self, avsl, new_avsl, pictures, options):
        other = new_avsl(**options).encode(pictures)
        with pytest.raises(EncodingError, match=r"the encoding has .* nodes, this model \[12, 12, 12\]"):
            avsl.distance(other, other)

    def test_certainty_mode_and_gamma_of_the_configuration_count(self, new_avsl, pictures):
        matrices = []
        for options in ({}, {"certainty": "global"}, {"gamma": 1.0}):
            model = new_avsl(**options)
            encoded = model.encode(pictures)
            matrices.append(model.distance_matrix(encoded, encoded))
        assert not torch.allclose(matrices[0], matrices[1], rtol=1e-3, atol=0)
        assert not torch.allclose(matrices[0], matrices[2], rtol=1e-3, atol=0)

    def test_double_precision_models_measure_in_double_precision(self, new_avsl, pictures):
        model = new_avsl().double()
        encoded = model.encode(pictures.double())
        matrix = model.distance_matrix(encoded, encoded)
        assert matrix.dtype == torch.float64
        assert_close(matrix, matrix.T, rtol=1e-12, atol=1e-14)

    def test_every_device_measures_the_same(self, new_avsl, pictures, device, monkeypatch):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # GPUs round convolutions otherwise
        model = new_avsl().to(device)
        encoded = model.encode(pictures.to(device))
        here = new_avsl().encode(pictures)
        assert model.device.type == device.type
        assert_close(
            model.distance_matrix(encoded, encoded).cpu(),
            new_avsl().distance_matrix(here, here),
            rtol=1e-3,
            atol=1e-4,
        )


class TestEmbedding:
    def test_is_the_mean_over_levels_of_the_squared_distance(self, embedding, pictures):
        encoded = embedding.encode(pictures)
        levels = torch.stack([torch.cdist(n, n).square() for n in encoded.nodes])
        assert_close(embedding.distance_matrix(encoded, encoded), levels.mean(dim=0), rtol=1e-4, atol=1e-6)

    def test_refuses_encodings_of_a_model_of_another_width(self, embedding, new_embedding, pictures):
        other = new_embedding(nodes=7).encode(pictures)
        with pytest.raises(EncodingError, match=r"\[7, 7, 7\] nodes, this model \[12, 12, 12\]"):
            embedding.distance(other, other)

    @pytest.mark.parametrize(("pooling", "with_peak"), [("avg", 0.0), ("avgmax", 1.0)])
    def test_frozen_features_are_the_pooled_maps(self, new_embedding, pictures, pooling, with_peak):
        model = new_embedding(nodes=0, pooling=pooling)
        encoded = model.encode(pictures)
        for nodes, m in zip(encoded.nodes, encoded.maps, strict=True):
            pooled = m.mean(dim=(2, 3)) + with_peak * m.amax(dim=(2, 3))
            assert_close(nodes, pooled / pooled.norm(dim=1, keepdim=True))
