"""build_model and model_config: methods by name, from plain values and back."""

import json

import pytest
import torch

from avsl_core.errors import CheckpointError, ConfigError
from avsl_core.models import METHODS, AvslModel, EmbeddingConfig, EmbeddingModel, build_model, model_config

TRUNK = {"name": "mobilenetv3_small_050", "levels": [2, 3, 4]}


@pytest.mark.parametrize(("method", "kind"), [("avsl", AvslModel), ("embedding", EmbeddingModel)])
class TestEveryMethod:
    def test_is_built_by_name(self, method, kind):
        model = build_model(method, {"backbone": TRUNK, "nodes": 6})
        assert type(model) is kind
        assert model.method == method
        assert model.trunk.config.levels == (2, 3, 4)

    def test_configuration_survives_json(self, method, kind):
        model = build_model(method, {"backbone": TRUNK, "nodes": 6})
        again = build_model(method, json.loads(json.dumps(model_config(model))))
        assert again.config == model.config

    def test_unknown_option_is_an_error(self, method, kind):
        with pytest.raises(
            ConfigError, match=f"unknown key 'node' in {method} configuration; known: .*nodes"
        ):
            build_model(method, {"node": 6})

    def test_weights_are_passed_on(self, method, kind, tmp_path):
        with pytest.raises(CheckpointError, match=r"nothing\.pth"):
            build_model(method, {"backbone": TRUNK, "nodes": 6}, weights=str(tmp_path / "nothing.pth"))

    def test_generator_is_passed_on(self, method, kind):
        first, again = (
            build_model(method, {"backbone": TRUNK, "nodes": 6}, generator=torch.Generator().manual_seed(3))
            for _ in range(2)
        )
        assert torch.equal(first.projections[0], again.projections[0])


def test_unknown_method_is_an_error_that_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown method 'siamese'; known: avsl, .*embedding, .*cgd"):
        build_model("siamese", {})


def test_every_registered_method_carries_its_own_name():
    assert all(entry.model.method == name for name, entry in METHODS.items())


@pytest.mark.parametrize(
    ("options", "message"), [({"nodes": -1}, "nodes must be 0"), ({"pooling": "max"}, "pooling must be")]
)
def test_the_embedding_refuses_values_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddingConfig(**options)
