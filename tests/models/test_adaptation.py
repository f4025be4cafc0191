"""The learned adaptation: its function, its distance and its exact account by layer."""

import pytest
import torch
import torch.nn.functional as F

from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.errors import ConfigError, DataError, EncodingError
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationConfig, AdaptationModel, BackboneConfig, build_model
from avsl_core.models.adaptation_head import AdaptationHead, principal_components

VARIANTS = {
    "original": {},
    "original-pca": {"pca": 6},
    "peterson": {"kind": "peterson"},
    "peterson-pca": {"kind": "peterson", "pca": 6, "pooling": "avgmax"},
    "dummy": {"kind": "dummy", "pooling": "avgmax"},
    "dummy-pca": {"kind": "dummy", "pca": 6},
}


@pytest.fixture(scope="module", params=VARIANTS)
def model(request, new_adaptation):
    return new_adaptation(3, **VARIANTS[request.param])


@pytest.fixture
def encoding(model, pictures):
    return model.encode(pictures)


def map_sum(component):
    return float(component.map_a.sum() + component.map_b.sum())


class TestFeatures:
    def test_are_the_pooled_levels_each_of_length_one(self, adaptation, pictures):
        maps = adaptation.trunk_maps(pictures)
        expected = torch.cat([F.normalize(m.mean(dim=(2, 3)), dim=1) for m in maps], dim=1)
        torch.testing.assert_close(adaptation.features(maps), expected)
        assert expected.shape == (6, sum(adaptation.trunk.channels))

    def test_of_average_plus_maximum(self, new_adaptation, pictures):
        model = new_adaptation(pooling="avgmax")
        maps = model.trunk_maps(pictures)
        expected = [F.normalize(m.mean(dim=(2, 3)) + m.amax(dim=(2, 3)), dim=1) for m in maps]
        torch.testing.assert_close(model.features(maps), torch.cat(expected, dim=1))

    def test_a_trunk_of_one_level_will_do(self, new_adaptation, pictures):
        model = new_adaptation(levels=(4,))
        encoded = model.encode(pictures)
        assert [c.name for c in model.explain(encoded[0], encoded[1]).components] == ["layer1"]


class TestDistance:
    def test_is_one_minus_the_cosine_of_the_adapted_features(self, model, pictures, encoding):
        adapted = model.head(model.features(model.trunk_maps(pictures)))
        expected = 1 - F.cosine_similarity(adapted[:1], adapted)
        torch.testing.assert_close(model.distance(encoding[0], encoding), expected, atol=1e-6, rtol=1e-5)

    def test_matrix_holds_the_distances_of_pairs(self, model, encoding):
        matrix = model.distance_matrix(encoding, encoding[:2])
        assert matrix.shape == (6, 2)
        torch.testing.assert_close(matrix[:, 1], model.distance(encoding, encoding[1]), atol=1e-6, rtol=1e-5)

    def test_node_vectors_are_as_far_apart_as_the_pictures(self, model, encoding):
        nodes = model.node_vectors(encoding)
        squared = (nodes[0] - nodes).square().sum(dim=1)
        torch.testing.assert_close(squared, model.distance(encoding[0], encoding), atol=1e-6, rtol=1e-5)

    def test_features_alone_are_enough_to_compare(self, model, pictures, encoding):
        light = model.encode_features(model.features(model.trunk_maps(pictures)))
        torch.testing.assert_close(light.vectors, encoding.vectors)

    def test_a_picture_that_no_output_answers_to_is_half_from_every_other(self, new_adaptation, pictures):
        model = new_adaptation()
        maps = model.trunk_maps(pictures)
        model.head.weight.copy_(-model.features(maps[:3])[0].expand_as(model.head.weight))
        dark, other = model.encode_maps(maps), model.encode_features(torch.zeros(1, model.head.features))
        assert bool((dark.vectors == 0).all())
        assert float(model.distance(dark[0], other)) == 0
        model.head.weight[0].neg_()
        assert model.distance(model.encode_maps(maps)[0], other).item() == pytest.approx(0.5)


