"""CgdModel: descriptors of one map, published values, an exact account for each descriptor."""

import json

import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import BackboneConfig, CgdConfig, build_model, model_config
from avsl_core.models.cgd import CGD_DESCRIPTORS, CgdModel

SPLITS = ["matched", "zero", "centred", "similarity"]


@pytest.fixture
def published_model(published, new_cgd):
    """A model with the published projections; its trunk is not looked at."""
    model = new_cgd(nodes=18)
    for position, kind in enumerate("SMG"):
        model.projections[position].data = published(f"cgd/weight_{kind}")
    return model


@pytest.fixture(scope="module")
def maps(cgd):
    """Random maps with values of both signs, [8, C, 6, 5]."""
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(8, cgd.trunk.channels[0], 6, 5, generator=generator)]


def map_sum(component):
    return float(component.map_a.sum() + component.map_b.sum())


class TestPublishedValues:
    def test_descriptors(self, published, published_model):
        for kind, descriptor in zip("SMG", published_model.pooled([published("cgd/map")]), strict=True):
            torch.testing.assert_close(descriptor, published(f"cgd/descriptor_{kind}"), atol=1e-5, rtol=1e-5)

    def test_the_joined_vector(self, published, published_model):
        encoding = published_model.encode_maps([published("cgd/map")])
        torch.testing.assert_close(
            published_model.node_vectors(encoding), published("cgd/embedding_SMG"), atol=1e-5, rtol=1e-5
        )

    def test_the_distance_is_that_of_the_joined_vectors(self, published, published_model):
        encoding = published_model.encode_maps([published("cgd/map")])
        vectors = published("cgd/embedding_SMG")
        expected = torch.cdist(vectors.double(), vectors.double()).square().float()
        matrix = published_model.distance_matrix(encoding, encoding)
        torch.testing.assert_close(matrix, expected, atol=1e-5, rtol=1e-5)


class TestConfig:
    @pytest.mark.parametrize("descriptors", CGD_DESCRIPTORS)
    def test_takes_the_twelve_published_configurations(self, descriptors):
        assert CgdConfig(descriptors=descriptors, nodes=12).kinds == tuple(descriptors)

    @pytest.mark.parametrize("descriptors", ["", "GMS", "SS", "SMGS", "X", "sm"])
    def test_refuses_any_other_and_names_the_twelve(self, descriptors):
        with pytest.raises(ConfigError, match=", ".join(CGD_DESCRIPTORS)):
            CgdConfig(descriptors=descriptors)

    @pytest.mark.parametrize("nodes", [0, -3, 10])
    def test_refuses_a_length_that_does_not_divide(self, nodes):
        with pytest.raises(ConfigError, match=f"nodes={nodes}: must be a multiple of 3"):
            CgdConfig(nodes=nodes)

    def test_refuses_several_levels(self):
        with pytest.raises(ConfigError, match="give one level only"):
            CgdConfig(BackboneConfig(levels=(3, 4)))

    def test_is_published_by_default(self):
        config = CgdConfig()
        assert (config.backbone.name, config.backbone.levels) == ("resnet50", (4,))
        assert (config.backbone.undownsampled, config.descriptors, config.nodes) == (True, "SMG", 1536)

    def test_survives_json(self, cgd):
        again = build_model("cgd", json.loads(json.dumps(model_config(cgd))))
        assert type(again) is CgdModel
        assert again.config == cgd.config


class TestDistance:
    def test_is_the_mean_of_the_descriptors_squared_distances(self, cgd, maps):
        encoding = cgd.encode_maps(maps)
        parts = [(n[:1] - n).square().sum(dim=1) for n in encoding.nodes]
        torch.testing.assert_close(cgd.distance(encoding[0], encoding), torch.stack(parts).mean(dim=0))

    @pytest.mark.parametrize("descriptors", ["G", "MS", "SMG"])
    def test_vectors_have_length_one(self, new_cgd, maps, descriptors):
        model = new_cgd(descriptors=descriptors)
        lengths = model.node_vectors(model.encode_maps(maps)).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(8))

    def test_the_matrix_holds_the_distances_of_all_pairs(self, cgd, maps):
        encoding = cgd.encode_maps(maps, keep_maps=False)
        matrix = cgd.distance_matrix(encoding, encoding)
        for row in range(8):
            torch.testing.assert_close(
                matrix[row], cgd.distance(encoding[row], encoding), atol=1e-6, rtol=1e-5
            )

    def test_the_order_of_the_descriptors_changes_no_distance(self, new_cgd, maps):
        one, other = new_cgd(descriptors="SM"), new_cgd(descriptors="MS")
        other.projections[0].data, other.projections[1].data = one.projections[1], one.projections[0]
        a, b = one.encode_maps(maps), other.encode_maps(maps)
        torch.testing.assert_close(one.distance(a[0], a), other.distance(b[0], b))

    def test_gradients_reach_every_projection_and_the_map(self, new_cgd, maps):
        model = new_cgd().requires_grad_(True)
        features = maps[0].clone().requires_grad_(True)
        encoding = model.encode_maps([features])
        model.distance(encoding[0], encoding[1:]).sum().backward()
        assert features.grad.abs().sum() > 0
        assert all(w.grad.abs().sum() > 0 for w in model.projections)

    def test_an_encoding_of_another_width_is_refused(self, cgd, new_cgd, maps):
        encoding = new_cgd(nodes=6).encode_maps(maps)
        with pytest.raises(EncodingError, match="encode with this model"):
            cgd.distance(encoding, encoding)

    def test_an_encoding_of_another_method_is_refused(self, cgd, embedding, pictures):
        encoding = embedding.encode(pictures)
        with pytest.raises(EncodingError, match="need a CgdEncoding, not EmbeddingEncoding"):
            cgd.distance(encoding, encoding)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("descriptors", ["S", "M", "G", "GS", "SMG"])
