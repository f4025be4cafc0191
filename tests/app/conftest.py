import numpy as np
import pytest
from PIL import Image

from app.compare_page import ComparePage
from app.examples import ExamplePair
from app.workbench import PictureFile, Workbench
from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution

PAIRS = PairDistribution((0.05, 0.3, 0.6), (0.4, 0.8, 1.6), same_count=40, different_count=400)


@pytest.fixture(scope="session")
def checkpoint(avsl):
    return Checkpoint(avsl, Preprocess(size=64, resize=64), pairs=PAIRS)


@pytest.fixture(scope="session")
def plain_checkpoint(embedding):
    return Checkpoint(embedding, Preprocess(size=64, resize=64))


@pytest.fixture(scope="session")
def checkpoint_file(checkpoint, tmp_path_factory):
    return save_checkpoint(checkpoint, tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Pictures by name: two photographs, a TIFF that no browser shows, and one that is damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    made = {}
    for name in ("one.png", "two.jpg", "scan.tif"):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC).save(folder / name)
        made[name] = folder / name
    made["broken.jpg"] = folder / "broken.jpg"
    made["broken.jpg"].write_bytes(made["two.jpg"].read_bytes()[:300])
    return made


@pytest.fixture
def bench(checkpoint):
    return Workbench(checkpoint)


@pytest.fixture
def page(bench, files):
    pair = ExamplePair(
        "A pair",
        "What it teaches.",
        PictureFile(files["one.png"], "one.png"),
        PictureFile(files["two.jpg"], "two.jpg"),
    )
    return ComparePage(bench, [pair])


@pytest.fixture
def payload(files):
    """What Gradio hands over for an upload."""
    return lambda name: {"path": str(files[name]), "orig_name": name, "meta": {"_type": "gradio.FileData"}}
