import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import EncodedPicture, compare_encoded
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.images import Preprocess
from avsl_core.many import MOST, compare_many
from avsl_core.models import BackboneConfig, DimlConfig, DimlModel, EmbeddingConfig

PREPROCESS = Preprocess(size=64, resize=64)


@pytest.fixture(scope="module")
def diml(embedding):
    backbone = BackboneConfig(embedding.config.backbone.name, (4,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return DimlModel(DimlConfig(EmbeddingConfig(backbone, nodes=12))).eval().requires_grad_(False)


@pytest.fixture(params=["avsl", "embedding", "diml", "cgd", "raml", "adaptation"])
def checkpoint(request):
    return Checkpoint(request.getfixturevalue(request.param), PREPROCESS)


def encoded(checkpoint, pictures):
    """Encoded pictures of one each, as a workbench has them."""
    crop = np.zeros((64, 64, 3), np.uint8)
    with torch.inference_mode():
        return [EncodedPicture(crop, checkpoint.model.encode(picture[None])) for picture in pictures]


def test_every_distance_is_that_of_the_pair_alone(checkpoint, pictures):
    members = encoded(checkpoint, pictures)
    many = compare_many(checkpoint, members)
    for i, j in ((0, 1), (4, 2), (5, 3)):
        alone = compare_encoded(checkpoint, members[i], members[j]).distance
        assert many.distances[i, j] == pytest.approx(alone, abs=2e-4)


def test_encodings_one_encoding_and_pictures_give_the_same(checkpoint, pictures):
    members = encoded(checkpoint, pictures)
    with torch.inference_mode():
        whole = checkpoint.model.encode(pictures)
    expected = compare_many(checkpoint, members).distances
    for given in ([member.encoding for member in members], whole):
        np.testing.assert_allclose(compare_many(checkpoint, given).distances, expected, atol=1e-5)


def test_only_a_method_with_two_different_sides_has_two_different_halves(checkpoint, pictures):
    many = compare_many(checkpoint, encoded(checkpoint, pictures))
    assert many.symmetric == (checkpoint.model.method != "raml")
    assert many.symmetric == np.array_equal(many.distances, many.distances.T)


def test_rows_are_the_query_side_and_columns_the_gallery_side(raml, pictures):
    checkpoint = Checkpoint(raml, PREPROCESS)
    members = encoded(checkpoint, pictures)
    many = compare_many(checkpoint, members)
    forth = compare_encoded(checkpoint, members[0], members[1]).distance
    back = compare_encoded(checkpoint, members[1], members[0]).distance
    assert forth != pytest.approx(back, abs=1e-3)
    assert [many.distances[0, 1], many.distances[1, 0]] == pytest.approx([forth, back], abs=1e-5)
    mean = (many.distances + many.distances.T) / 2
    assert many.linkage[0, 2] == pytest.approx(mean[~np.eye(6, dtype=bool)].min())


def test_the_tree_is_average_linkage_and_its_order_keeps_groups_together(avsl, pictures):
    checkpoint = Checkpoint(avsl, PREPROCESS)
    noise = 0.01 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(5))
    twins = torch.cat([pictures, pictures + noise])
    many = compare_many(checkpoint, encoded(checkpoint, twins))
    place = {index: at for at, index in enumerate(many.order)}
    assert sorted(many.order) == list(range(12))
    assert all(abs(place[i] - place[i + 6]) == 1 for i in range(6))
    groups = fcluster(many.linkage, 2, "maxclust")
    between = many.distances[np.ix_(groups == 1, groups == 2)]
    assert many.linkage[-1, 2] == pytest.approx(between.mean())


def test_closest_farthest_and_odd_one_out_are_what_the_matrix_says(avsl, pictures):
    checkpoint = Checkpoint(avsl, PREPROCESS)
    alike = [pictures[0] + 0.02 * n * pictures[1] for n in range(4)]
    many = compare_many(checkpoint, encoded(checkpoint, [*alike, -4 * pictures[3]]))
    apart = many.distances[~np.eye(5, dtype=bool)]
    assert many.closest.distance == apart.min()
    assert many.farthest.distance == apart.max()
    assert many.distances[many.farthest.a, many.farthest.b] == apart.max()
    assert many.odd_one_out == 4
    assert 4 in (many.farthest.a, many.farthest.b)


def test_of_two_pictures_and_of_equal_ones_none_is_odd(avsl, pictures):
    checkpoint = Checkpoint(avsl, PREPROCESS)
    assert compare_many(checkpoint, encoded(checkpoint, pictures[:2])).odd_one_out is None
    same = compare_many(checkpoint, encoded(checkpoint, [pictures[0]] * 4))
    assert same.odd_one_out is None
    assert same.farthest.distance == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("count", [0, 1, MOST + 1])
def test_too_few_and_too_many_are_refused(avsl, pictures, count):
    checkpoint = Checkpoint(avsl, PREPROCESS)
    (one,) = encoded(checkpoint, pictures[:1])
    with pytest.raises(ConfigError, match=f"{count} pictures .*; give 2 to 50"):
        compare_many(checkpoint, [one] * count)


def test_encodings_of_another_method_are_refused(avsl, cgd, pictures):
    with pytest.raises(EncodingError):
        compare_many(Checkpoint(avsl, PREPROCESS), encoded(Checkpoint(cgd, PREPROCESS), pictures))
    mixed = [encoded(Checkpoint(model, PREPROCESS), pictures[:1])[0] for model in (avsl, cgd)]
    with pytest.raises(EncodingError):
        compare_many(Checkpoint(avsl, PREPROCESS), mixed)
