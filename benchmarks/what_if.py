"""Can the account foretell what happens when a part is painted over?

    python benchmarks/what_if.py [--pairs 9] [--blobs 8] [--seed 2] [--checkpoints default aviary diml cgd]

Pairs of the aviary's held-out birds: of one species, of one family and of others, each in scenes of its own.
In one picture of each, blobs of four sizes at random places and single parts of the bird are painted over in
every way that there is. What a new pass of the network then measures is compared with what each formula
foretells without one:

* maps: less the sum of the account's maps over the part;
* ledger_removed, ledger_filled (AVSL): the nodes' shares of the covered cells removed, or replaced by those
  around them; the weights of the nodes as they were, the nodes normalised again;
* filled: the kept maps filled under the part from the cells around it; heads and measure anew;
* emptied: the kept maps emptied under the part; heads and measure anew;
* emptied_around: the same, cells nearby in part: what :func:`avsl_core.what_if` shows.

The reach of the last was chosen on pairs of another seed.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from machine import describe_machine
from numpy.typing import NDArray
from scipy.stats import spearmanr

from avsl_core import Checkpoint, EncodedPicture, Explanation, encode_picture, load
from avsl_core import functional as AF
from avsl_core.aviary import SpeciesPair, species_pairs
from avsl_core.explain.total import total_maps
from avsl_core.images.paint import FILLS, cover, fill_in, paint_over
from avsl_core.models import AvslModel
from avsl_core.whatif import emptied, kept_maps

_RAW = argparse.RawDescriptionHelpFormatter
_RELATIONS = ("same", "family", "other")
_AREAS = (0.01, 0.03, 0.08, 0.16)
_LEAST_PART = 0.004
_EDGE = 0.02  # as far as the paint itself fades
_BATCH = 8

Mask = NDArray[np.bool_]


@dataclass
class Tally:
    """All measured changes of one kind of region and way of painting, with what each formula foretold."""

    pairs: list[int] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    foretold: dict[str, list[float]] = field(default_factory=dict)

    def add(self, pair: int, change: float, foretold: dict[str, float]) -> None:
        """Note one region."""
        self.pairs.append(pair)
        self.measured.append(change)
        for name, value in foretold.items():
            self.foretold.setdefault(name, []).append(value)

    def figures(self) -> dict[str, Any]:
        """How well each formula does."""
        return {
            "regions": len(self.measured),
            "mean_size_of_change": float(np.abs(self.measured).mean()),
            "share_that_grew": float(np.mean(np.array(self.measured) > 0)),
            "formulas": {name: self._judge(np.array(values)) for name, values in self.foretold.items()},
        }

    def _judge(self, foretold: NDArray[np.float64]) -> dict[str, float]:
        measured, pairs = np.array(self.measured), np.array(self.pairs)
        rows = [pairs == pair for pair in set(self.pairs) if (pairs == pair).sum() >= 4]
        within = [spearmanr(measured[row], foretold[row]).statistic for row in rows]
        return {
            "rank_correlation": float(spearmanr(measured, foretold).statistic),
            "rank_correlation_within_a_pair": float(np.mean(within)),
            "sign_agreement": float(np.mean(np.sign(measured) == np.sign(foretold))),
            "mean_error": float(np.abs(measured - foretold).mean()),
        }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoints", nargs="+", default=["default", "aviary", "diml", "cgd"])
    parser.add_argument("--pairs", type=int, default=9, help="in equal parts of one species, family, none")
    parser.add_argument("--blobs", type=int, default=8, help="in each pair, besides the parts of the bird")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/what_if.json"))
    options = parser.parse_args()
    started = time.perf_counter()
    rows = {
        name: _measure(load(name), options.pairs, options.blobs, options.seed) for name in options.checkpoints
    }
    document = {
        "pairs": options.pairs,
        "seed": options.seed,
        "checkpoints": rows,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


@torch.inference_mode()
def _measure(checkpoint: Checkpoint, count: int, blobs: int, seed: int) -> dict[str, Any]:
    model = checkpoint.model
    generator = np.random.default_rng(seed)
    tallies: dict[tuple[str, str], Tally] = {}
    for number, pair in enumerate(_pairs(count, seed, checkpoint.preprocess.size)):
        a, b = (encode_picture(checkpoint, picture) for picture in (pair.a, pair.b))
        explanation = model.explain(a.encoding, b.encoding)
        distance = float(model.distance(a.encoding, b.encoding))
        first = number % 2 == 0
        chosen, masks = (a, pair.masks_a) if first else (b, pair.masks_b)
        parts = [mask >= 128 for mask in masks.values()]
        regions = [("blobs", mask) for mask in _blobs(generator, checkpoint.preprocess.size, blobs)]
        regions += [("parts", mask) for mask in parts if mask.mean() >= _LEAST_PART]
        foretold = [_foretell(model, a, b, explanation, distance, first, mask) for _, mask in regions]
        for fill in FILLS:
            measured = _painted(checkpoint, chosen, [mask for _, mask in regions], fill)
            pairs = [(one, b.encoding) if first else (a.encoding, one) for one in measured]
            for (kind, _), guess, two in zip(regions, foretold, pairs, strict=True):
                tally = tallies.setdefault((fill, kind), Tally())
                tally.add(number, float(model.distance(*two)) - distance, guess)
    found: dict[str, Any] = {"method": model.method}
    for (fill, kind), tally in tallies.items():
        found.setdefault(fill, {})[kind] = tally.figures()
    return found


def _pairs(count: int, seed: int, size: int) -> Iterator[SpeciesPair]:
    for number in range(count):
        relation = _RELATIONS[number % len(_RELATIONS)]
        yield from species_pairs(1, seed, size=size, relation=relation, start=number)


def _blobs(generator: np.random.Generator, size: int, count: int) -> Iterator[Mask]:
    """Ellipses of several areas, turned and placed at random."""
    y, x = np.mgrid[:size, :size] / size
    for number in range(count):
        radius = math.sqrt(_AREAS[number % len(_AREAS)] / math.pi)
        stretch, turn = math.exp(generator.uniform(-0.5, 0.5)), generator.uniform(0, math.pi)
        top, left = generator.uniform(0.12, 0.88, 2)
        along = (x - left) * math.cos(turn) + (y - top) * math.sin(turn)
        across = (y - top) * math.cos(turn) - (x - left) * math.sin(turn)
        yield (along / (radius * stretch)) ** 2 + (across * stretch / radius) ** 2 <= 1


def _painted(checkpoint: Checkpoint, picture: EncodedPicture, masks: list[Mask], fill: Any) -> list[Any]:
    grey = checkpoint.preprocess.mean
    crops = [paint_over(picture.crop, mask, fill, grey=grey) for mask in masks]
    images = torch.stack([checkpoint.preprocess.normalize(crop) for crop in crops])
    images = images.to(checkpoint.model.device, memory_format=torch.channels_last)
    batches = [checkpoint.model.encode(part, keep_maps=False) for part in images.split(_BATCH)]
    return [batch[index] for batch in batches for index in range(len(batch))]


def _foretell(
    model: Any,
    a: EncodedPicture,
    b: EncodedPicture,
    explanation: Explanation,
    distance: float,
    first: bool,
    mask: Mask,
) -> dict[str, float]:
    """What each formula makes of the change."""
    chosen, other = (a.encoding, b.encoding) if first else (b.encoding, a.encoding)

    def change(encoding: Any) -> float:
        two = (encoding, b.encoding) if first else (a.encoding, encoding)
        return float(model.distance(*two)) - distance

    values = total_maps(explanation)[0 if first else 1].cpu()
    inside = AF.mean_in_cells(torch.from_numpy(mask).double(), (values.shape[0], values.shape[1]))
    covered = cover(mask, _EDGE)
    maps = kept_maps(chosen)
    known = [(1.0 - AF.mean_in_cells(covered, m.shape[2:])).clamp(0.0, 1.0).to(m.device) for m in maps]
    filled = [fill_in(m[0], k)[None] for m, k in zip(maps, known, strict=True)]
    foretold = {"maps": -float((values * inside).sum())}
    if isinstance(model, AvslModel):
        answers = [
            AF.activation_map(*layer)[0] for layer in zip(maps, model.projections, model.biases, strict=True)
        ]
        removed = [A * k for A, k in zip(answers, known, strict=True)]
        replaced = [fill_in(A, k) for A, k in zip(answers, known, strict=True)]
        before = _ledger(answers, other, explanation)
        foretold["ledger_removed"] = _ledger(removed, other, explanation) - before
        foretold["ledger_filled"] = _ledger(replaced, other, explanation) - before
    foretold["filled"] = change(model.encode_maps(filled))
    foretold["emptied"] = change(emptied(model, chosen, mask, reach=_EDGE))
    foretold["emptied_around"] = change(emptied(model, chosen, mask))
    return foretold


def _ledger(answers: list[torch.Tensor], other: Any, explanation: Explanation) -> float:
    """The sum of weight times squared difference, the weights as they were."""
    total = 0.0
    for A, nodes, level in zip(answers, other.nodes, explanation.levels.values(), strict=True):
        own = F.normalize(A.mean(dim=(1, 2)), dim=0)
        total += float((level.weight * (own - nodes[0]).square()).sum())
    return total


if __name__ == "__main__":
    main()
