"""A faiss index over the vector of the distance at its mean gate.

At one fixed gate the distance is a weighted squared Euclidean distance, so that with z = sqrt(v) y, v being
the weights at the mean gate, plain squared Euclidean distance between z is that distance. z is turned to its
principal directions and cut to the first :data:`DIMENSIONS`; faiss holds the whole map as one linear step
before the index, so that rows go in, and queries are asked, as they are.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from avsl_core.models import Measure, Rows
from avsl_core.search.source import BLOCK_ROWS, RowSource

__all__ = ["DIMENSIONS", "Kind", "Progress", "lookup", "train_index", "use_torch_threads"]

DIMENSIONS = 256
"""Columns that an index holds of each row, at most."""

Kind = Literal["hnsw", "ivfpq"]

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""

_SAMPLE_BYTES = 192 * 2**20  # of full rows to find directions; they are read block by block
_TRAINING_ROWS = 262_144  # of reduced rows to find lists and codes: 256 MiB
_LINKS, _CONSTRUCTION = 32, 80
_CODE_COLUMNS = 4  # share a byte
_ROWS_PER_LIST = 39  # fewer make poor lists, as faiss has it
_MOST_LISTS = 16_384
_ITERATIONS = 10


def train_index(measure: Measure, source: RowSource, kind: Kind, seed: int) -> Any:
    """Prepare an index that rows can be added to, from a sample of them.

    Args:
        measure: Of the model that made the rows.
        source: At least one row.
        kind: ``"hnsw"`` links near rows to a graph; ``"ivfpq"`` files rows in lists, a byte for each four
            columns.
        seed: Of the sample and of everything random in the training.

    Returns:
        A faiss index without rows.
    """
    import faiss

    use_torch_threads()
    matrix, offset = _directions(measure, source, rotated=kind == "ivfpq", seed=seed)
    step = faiss.LinearTransform(matrix.shape[1], matrix.shape[0], True)
    faiss.copy_array_to_vector(matrix.flatten().numpy(), step.A)
    faiss.copy_array_to_vector(offset.numpy(), step.b)
    step.is_trained = True
    inner = _hnsw(len(matrix), seed) if kind == "hnsw" else _ivfpq(len(matrix), len(source), seed)
    if kind == "ivfpq":
        sample = _spread(len(source), min(_TRAINING_ROWS, len(source)), seed)
        reduced = [part.vectors @ matrix.T + offset for part in _pieces(source, sample)]
        inner.train(torch.cat(reduced).numpy())
    index = faiss.IndexPreTransform(step, inner)
    for owned in (step, inner):
        owned.this.disown()
    index.own_fields = True
    return index


def lookup(
    index: Any, vectors: Tensor, count: int, kind: Kind, effort: int, allowed: Tensor | None
) -> Tensor:
    """Ask an index.

    Args:
        index: Of :func:`train_index`, with rows.
        vectors: ``[Q, D]``.
        count: Rows per query.
        kind: Of the index.
        effort: Links followed (``efSearch``) or lists read (``nprobe``).
        allowed: ``[N]`` bool, rows that may be found; None for all.

    Returns:
        Row numbers, ``[Q, count]``, nearest first; -1 where the index found no more.
    """
    import faiss

    use_torch_threads()
    selector = None if allowed is None else _selector(allowed)
    parameters = (
        faiss.SearchParametersHNSW(sel=selector, efSearch=max(effort, count))
        if kind == "hnsw"
        else faiss.SearchParametersIVF(sel=selector, nprobe=effort)
    )
    outer = faiss.SearchParametersPreTransform(index_params=parameters)
    _, rows = index.search(vectors.to(torch.float32).contiguous().numpy(), count, params=outer)
    return torch.from_numpy(rows)


def use_torch_threads() -> None:
    """Let faiss use as many threads as torch may, on the calling thread: what limits the one limits both."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())


