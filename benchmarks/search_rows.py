"""Rows for the search benchmarks: real encodings, and synthetic ones shaped like them.

    python benchmarks/search_rows.py PICTURES [--count 60000] [--out runs/search/rows.npz]

Real rows are those of the pictures themselves, then of further random crops of them (half to all of the
area, mirrored every other time) until there are enough: PICTURES/<set>/<class>/<picture> or
PICTURES/<class>/<picture>. A crop is labelled with the picture that it was cut from.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from avsl_core import load
from avsl_core.data import PictureSet, merge, read_folder
from avsl_core.encoding import load_for
from avsl_core.errors import DataError
from avsl_core.images import Augmentation, Preprocess, sample_generator, train_transform
from avsl_core.memory import keep_freed_memory
from avsl_core.models import Rows
from avsl_core.precision import effective_precision, trunk_precision

__all__ = ["read_pictures", "read_rows", "synthetic_rows"]

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Encode and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--out", type=Path, default=Path("runs/search/rows.npz"))
    options = parser.parse_args()
    keep_freed_memory()
    checkpoint = load(options.checkpoint)
    pictures = read_pictures(options.pictures)
    crops = _Crops(pictures, checkpoint.preprocess, options.count)
    parts: list[Rows] = []
    precision = effective_precision("bf16", checkpoint.model.device)
    loader: DataLoader[torch.Tensor] = DataLoader(crops, batch_size=64, num_workers=2)
    with torch.inference_mode():
        for images in tqdm(loader, unit=" batches"):
            with trunk_precision(precision, checkpoint.model.device):
                maps = checkpoint.model.trunk_maps(images.contiguous(memory_format=torch.channels_last))
            parts.append(checkpoint.model.rows(checkpoint.model.encode_maps(maps, keep_maps=False)))
    rows = Rows.concatenate(parts)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(options.count) % len(pictures)
    np.savez(
        options.out,
        vectors=rows.vectors.numpy(),
        gates=rows.gates.numpy(),
        classes=np.asarray(pictures.labels)[numbers],
        pictures=numbers,
    )


def read_rows(path: Path) -> tuple[Rows, torch.Tensor, torch.Tensor]:
    """Rows, their classes ``[N]`` and the pictures they show ``[N]``, as this script wrote them."""
    with np.load(path, allow_pickle=False) as file:
        rows = Rows(torch.from_numpy(file["vectors"]), torch.from_numpy(file["gates"]))
        return rows, torch.from_numpy(file["classes"]), torch.from_numpy(file["pictures"])


def synthetic_rows(
    rows: Rows,
    classes: torch.Tensor,
    widths: tuple[int, ...],
    count: int,
    *,
    seed: int = 0,
    at_once: int = 8192,
) -> Iterator[Rows]:
    """Make rows shaped like real ones: a real row, moved by half the difference of two rows of one class.

    So classes stay as far apart as they are, and new pictures lie about their neighbours as real ones do.
    Nodes are normalised again per level; certainties stay within those seen.

    Args:
        rows: Real ones.
        classes: Of the real rows.
        widths: Columns per level.
        count: How many to make.
        seed: Of the draw.
        at_once: Rows per group that is yielded.
    """
    generator = torch.Generator().manual_seed(seed)
    order = classes.argsort(stable=True)
    sizes = classes.bincount()
    first = sizes.cumsum(0) - sizes
    low, high = rows.gates.amin(dim=0), rows.gates.amax(dim=0)
    for start in range(0, count, at_once):
        number = min(at_once, count - start)
        base = torch.randint(len(rows), (number,), generator=generator)
        drawn = torch.randint(len(rows), (number,), generator=generator)
        within = torch.rand(2, number, generator=generator) * sizes[classes[drawn]]
        one, other = order[first[classes[drawn]] + within.long()]
        vectors = rows.vectors[base] + 0.5 * (rows.vectors[one] - rows.vectors[other])
        levels = [
            torch.nn.functional.normalize(level, dim=1) for level in torch.split(vectors, list(widths), dim=1)
        ]
        gates = rows.gates[base] + 0.5 * (rows.gates[one] - rows.gates[other])
        yield Rows(torch.cat(levels, dim=1), torch.minimum(torch.maximum(gates, low), high))


def read_pictures(folder: Path) -> PictureSet:
    """One set, or several in folders of their own."""
    sets = []
    for entry in sorted(folder.iterdir()):
        try:
            sets.append(read_folder(entry))
        except DataError:
            return read_folder(folder)
    return merge(sets)


class _Crops(Dataset[torch.Tensor]):
    """First every picture as the network sees it, then random crops of them in the same order."""

    def __init__(self, pictures: PictureSet, preprocess: Preprocess, count: int) -> None:
        self.pictures, self.preprocess, self.count = pictures, preprocess, count
        self.augmentation = Augmentation(scale=(0.5, 1.0))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        turn, number = divmod(index, len(self.pictures))
        picture = load_for(self.preprocess, self.pictures.paths[number])
        if turn == 0:
            return self.preprocess(picture)
        return train_transform(picture, self.preprocess, self.augmentation, sample_generator(0, turn, number))


if __name__ == "__main__":
    main()
