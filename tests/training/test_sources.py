import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from avsl_core.errors import TrainingError
from avsl_core.images import load_image
from avsl_core.training import Process
from avsl_core.training.map_cache import MapCache
from avsl_core.training.options import RamlOptions
from avsl_core.training.sources import CacheSource, PictureSource, epoch_batches

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


class TestSeveralViews:
    @pytest.fixture
    def views(self, uncached):
        """Three views of each picture from the second epoch on."""
        raml = RamlOptions(student_size=32, teacher_epochs=1, views=3)
        return replace(uncached, method="raml", levels=(4,), raml=raml, views=5)

    def test_are_in_consecutive_rows_and_differ(self, train_pictures, views):
        batch = next(PictureSource(train_pictures, views, _process(0, 1)).batches(1))
        assert len(batch.inputs) == len(batch.labels) == len(batch.pictures) == 3 * views.batch_size
        part = epoch_batches(train_pictures.labels, views, 1)[0]
        assert batch.pictures.tolist() == [picture for picture in part for _ in range(3)]
        assert batch.labels.tolist() == [train_pictures.labels[p] for p in batch.pictures.tolist()]
        shown = batch.inputs.view(-1, 3, *batch.inputs.shape[1:])
        assert not torch.equal(shown[:, 0], shown[:, 1])

    def test_come_only_in_the_epochs_that_want_them(self, train_pictures, views):
        plain = replace(views, method="embedding")
        ours = PictureSource(train_pictures, views, _process(0, 1)).batches(0)
        theirs = PictureSource(train_pictures, plain, _process(0, 1)).batches(0)
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(ours, theirs, strict=True))

    def test_do_not_depend_on_batches_or_workers(self, train_pictures, views):
        def shown(plan):
            found = {}
            for batch in PictureSource(train_pictures, plan, _process(0, 1)).batches(1):
                for picture, view in zip(batch.pictures.tolist(), batch.inputs, strict=True):
                    found.setdefault(picture, []).append(view)
            return {picture: torch.stack(rows) for picture, rows in found.items()}

        here, there = shown(views), shown(replace(views, batch_size=4, workers=2))
        assert all(torch.equal(here[picture], there[picture]) for picture in here)

    def test_are_split_over_processes_by_picture(self, train_pictures, views):
        whole, first, second = (
            next(PictureSource(train_pictures, views, _process(rank, count)).batches(1))
            for rank, count in ((0, 1), (0, 2), (1, 2))
        )
        assert torch.equal(whole.inputs, torch.cat([first.inputs, second.inputs]))
        assert torch.equal(whole.pictures, torch.cat([first.pictures, second.pictures]))

    def test_from_a_cache_are_different_ones_of_each_picture(self, train_pictures, views, tmp_path):
        cache = _numbered_cache(tmp_path, len(train_pictures), 5)
        source = CacheSource(cache, train_pictures.labels, views, _process(0, 1))
        drawn = {}
        for batch in source.batches(1):
            (maps,) = batch.inputs
            numbers = maps.flatten().tolist()  # picture + view / 10
            for picture, number in zip(batch.pictures.tolist(), numbers, strict=True):
                assert int(number) == picture
                drawn.setdefault(picture, []).append(number)
        assert all(len(set(numbers)) == 3 for numbers in drawn.values())
        assert len({tuple(round(n % 1, 1) for n in numbers) for numbers in drawn.values()}) > 1
        again = [batch.inputs[0] for batch in source.batches(1)]
        assert all(torch.equal(a, b.inputs[0]) for a, b in zip(again, source.batches(1), strict=True))
        assert not torch.equal(again[0], next(source.batches(2)).inputs[0])

    def test_plain_epochs_show_what_testing_shows(self, train_pictures, views):
        plain = replace(views, raml=replace(views.raml, distillation="ts_reg"))
        batch = next(PictureSource(train_pictures, plain, _process(0, 1)).batches(1))
        picture = int(batch.pictures[0])
        expected = plain.preprocess(load_image(train_pictures.paths[picture]))
        assert torch.equal(batch.inputs[0], expected)


def _numbered_cache(folder, pictures: int, views: int) -> MapCache:
    """Maps of one cell each, which tell their picture and view."""
    numbers = np.arange(pictures)[:, None] + np.arange(views)[None] / 10
    np.save(folder / "level1.npy", numbers.reshape(pictures, views, 1, 1, 1).astype(np.float16))
    manifest = {"pictures": pictures, "views": views, "levels": 1, "done": pictures}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return MapCache(folder)
