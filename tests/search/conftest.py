"""Rows without a network: random ones, such as a model makes, and such as none ever would."""

import pytest
import torch

from avsl_core.models import Rows
from avsl_core.models.avsl_measure import AvslMeasure
from avsl_core.models.measure import EuclideanMeasure
from avsl_core.search import MemoryRows
from avsl_core.search.pairs import measure_pairs

NODES = 12


def random_measure(seed, *, alpha=1.0, beta=0.5, gamma=10.0, levels=3, nodes=NODES):
    """AVSL with gates of any steepness: ``alpha`` and ``beta`` are the spread of what is drawn."""
    g = torch.Generator().manual_seed(seed)
    linkages = []
    for _ in range(levels - 1):
        W = torch.rand(nodes, nodes, generator=g) * (torch.rand(nodes, nodes, generator=g) < 0.5)
        linkages.append(W / W.sum(dim=0, keepdim=True).clamp_min(1e-8))
    draw = lambda scale: [scale * torch.randn(nodes, generator=g) for _ in range(levels - 1)]  # noqa: E731
    return AvslMeasure(draw(alpha), draw(beta), linkages, gamma)


def random_rows(seed, count, *, levels=3, nodes=NODES, certainty=0.3, repeated=0):
    """Normalised nodes and certainties in [0, certainty]; the last ``repeated`` rows stand there before."""
    g = torch.Generator().manual_seed(seed)
    vectors = [
        torch.nn.functional.normalize(torch.randn(count, nodes, generator=g), dim=1) for _ in range(levels)
    ]
    gates = certainty * torch.rand(count, (levels - 1) * nodes, generator=g)
    rows = Rows(torch.cat(vectors, dim=1), gates)
    if repeated:
        source = torch.randint(count - repeated, (repeated,), generator=g)
        rows.vectors[count - repeated :] = rows.vectors[source]
        rows.gates[count - repeated :] = rows.gates[source]
    return rows


def brute_force(measure, queries, rows, k, *, part_weights=None, allowed=None, exclude=None):
    """Every pair measured, sorted by distance and then by row: rows and distances ``[Q, k]``."""
    source, everything = MemoryRows(rows), torch.arange(len(rows))
    table = []
    for query in range(len(queries)):
        pairs = (torch.full_like(everything, query), everything)
        parts = measure_pairs(measure, queries, source, pairs, torch.device("cpu"))
        if part_weights is not None:
            parts = parts * torch.tensor(part_weights)
        distances = parts.sum(dim=1)
        if allowed is not None:
            distances[~allowed] = torch.inf
        if exclude is not None and exclude[query] >= 0:
            distances[exclude[query]] = torch.inf
        table.append(distances)
    distances, order = torch.stack(table).sort(dim=1, stable=True)
    order = torch.where(distances.isfinite(), order, -1)
    return order[:, :k], distances[:, :k]


@pytest.fixture
def plain_measure():
    return EuclideanMeasure(("level1", "level2"), (NODES, NODES), (0.5, 0.5))