def _hnsw(dimensions: int, seed: int) -> Any:
    import faiss

    inner = faiss.IndexHNSWFlat(dimensions, _LINKS)
    inner.hnsw.efConstruction = _CONSTRUCTION
    inner.hnsw.rng = faiss.RandomGenerator(seed)
    return inner


def _ivfpq(dimensions: int, rows: int, seed: int) -> Any:
    import faiss

    wanted = 2 ** round(4 * rows**0.5).bit_length() // 2  # a power of two, at most four roots
    lists = max(1, min(wanted, rows // _ROWS_PER_LIST, _MOST_LISTS))
    centres = faiss.IndexFlatL2(dimensions)
    inner = faiss.IndexIVFPQ(centres, dimensions, lists, -(-dimensions // _CODE_COLUMNS), 8)
    centres.this.disown()
    inner.own_fields = True
    # Tables of list times code would outweigh the codes of all but the largest galleries.
    inner.use_precomputed_table = -1
    for clustering in (inner.cp, inner.pq.cp):
        clustering.seed, clustering.niter, clustering.min_points_per_centroid = seed, _ITERATIONS, 1
    return inner


def _directions(measure: Measure, source: RowSource, *, rotated: bool, seed: int) -> tuple[Tensor, Tensor]:
    """The map from vectors to the principal directions of z: matrix ``[d, D]``, offset ``[d]``."""
    per_row = 4 * (measure.dimensions + measure.gates)
    sample = _spread(len(source), max(1, min(len(source), _SAMPLE_BYTES // per_row)), seed)
    total = torch.zeros(measure.dimensions, dtype=torch.float64)
    squares = torch.zeros(measure.dimensions, measure.dimensions, dtype=torch.float64)
    gates = torch.zeros(measure.gates, dtype=torch.float64)
    centre = source.read(0, 1).vectors[0]  # of the order of the rows, which keeps what is summed small
    for part in _pieces(source, sample):
        moved = part.vectors - centre
        total += moved.sum(dim=0, dtype=torch.float64)
        squares += moved.T @ moved
        gates += part.gates.sum(dim=0, dtype=torch.float64)
    scale = measure.to("cpu").typical_weights((gates / len(sample)).float()).double().sqrt()
    mean = total / len(sample)
    covariance = (squares / len(sample) - mean[:, None] * mean) * scale[:, None] * scale
    dimensions = _code_width(measure.dimensions)
    _, directions = torch.linalg.eigh(covariance)
    matrix = directions.flip(1).T[:dimensions]
    if rotated:  # spreads the variance evenly over the bytes of a code
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64)
        matrix = torch.linalg.qr(normal).Q @ matrix
    matrix = matrix * scale
    return matrix.float().contiguous(), -(matrix @ (mean + centre)).float()


def _code_width(dimensions: int) -> int:
    """As many columns as an index may hold and codes divide evenly."""
    width = min(DIMENSIONS, dimensions)
    return width - width % _CODE_COLUMNS if width >= _CODE_COLUMNS else 1


def _spread(rows: int, count: int, seed: int) -> Tensor:
    """Distinct row numbers in order, one at random from each of ``count`` equal stretches."""
    stretches = torch.arange(count + 1, dtype=torch.float64) * (rows / count)
    starts = stretches[:-1].ceil()
    room = (stretches[1:].ceil() - starts).clamp_min(1)
    generator = torch.Generator().manual_seed(seed)
    drawn = starts + (torch.rand(count, generator=generator, dtype=torch.float64) * room).floor()
    return drawn.long().clamp_max(rows - 1)


def _pieces(source: RowSource, rows: Tensor) -> Iterator[Rows]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield source.gather(rows[start : start + BLOCK_ROWS])


def _selector(allowed: Tensor) -> Any:
    import faiss

    bits = torch.nn.functional.pad(allowed.cpu().to(torch.uint8), (0, -len(allowed) % 8)).view(-1, 8)
    packed = (bits << torch.arange(8, dtype=torch.uint8)).sum(dim=1, dtype=torch.uint8).numpy()
    return faiss.IDSelectorBitmap(packed)
