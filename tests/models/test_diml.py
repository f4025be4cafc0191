"""DIML over every method that has cells: the published score, the invariants, and search."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import (
    AdaptationConfig,
    BackboneConfig,
    DimlConfig,
    DimlModel,
    EmbeddingConfig,
    build_model,
    model_config,
)
from avsl_core.search import ExactSearch, MemoryRows

BASES = ["embedding", "frozen", "frozen-avg", "avsl", "cgd", "student", "teacher", "adaptation"]


@pytest.fixture(scope="module", params=BASES)
def base(request, avsl, cgd, new_embedding, raml, adaptation):
    kind, _, pooling = request.param.partition("-")
    if kind in ("embedding", "frozen"):
        return new_embedding(levels=(4,), nodes=0 if kind == "frozen" else 12, pooling=pooling or "avgmax")
    if kind in ("student", "teacher"):
        return raml.with_sides(kind)
    return {"avsl": avsl, "cgd": cgd, "adaptation": adaptation}[kind]


@pytest.fixture(scope="module")
def model(base):
    return DimlModel.over(base, grid=2)


@pytest.fixture(scope="module")
def encoding(model, pictures):
    return model.encode(pictures)


@pytest.mark.parametrize("kind", ["embedding", "student", "teacher", "adaptation", "avgmax adaptation"])
def test_the_distance_is_two_less_cosine_and_structural_similarity(
    kind, new_embedding, raml, new_adaptation, pictures
):
    if kind == "embedding":
        base = new_embedding(levels=(4,))
    elif kind.endswith("adaptation"):
        base = new_adaptation(pooling="avgmax" if "avgmax" in kind else "avg", pca=8)
    else:
        base = raml.with_sides(kind)
    model = DimlModel.over(base, grid=2)
    e = model.encode(pictures)
    cosine = (e.whole[:1] * e.whole).sum(dim=1)
    structural = AF.structural_similarity(e.cells[0], e.whole[0], e.cells, e.whole)
    assert_close(model.distance(e[0], e), 2.0 - cosine - structural, atol=1e-5, rtol=1e-5)


def test_pairs_matrix_rows_and_explanation_agree(model, encoding):
    matrix = model.distance_matrix(encoding, encoding)
    rows, measure = model.rows(encoding), model.measure()
    for i in (0, 3):
        assert_close(model.distance(encoding[i], encoding), matrix[i], atol=2e-5, rtol=1e-4)
        assert_close(measure.distances(rows[i : i + 1], rows), matrix[i], atol=2e-5, rtol=1e-4)
    assert model.explain(encoding[0], encoding[1]).total == pytest.approx(float(matrix[0, 1]), abs=2e-3)


def test_a_small_byte_budget_gives_the_same_matrix(model, encoding):
    assert_close(
        model.distance_matrix(encoding, encoding, byte_budget=1),
        model.distance_matrix(encoding, encoding),
        atol=1e-5,
        rtol=1e-5,
    )


def test_distances_are_never_negative_and_nearest_to_itself(model, encoding):
    matrix = model.distance_matrix(encoding, encoding)
    assert (matrix >= 0).all()
    assert torch.equal(matrix.argmin(dim=1), torch.arange(len(encoding)))


class TestExplanation:
    def test_components_are_the_bases_weighted_and_the_structure(self, base, model, encoding):
        below = base.explain(encoding[0].base, encoding[1].base)
        account = model.explain(encoding[0], encoding[1])
        names = [c.name for c in account.components]
        assert names == [*(c.name for c in below.components), "structure"]
        for ours, theirs in zip(account.components, below.components, strict=False):
            assert ours.value == pytest.approx(theirs.value * model.config.base_weight)

    def test_everything_adds_up(self, model, encoding):
        for i, j in ((0, 1), (2, 3), (4, 4)):
            account = model.explain(encoding[i], encoding[j])
            assert account.exact and account.residual == 0.0
            assert sum(c.value for c in account.components) == pytest.approx(account.total, abs=1e-12)
            for c in account.components:
                assert float(c.map_a.sum() + c.map_b.sum()) == pytest.approx(c.value, abs=1e-9)

    def test_the_flow_is_what_the_structure_lacks(self, model, encoding):
        account = model.explain(encoding[0], encoding[1])
        flow = account.flow
        assert flow.grid_a == flow.grid_b == (2, 2)
        assert flow.plan.shape == flow.similarity.shape == (4, 4)
        assert account.component("structure").value == pytest.approx(1.0 - float(flow.likeness.sum()))
        assert_close(flow.plan.sum(dim=0), flow.marginal_b, atol=1e-9, rtol=1e-9)

    def test_maps_are_needed(self, model, pictures):
        encoding = model.encode(pictures[:2], keep_maps=False)
        with pytest.raises(EncodingError, match="keep_maps"):
            model.explain(encoding[0], encoding[1])


class TestSearch:
    def test_exact_search_is_brute_force(self, model, encoding):
        rows, measure = model.rows(encoding), model.measure()
        found = ExactSearch(measure, MemoryRows(rows)).search(rows, 3)
        brute = torch.stack([measure.distances(rows[i : i + 1], rows) for i in range(len(rows))])
        assert_close(found.distances, brute.sort(dim=1).values[:, :3], atol=1e-5, rtol=1e-4)

    def test_pictures_may_be_ranked_by_structure_alone(self, model, encoding):
        rows, measure = model.rows(encoding), model.measure()
        only = [0.0] * (len(measure.parts) - 1) + [1.0]
        found = ExactSearch(measure, MemoryRows(rows)).search(rows[:1], 2, part_weights=only)
        unlike = measure.part_distances(rows[:1], rows)[:, -1]
        assert found.rows[0].tolist() == unlike.argsort()[:2].tolist()


class TestMatching:
    def test_it_shares_the_weights_of_the_model_below(self, base):
        assert DimlModel.over(base).base is base

    def test_it_can_be_built_again_from_its_configuration(self, model):
        again = build_model("diml", model_config(model))
        again.load_state_dict(model.state_dict())
        assert type(again.base) is type(model.base) and again.config == model.config

    def test_cells_are_of_the_embedded_map(self, new_embedding, pictures):
        base = new_embedding(levels=(4,))
        maps = base.trunk_maps(pictures)
        weight, bias = base.projections[0], base.biases[0]
        cell = F.normalize(weight @ maps[0][0, :, 0, 0] + bias, dim=0)
        grid = maps[0].shape[2]
        assert_close(
            DimlModel.over(base, grid=grid).encode_maps(maps).cells[0, 0], cell, atol=1e-5, rtol=1e-5
        )

    @pytest.mark.parametrize("pooling", ["gem", "gemmp", "mac", "spoc", "rmac"])
    def test_a_cell_of_raml_is_what_a_picture_of_that_cell_alone_would_be(self, new_raml, pictures, pooling):
        base = new_raml(pooling=pooling).with_sides("teacher")
        maps = base.trunk_maps(pictures)
        embedded, whole = base.embedded_map(maps)
        assert_close(F.normalize(whole, dim=1), base.encode_maps(maps).teacher)
        for row, column in ((0, 0), (1, 0)):
            alone = [maps[0][:, :, row : row + 1, column : column + 1]]
            assert_close(F.normalize(embedded[:, :, row, column], dim=1), base.encode_maps(alone).teacher)

    @pytest.mark.parametrize("pooling", ["avg", "avgmax"])
    def test_a_cell_of_an_adaptation_is_what_a_picture_of_that_cell_alone_would_be(
        self, new_adaptation, pictures, pooling
    ):
        base = new_adaptation(pooling=pooling, pca=8)
        maps = base.trunk_maps(pictures)
        embedded, whole = base.embedded_map(maps)
        assert_close(F.normalize(whole, dim=1), base.encode_maps(maps).vectors)
        height, width = embedded.shape[2:]
        # The second cell of the first row, at every level.
        alone = [m[:, :, : m.shape[2] // height, m.shape[3] // width : 2 * m.shape[3] // width] for m in maps]
        assert_close(F.normalize(embedded[:, :, 0, 1], dim=1), base.encode_maps(alone).vectors)

    def test_two_networks_of_raml_are_refused(self, raml, pictures):
        with pytest.raises(ConfigError, match="sides=student or teacher"):
            DimlModel.over(raml)
        with pytest.raises(EncodingError, match="not on cells"):
            raml.embedded_map(raml.trunk_maps(pictures))

    def test_one_pooled_vector_has_no_cells(self):
        with pytest.raises(ConfigError, match="leave head out"):
            DimlConfig(AdaptationConfig(BackboneConfig("clip:RN50", (3, 4, "head"))))

    def test_encodings_are_joined_and_picked(self, model, encoding):
        joined = type(encoding).concatenate([encoding[:2], encoding[2:]])
        assert len(joined) == len(encoding)
        assert_close(joined[3].cells, encoding[3].cells)
        assert_close(model.distance(joined[3], encoding[0]), model.distance(encoding[3], encoding[0]))

    def test_another_grid_is_refused(self, base, encoding):
        with pytest.raises(EncodingError, match="cells"):
            DimlModel.over(base, grid=3).distance(encoding, encoding)

    def test_another_methods_encoding_is_refused(self, base, model, pictures):
        with pytest.raises(EncodingError, match="DimlEncoding"):
            model.rows(base.encode(pictures))

    def test_a_method_without_cells_is_refused(self, model):
        with pytest.raises(ConfigError, match="no cells"):
            DimlModel.over(model)

    @pytest.mark.parametrize(
        "wrong",
        [{"grid": 0}, {"grid": 8}, {"marginals": "none"}, {"temperature": 0.001}, {"max_iterations": 0}],
    )
    def test_impossible_options_are_refused(self, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            DimlConfig(EmbeddingConfig(), **wrong)
