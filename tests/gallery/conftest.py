"""Small pictures in folders of classes, and tiny models to index them with."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint
from avsl_core.gallery import BuildOptions, Gallery, build_gallery
from avsl_core.images import Preprocess

collect_ignore = ["crash_driver.py"]  # a program that test_crash.py runs
SEEN = Preprocess(size=64, resize=64)


class Numbers:
    """Numbers that are equal if they are close: batches of other sizes round differently."""

    __hash__ = None

    def __init__(self, values):
        self.values = np.asarray(values)

    def __eq__(self, other):
        return isinstance(other, Numbers) and np.allclose(self.values, other.values, atol=1e-4)


@pytest.fixture(scope="session")
def checkpoint(avsl):
    return Checkpoint(avsl, SEEN)


@pytest.fixture(scope="session")
def plain_checkpoint(embedding):
    return Checkpoint(embedding, SEEN)


@pytest.fixture(scope="session")
def draw():
    """draw(path): write a picture whose content depends on its name alone, or on a seed."""

    def write(path, seed=None, size=(40, 30)):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.name if seed is None else str(seed)
        rng = np.random.default_rng(int(hashlib.blake2b(text.encode(), digest_size=6).hexdigest(), 16))
        small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path)
        return path

    return write


@pytest.fixture
def pictures(tmp_path, draw):
    """A folder of 3 classes with 4 pictures each."""
    root = tmp_path / "project" / "pictures"
    for number in range(12):
        draw(root / f"class{number % 3}" / f"{number}.png")
    return root


@pytest.fixture
def build(checkpoint, tmp_path):
    """build(source, **options): index into the project's gallery and open that."""

    def run(source, *, into=None, using=checkpoint, progress=None, cancelled=None, **options):
        path = into or tmp_path / "project" / "gallery"
        chosen = BuildOptions(**{"chunk": 5, "map": "none", **options})
        report = build_gallery(using, source, path, options=chosen, progress=progress, cancelled=cancelled)
        return report, Gallery.open(path, checkpoint=using)

    return run


@pytest.fixture
def encodings(avsl):
    """Counts the pictures that pass through the network while a test runs."""
    counted = []
    hook = avsl.trunk.register_forward_hook(lambda _, inputs, __: counted.append(len(inputs[0])))
    yield lambda: sum(counted)
    hook.remove()


@pytest.fixture
def contents():
    """contents(gallery): name -> (class, copies, digest, numbers) of every live picture, in order."""

    def read(gallery):
        rows = gallery.read(0, len(gallery))
        alive = [row for row in range(len(gallery)) if gallery.live is None or gallery.live[row]]
        found = {}
        for row in alive:
            item = gallery.item(row)
            numbers = Numbers(np.concatenate([rows.vectors[row].numpy(), rows.gates[row].numpy()]))
            found[item.name] = (item.class_name, item.copies, item.digest, numbers)
        return found

    return read