class TestAccount:
    @pytest.mark.parametrize("split", ["matched", "zero", "centred", "similarity"])
    def test_maps_add_up_to_layers_and_layers_to_the_distance(self, model, encoding, split):
        account = model.explain(encoding[0], encoding[1], split=split)
        assert (account.method, account.exact, account.residual) == ("adaptation", True, 0.0)
        for side in (account, account.before):
            assert [c.name for c in side.components] == ["layer1", "layer2", "layer3"]
            assert sum(c.value for c in side.components) == side.total
            for component in side.components:
                assert map_sum(component) == pytest.approx(component.value, abs=1e-12)
        assert account.total == pytest.approx(float(model.distance(encoding[0], encoding[1])), rel=1e-4)

    def test_a_layers_value_is_its_part_of_the_difference(self, new_adaptation, pictures):
        model = new_adaptation(3, pca=6).double()
        maps = model.trunk_maps(pictures[:2].double())
        raw = model.features(maps) - model.head.pca_mean
        W = model.head.weight @ model.head.pca_components
        linear = raw @ W.T
        f = linear.relu()
        units = F.normalize(f, dim=1)
        start = 0
        encoded = model.encode_maps(maps)
        for channels, component in zip(
            model.trunk.channels, model.explain(encoded[0], encoded[1]).components, strict=True
        ):
            part = torch.zeros_like(raw)
            part[:, start : start + channels] = raw[:, start : start + channels]
            own = (linear > 0) * (part @ W.T) / f.norm(dim=1, keepdim=True)
            expected = (units[0] - units[1]) @ (own[0] - own[1]) / 2
            assert component.value == pytest.approx(float(expected), abs=1e-12)
            start += channels

    def test_before_is_the_account_of_the_features_as_they_are(self, model, new_adaptation, encoding):
        plain = new_adaptation(3, kind="dummy", pooling=model.config.pooling)
        again = plain.encode_maps(encoding.maps)
        expected = plain.explain(again[0], again[1])
        before = model.explain(encoding[0], encoding[1]).before
        assert before.total == pytest.approx(expected.total, abs=1e-12)
        for one, other in zip(before.components, expected.components, strict=True):
            torch.testing.assert_close(one.map_a, other.map_a)

    def test_of_a_picture_and_itself_is_all_zero(self, model, encoding):
        account = model.explain(encoding[2], encoding[2])
        assert account.total == 0
        assert all((c.map_a == 0).all() and (c.map_b == 0).all() for c in account.components)

    def test_swapping_the_pictures_swaps_the_maps(self, model, encoding):
        forth, back = model.explain(encoding[0], encoding[1]), model.explain(encoding[1], encoding[0])
        assert forth.total == pytest.approx(back.total, rel=1e-12)
        for one, other in zip(forth.components, back.components, strict=True):
            torch.testing.assert_close(one.map_a, other.map_b)

    def test_of_pictures_of_two_sizes(self, model, encoding):
        large = model.encode(torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(3)))
        account = model.explain(encoding[0], large)
        assert account.components[0].map_b.shape == (24, 16)
        assert sum(map(map_sum, account.components)) == pytest.approx(account.total, abs=1e-12)

    def test_of_a_picture_without_any_answer_is_finite_and_complete(self, new_adaptation, encoding):
        model = new_adaptation()
        maps = [m[:1] for m in model.trunk_maps(torch.ones(1, 3, 64, 64))]
        blank = model.encode_maps([torch.zeros_like(m) for m in maps])
        other = model.encode_maps(maps)
        account = model.explain(blank, other)
        assert account.total == pytest.approx(0.5)
        assert sum(map(map_sum, account.components)) == pytest.approx(0.5)
        assert account.before.total == pytest.approx(0.5)

    def test_needs_the_maps(self, model, pictures):
        light = model.encode(pictures[:1], keep_maps=False)
        with pytest.raises(EncodingError, match="keep_maps=True"):
            model.explain(light, light)

    def test_refuses_encodings_of_another_method(self, model, embedding, pictures):
        theirs = embedding.encode(pictures[:1])
        with pytest.raises(EncodingError, match="need AdaptationEncoding, not EmbeddingEncoding"):
            model.explain(theirs, theirs)
        with pytest.raises(EncodingError, match="need an AdaptationEncoding"):
            model.distance(theirs, theirs)


class TestSearch:
    def test_sees_the_distance_in_one_part(self, model):
        measure = model.measure()
        assert (measure.parts, measure.widths, measure.gates) == (("distance",), (model.head.outputs,), 0)


