"""explain: exact accounts, for both methods, in float32 as in use."""

import pytest
import torch

from avsl_core.errors import EncodingError

PAIRS = 60


@pytest.fixture(
    scope="module", params=["avsl", "avsl-global", "embedding", "embedding-avg", "frozen", "frozen-avg"]
)
def model(request, new_avsl, new_embedding):
    kind, _, mode = request.param.partition("-")
    if kind == "avsl":
        return new_avsl(certainty=mode or "row")
    return new_embedding(nodes=0 if kind == "frozen" else 12, pooling=mode or "avgmax")


@pytest.fixture(scope="module")
def many(model):
    """Encodings of random maps, as unlike each other as maps of a trained trunk."""
    generator = torch.Generator().manual_seed(5)
    sides = (8, 4, 2)
    maps = [
        torch.randn(2 * PAIRS, channels, side, side, generator=generator).relu()
        for channels, side in zip(model.trunk.channels, sides, strict=True)
    ]
    return model.encode_maps(maps)


def map_sum(component):
    return float(component.map_a.sum() + component.map_b.sum())


class TestCompleteness:
    def test_maps_add_up_to_their_components_and_to_the_total(self, model, many):
        for i in range(PAIRS):
            account = model.explain(many[2 * i], many[2 * i + 1])
            for component in account.components:
                assert map_sum(component) == pytest.approx(
                    component.value, rel=1e-5, abs=1e-6 * account.total
                )
            assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-5)

    def test_components_add_up_to_the_total_and_the_total_is_the_distance(self, model, many):
        distances = model.distance(many[0::2], many[1::2]).tolist()
        assert min(distances) > 1e-3
        for i, distance in enumerate(distances):
            account = model.explain(many[2 * i], many[2 * i + 1])
            assert sum(c.value for c in account.components) == account.total
            assert account.total == pytest.approx(distance, rel=1e-5)
            assert (account.exact, account.residual) == (True, 0.0)

    def test_shares_add_up_to_one(self, model, many):
        shares = model.explain(many[0], many[1]).shares()
        assert list(shares) == ["level1", "level2", "level3"]
        assert sum(shares.values()) == pytest.approx(1.0)
        assert min(shares.values()) >= 0

    def test_in_double_precision_the_sums_are_exact_to_the_last_digits(
        self, new_avsl, new_embedding, pictures
    ):
        for model in (new_avsl().double(), new_embedding().double()):
            encoded = model.encode(pictures.double())
            account = model.explain(encoded[0], encoded[1])
            assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-11)
            assert account.total == pytest.approx(model.distance(encoded[0], encoded[1]).item(), rel=1e-11)

    def test_of_near_duplicates_miss_by_no_more_than_the_rounding_of_the_nodes(self, model, many):
        """The error is that of the float32 nodes times their difference, however small the distance."""
        nudge = torch.Generator().manual_seed(6)
        maps = [m + 1e-3 * torch.randn(m.shape, generator=nudge) for m in many.maps]
        twins = model.encode_maps(maps)
        for i in range(10):
            account = model.explain(many[i], twins[i])
            assert 0 < account.total < 1e-3
            assert abs(sum(map(map_sum, account.components)) - account.total) < 1e-6 * account.total**0.5


class TestAccount:
    def test_of_a_picture_and_itself_is_all_zero(self, model, many):
        account = model.explain(many[0], many[0])
        assert account.total == 0
        assert set(account.shares().values()) == {0.0}
        assert all((c.map_a == 0).all() and (c.map_b == 0).all() for c in account.components)

    def test_swapping_the_pictures_swaps_the_maps(self, model, many):
        forth, back = model.explain(many[0], many[1]), model.explain(many[1], many[0])
        assert forth.total == pytest.approx(back.total, rel=1e-12)
        for one, other in zip(forth.components, back.components, strict=True):
            torch.testing.assert_close(one.map_a, other.map_b)
            torch.testing.assert_close(one.map_b, other.map_a)

    def test_maps_keep_each_levels_grid(self, model, many):
        account = model.explain(many[0], many[1])
        assert [tuple(c.map_a.shape) for c in account.components] == [(8, 8), (4, 4), (2, 2)]

    def test_pictures_of_different_sizes_can_be_compared(self, model, pictures):
        large = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(3))
        account = model.explain(model.encode(pictures[:1]), model.encode(large))
        assert account.components[0].map_b.shape == (12, 8)
        assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-5)

    def test_finds_components_by_name(self, model, many):
        account = model.explain(many[0], many[1])
        assert account.component("level2") is account.components[1]
        with pytest.raises(KeyError, match="level1, level2, level3"):
            account.component("level9")

    def test_a_picture_to_which_no_node_answers_is_finite_and_complete(self, model, many):
        blank = model.encode_maps([torch.zeros_like(m[:1]) for m in many.maps])
        account = model.explain(blank, many[0])
        assert account.total == pytest.approx(model.distance(blank, many[0]).item(), rel=1e-5)
        assert sum(map(map_sum, account.components)) == pytest.approx(account.total, rel=1e-5)

    def test_needs_no_gradient_and_leaves_none(self, model, many):
        account = model.explain(many[0], many[1])
        assert not any(c.map_a.requires_grad or c.map_b.requires_grad for c in account.components)


class TestAvslDetails:
    @pytest.fixture(scope="class")
    def account(self, avsl, pictures):
        encoded = avsl.encode(pictures)
        return avsl.explain(encoded[0], encoded[1])

    def test_contributions_sum_to_each_levels_value(self, account):
        for component in account.components:
            part = account.levels[component.name].contribution
            assert float(part.sum()) == pytest.approx(component.value, rel=1e-12)
            assert (part >= 0).all()

    def test_gates_are_probabilities_and_the_lowest_level_trusts_itself(self, account):
        assert (account.levels["level1"].gate == 1).all()
        for name in ("level2", "level3"):
            gates = account.levels[name].gate
            assert ((gates > 0) & (gates < 1)).all()

    def test_the_highest_weight_is_its_gate(self, account):
        top = account.levels["level3"]
        assert torch.equal(top.weight, top.gate)

    def test_details_cannot_be_replaced(self, account):
        with pytest.raises(TypeError):
            account.levels["level1"] = account.levels["level2"]

    def test_the_embedding_has_none(self, embedding, pictures):
        encoded = embedding.encode(pictures)
        assert not embedding.explain(encoded[0], encoded[1]).levels


class TestRefusals:
    @pytest.mark.parametrize("light_side", [0, 1])
    def test_encodings_without_maps(self, model, pictures, light_side):
        sides = [model.encode(pictures[:1], keep_maps=side != light_side) for side in (0, 1)]
        with pytest.raises(EncodingError, match="keep_maps=True"):
            model.explain(*sides)

    @pytest.mark.parametrize("count", [0, 2])
    def test_batches_of_other_than_one(self, model, many, count):
        for sides in ((many[:count], many[0]), (many[0], many[:count])):
            with pytest.raises(EncodingError, match=f"one picture a side, not {count}"):
                model.explain(*sides)

    def test_encodings_of_the_other_method(self, avsl, embedding, pictures):
        ours, theirs = avsl.encode(pictures[:1]), embedding.encode(pictures[:1])
        with pytest.raises(EncodingError, match="need AvslEncoding, not EmbeddingEncoding"):
            avsl.explain(ours, theirs)
        with pytest.raises(EncodingError, match="need EmbeddingEncoding, not AvslEncoding"):
            embedding.explain(ours, theirs)
