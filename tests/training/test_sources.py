from collections import Counter
from dataclasses import replace

import pytest
import torch

from avsl_core.errors import TrainingError
from avsl_core.training import Process
from avsl_core.training.sources import PictureSource, epoch_batches

LABELS = [label for label in range(6) for _ in range(5)]


def test_batches_depend_on_seed_and_epoch_alone(tiny):
    assert epoch_batches(LABELS, tiny, 3) == epoch_batches(LABELS, tiny, 3)
    assert epoch_batches(LABELS, tiny, 3) != epoch_batches(LABELS, tiny, 4)
    assert epoch_batches(LABELS, tiny, 3) != epoch_batches(LABELS, replace(tiny, seed=1), 3)


def test_a_plain_epoch_shows_no_picture_twice(tiny):
    shown = [index for batch in epoch_batches(LABELS, tiny, 0) for index in batch]
    assert len(shown) == len(set(shown)) == 24


def test_balanced_batches_hold_equal_numbers_of_each_of_their_classes(tiny):
    plan = replace(tiny, samples_per_class=4)
    for batch in epoch_batches(LABELS, plan, 0):
        counts = Counter(LABELS[index] for index in batch)
        assert all(count % 4 == 0 for count in counts.values())


def test_too_few_pictures_for_a_batch_say_what_to_set(tiny):
    with pytest.raises(TrainingError, match="set batch_size to 2 or less"):
        epoch_batches([0, 0, 1, 1], tiny, 0)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_processes_share_each_part_of_a_batch_in_order(train_pictures, uncached, accumulation):
    plan = replace(uncached, accumulation=accumulation)
    whole = [b.labels for b in PictureSource(train_pictures, plan, _process(0, 1)).batches(0)]
    first = [b.labels for b in PictureSource(train_pictures, plan, _process(0, 2)).batches(0)]
    second = [b.labels for b in PictureSource(train_pictures, plan, _process(1, 2)).batches(0)]
    joined = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(whole, joined, strict=True))
    assert len(whole) == 3 * accumulation


def test_a_part_that_does_not_divide_among_processes_is_an_error(train_pictures, uncached):
    with pytest.raises(TrainingError, match="does not divide among 3 processes"):
        next(iter(PictureSource(train_pictures, uncached, _process(0, 3)).batches(0)))


def test_views_do_not_depend_on_workers(train_pictures, uncached):
    here = list(PictureSource(train_pictures, uncached, _process(0, 1)).batches(1))
    there = list(PictureSource(train_pictures, replace(uncached, workers=2), _process(0, 1)).batches(1))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(here, there, strict=True))


def _process(rank: int, count: int) -> Process:
    return Process(rank, count, torch.device("cpu"))