class TestHead:
    def test_original_begins_like_a_linear_layer_and_by_its_generator(self):
        first, again = (
            AdaptationHead(30, width=8, generator=torch.Generator().manual_seed(4)) for _ in range(2)
        )
        assert torch.equal(first.weight, again.weight)
        assert 0.9 / 30**0.5 < float(first.weight.detach().abs().max()) <= 1 / 30**0.5

    def test_peterson_begins_as_the_identity(self):
        features = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
        assert torch.equal(AdaptationHead(5, kind="peterson")(features), features)

    def test_the_dummy_has_nothing_to_learn(self):
        head = AdaptationHead(5, kind="dummy")
        assert not list(head.parameters())
        assert head.outputs == 5

    @pytest.mark.parametrize("shape", [(2, 5), (5,), (1, 2, 5)])
    def test_features_of_another_width_are_refused(self, adaptation, shape):
        with pytest.raises(EncodingError, match=r"features must be \[B, 312\]"):
            adaptation.encode_features(torch.zeros(shape))

    @pytest.mark.parametrize("options", [{}, {"kind": "peterson"}, {"pca": 3}])
    def test_learns_what_finite_differences_say(self, options):
        generator = torch.Generator().manual_seed(1)
        head = AdaptationHead(4, width=5, generator=generator, **options).double()
        features = torch.randn(8, 4, generator=generator, dtype=torch.float64)
        if "pca" in options:
            head.fit_pca(features)

        def function(weight):
            return torch.func.functional_call(head, {"weight": weight}, (features,))

        assert torch.autograd.gradcheck(function, (head.weight.detach().requires_grad_(),))

    def test_an_unfitted_pca_is_refused(self):
        with pytest.raises(EncodingError, match="never fitted"):
            AdaptationHead(5, pca=2)(torch.zeros(1, 5))


class TestPrincipalComponents:
    @pytest.mark.parametrize("pictures", [6, 40])
    def test_are_those_of_the_singular_value_decomposition(self, pictures):
        features = torch.randn(pictures, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        features *= torch.arange(9, 0, -1)
        mean, components = principal_components(features, 4)
        torch.testing.assert_close(mean, features.mean(dim=0))
        torch.testing.assert_close(components @ components.T, torch.eye(4, dtype=torch.float64))
        expected = torch.linalg.svd(features - mean, full_matrices=False).Vh[:4]
        torch.testing.assert_close(
            (components * expected).sum(dim=1).abs(), torch.ones(4, dtype=torch.float64)
        )

    @pytest.mark.parametrize(("shape", "count"), [((5, 9), 5), ((9, 3), 4), ((4, 4), 0)])
    def test_too_many_are_refused(self, shape, count):
        with pytest.raises(DataError, match="set a smaller pca"):
            principal_components(torch.randn(shape), count)


class TestCheckpoint:
    def test_brings_back_adaptation_and_pca(self, model, encoding, pictures, tmp_path):
        path = save_checkpoint(Checkpoint(model, Preprocess(size=64)), tmp_path / "a.safetensors")
        again = load_checkpoint(path).model
        assert again.config == model.config
        assert torch.equal(again.encode(pictures).vectors, encoding.vectors)

    def test_is_refused_where_the_pca_was_not_fitted(self, tmp_path, pictures):
        config = AdaptationConfig(BackboneConfig("mobilenetv3_small_050", (2, 4)), width=4, pca=3)
        path = save_checkpoint(
            Checkpoint(AdaptationModel(config), Preprocess(size=64)), tmp_path / "a.safetensors"
        )
        with pytest.raises(EncodingError, match="never fitted"):
            load_checkpoint(path).model.encode(pictures)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "linear"}, "kind must be"),
        ({"width": 0}, "width must be at least 1"),
        ({"pca": -1}, "pca must be 0"),
        ({"pooling": "max"}, "pooling must be"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AdaptationConfig(**options)


def test_it_is_built_by_name():
    plain = {"backbone": {"name": "mobilenetv3_small_050", "levels": [1, 4]}, "kind": "peterson"}
    assert build_model("adaptation", plain).config.backbone.levels == (1, 4)


def test_channels_last_networks_are_pooled_over_their_cells(new_adaptation):
    model = new_adaptation(trunk="swin_tiny_patch4_window7_224", levels=(0, 1), width=4)
    maps = model.trunk_maps(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape) for m in maps] == [(1, 96, 56, 56), (1, 192, 28, 28)]


def test_clip_says_what_to_install_or_what_there_is():
    """With open_clip the name is looked up there; without it, the message names the package."""
    with pytest.raises(ConfigError, match=r"pip install open_clip_torch|open_clip has no ResNet"):
        AdaptationModel(AdaptationConfig(BackboneConfig("clip:RN7", (1, 2))))
