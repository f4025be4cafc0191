"""The functions of AVSL against inputs and outputs of the published implementation."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from avsl_core import functional as AF

LEVELS, BATCHES, PROXIES = 3, 2, 5


def near(actual, expected):
    assert_close(actual.cpu(), expected, rtol=1e-5, atol=1e-5)


def per_level(published, name):
    return [published(f"{name}_{level}") for level in range(LEVELS)]


def linkages_after(published, batch):
    return [published(f"after_batch{batch}_link_ema_{low}") for low in range(LEVELS - 1)]


def proxy_certainties(published, batch):
    """The published code gives every proxy the mean over pictures and nodes of its level."""
    return [s.mean().expand(PROXIES, s.shape[1]) for s in per_level(published, f"batch{batch}_certainty")]


def is_positive(published, batch):
    return published(f"batch{batch}_labels")[:, None] == torch.arange(PROXIES)


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("level", range(LEVELS))
class TestNodes:
    def heads(self, published, batch, level, device):
        names = (f"batch{batch}_feature_{level}", f"conv_weight_{level}", f"conv_bias_{level}")
        return [published(name).to(device) for name in names]

    def test_embeddings(self, published, batch, level, device):
        embedding = AF.project(*self.heads(published, batch, level, device))
        near(embedding, published(f"batch{batch}_embedding_{level}"))

    def test_activation_maps(self, published, batch, level, device):
        maps = AF.activation_map(*self.heads(published, batch, level, device))
        near(maps, published(f"batch{batch}_cam_{level}"))

    def test_certainties(self, published, batch, level, device):
        maps = published(f"batch{batch}_cam_{level}").to(device)
        near(AF.certainty(maps), published(f"batch{batch}_certainty_{level}"))


@pytest.mark.parametrize("low", range(LEVELS - 1))
class TestLinkage:
    @pytest.mark.parametrize("batch", range(BATCHES))
    def test_of_a_batch(self, published, batch, low, device):
        maps = [published(f"batch{batch}_cam_{level}").to(device) for level in (low, low + 1)]
        near(AF.linkage(*maps), published(f"batch{batch}_link_{low}"))

    def test_moving_average_copies_the_first_batch_and_mixes_the_second(self, published, low):
        m = float(published("ema_m"))
        first, second = (published(f"batch{batch}_link_{low}") for batch in range(BATCHES))
        near(first, published(f"after_batch0_link_ema_{low}"))
        near((1 - m) * first + m * second, published(f"after_batch1_link_ema_{low}"))


@pytest.mark.parametrize("batch", range(BATCHES))
class TestProxies:
    @pytest.mark.parametrize("level", range(LEVELS))
    def test_distance_on_one_level(self, published, batch, level):
        n = F.normalize(published(f"batch{batch}_embedding_{level}"))
        p = F.normalize(published(f"proxy_{level}"))
        expected = published(f"batch{batch}_proxy_distance_level_{level}")
        near(AF.weighted_squared_distance(n, p, torch.ones_like(n)), expected)
        near(2 - 2 * n @ p.T, expected)

    def test_final_distance(self, published, batch, device):
        arguments = self.final_arguments(published, batch, device)
        distances = AF.avsl_distance(
            *arguments, top_k=int(published("top_k")), gamma=float(published("gamma"))
        )
        near(distances, published(f"batch{batch}_proxy_distance_final"))

    def test_final_distance_by_matrix_products(self, published, batch, device):
        e, s, proxies, s_proxies, linkages, alphas, betas = self.final_arguments(published, batch, device)
        gates = [AF.gate(s[level], s[level].mean(), alphas[level], betas[level]) for level in (1, 2)]
        weights = AF.top_down_weights(gates, [AF.normalize_linkage(link, 5) for link in linkages])
        parts = [
            AF.weighted_squared_distance(F.normalize(x), F.normalize(p), w)
            for x, p, w in zip(e, proxies, weights, strict=True)
        ]
        near(sum(parts), published(f"batch{batch}_proxy_distance_final"))
        assert_close(sum(parts), AF.avsl_distance(e, s, proxies, s_proxies, linkages, alphas, betas, top_k=5))

    @pytest.mark.parametrize("distance", ["final", "level_0", "level_1", "level_2"])
    def test_proxy_anchor_loss(self, published, batch, distance, device):
        distances = published(f"batch{batch}_proxy_distance_{distance}").to(device)
        loss = AF.proxy_anchor_loss(distances, is_positive(published, batch).to(device))
        near(loss, published(f"batch{batch}_proxy_anchor_{distance}"))

    def final_arguments(self, published, batch, device):
        arguments = [
            per_level(published, f"batch{batch}_embedding"),
            per_level(published, f"batch{batch}_certainty"),
            per_level(published, "proxy"),
            proxy_certainties(published, batch),
            linkages_after(published, batch),
            per_level(published, "alpha"),
            per_level(published, "beta"),
        ]
        return [[tensor.to(device) for tensor in levels] for levels in arguments]


def test_pair_distances(published, device):
    names = ("pair_embedding_a", "pair_certainty_a", "pair_embedding_b", "pair_certainty_b")
    sides = [per_level(published, name) for name in names]
    arguments = [*sides, linkages_after(published, 1), per_level(published, "alpha")]
    arguments.append(per_level(published, "beta"))
    on_device = [[tensor.to(device) for tensor in levels] for levels in arguments]
    near(AF.avsl_distance(*on_device, top_k=5, gamma=10.0), published("pair_distance"))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_from_feature_maps_to_the_loss_in_one_go(published, batch, device):
    """Nothing but inputs of the published code goes in; the last number it prints comes out."""
    e, s, average = [], [], None
    for step in range(batch + 1):
        A = []
        for level in range(LEVELS):
            names = (f"batch{step}_feature_{level}", f"conv_weight_{level}", f"conv_bias_{level}")
            A.append(AF.activation_map(*(published(name).to(device) for name in names)))
        e, s = [maps.mean(dim=(2, 3)) for maps in A], [AF.certainty(maps) for maps in A]
        links = [AF.linkage(low, high) for low, high in pairwise(A)]
        average = (
            links
            if average is None
            else [old.lerp(new, 0.5) for old, new in zip(average, links, strict=True)]
        )
    proxies, alphas, betas = (
        [t.to(device) for t in per_level(published, name)] for name in ("proxy", "alpha", "beta")
    )
    s_proxies = [level.mean().expand(PROXIES, level.shape[1]) for level in s]
    distances = AF.avsl_distance(e, s, proxies, s_proxies, average, alphas, betas, top_k=5)
    loss = AF.proxy_anchor_loss(distances, is_positive(published, batch).to(device))
    near(loss, published(f"batch{batch}_proxy_anchor_final"))