class TestCompleteness:
    def test_the_account_adds_up(self, new_cgd, maps, descriptors, split):
        model = new_cgd(descriptors=descriptors).double()
        encoding = model.encode_maps([maps[0].double()])
        account = model.explain(encoding[0], encoding[1], split=split)
        assert [c.name for c in account.components] == list(descriptors)
        for component in account.components:
            assert map_sum(component) == pytest.approx(component.value, rel=1e-9, abs=1e-12)
        assert sum(c.value for c in account.components) == account.total
        assert account.total == pytest.approx(model.distance(encoding[0], encoding[1]).item(), rel=1e-9)
        assert (account.exact, account.residual) == (True, 0.0)


class TestAccount:
    def test_in_float32_it_is_that_of_the_distance(self, cgd, pictures):
        encoding = cgd.encode(pictures)
        account = cgd.explain(encoding[0], encoding[1])
        assert account.total == pytest.approx(cgd.distance(encoding[0], encoding[1]).item(), rel=1e-4)
        assert all(c.map_a.shape == (4, 4) and c.map_a.dtype == torch.float64 for c in account.components)

    @pytest.mark.parametrize("split", ["matched", "zero", "centred"])
    def test_m_lies_at_the_cells_of_the_maxima_and_nowhere_else(self, cgd, maps, split):
        encoding = cgd.encode_maps(maps)
        component = cgd.explain(encoding[0], encoding[1], split=split).component("M")
        for features, drawn in ((maps[0][0], component.map_a), (maps[0][1], component.map_b)):
            peaks = torch.zeros(6 * 5, dtype=torch.bool)
            peaks[features.flatten(1).argmax(dim=1)] = True
            assert (drawn.flatten()[~peaks] == 0).all()
            assert (drawn.flatten()[peaks] != 0).any()

    def test_s_is_spread_by_the_value_of_each_cell(self, new_cgd, maps):
        model = new_cgd(descriptors="S")
        encoding = model.encode_maps(maps)
        component = model.explain(encoding[0], encoding[1], split="zero").component("S")
        cells = maps[0][0].double().flatten(1).T @ model.projections[0].double().T
        n = [F.normalize(e, dim=1)[0] for e in (cells.mean(dim=0, keepdim=True), encoding.nodes[0][1:2])]
        expected = cells @ (n[0] - n[1].double()) / 30 / cells.mean(dim=0).norm()
        torch.testing.assert_close(component.map_a.flatten(), expected, atol=1e-6, rtol=1e-5)

    def test_g_is_spread_by_the_cubes(self, new_cgd, maps):
        model = new_cgd(descriptors="G")
        encoding = model.encode_maps(maps)
        component = model.explain(encoding[0], encoding[1], split="zero").component("G")
        features = maps[0][0].double()
        shares = features.pow(3) / features.pow(3).sum(dim=(1, 2), keepdim=True)
        pooled = AF.global_descriptor(features[None], "G")[0]
        e = model.projections[0].double() @ pooled
        other = F.linear(AF.global_descriptor(maps[0][1:2].double(), "G")[0], model.projections[0].double())
        pull = (e / e.norm() - other / other.norm()) @ model.projections[0].double() / e.norm()
        torch.testing.assert_close(component.map_a, torch.einsum("c,chw->hw", pull * pooled, shares))

    def test_matched_gives_s_half_of_its_value_on_either_side(self, cgd, maps):
        encoding = cgd.encode_maps(maps)
        component = cgd.explain(encoding[0], encoding[1]).component("S")
        assert float(component.map_a.sum()) == pytest.approx(component.value / 2)

    def test_swapping_the_pictures_swaps_the_maps(self, cgd, maps):
        encoding = cgd.encode_maps(maps)
        forth, back = cgd.explain(encoding[0], encoding[1]), cgd.explain(encoding[1], encoding[0])
        for one, other in zip(forth.components, back.components, strict=True):
            torch.testing.assert_close(one.map_a, other.map_b)

    def test_of_a_picture_and_itself_is_all_zero(self, cgd, maps):
        encoding = cgd.encode_maps(maps)
        account = cgd.explain(encoding[0], encoding[0])
        assert account.total == 0
        assert all((c.map_a == 0).all() for c in account.components)

    def test_a_blank_picture_is_finite_and_complete(self, cgd, maps):
        blank, other = cgd.encode_maps([torch.zeros(1, *maps[0].shape[1:])]), cgd.encode_maps(maps)
        account = cgd.explain(blank, other[0])
        assert account.total == pytest.approx(cgd.distance(blank, other[0]).item(), rel=1e-5)
        assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-9)

    def test_pictures_of_different_sizes_can_be_compared(self, cgd, pictures):
        large = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(3))
        account = cgd.explain(cgd.encode(pictures[:1]), cgd.encode(large))
        assert account.component("S").map_b.shape == (6, 4)
        assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-9)

    def test_needs_the_map(self, cgd, pictures):
        encoding = cgd.encode(pictures, keep_maps=False)
        with pytest.raises(EncodingError, match="keep_maps=True"):
            cgd.explain(encoding[0], encoding[1])

    @pytest.mark.parametrize("descriptors", ["M", "SMG"])
    def test_refuses_an_unknown_split(self, new_cgd, maps, descriptors):
        model = new_cgd(descriptors=descriptors)
        encoding = model.encode_maps(maps)
        with pytest.raises(ConfigError, match="split must be"):
            model.explain(encoding[0], encoding[1], split="even")
