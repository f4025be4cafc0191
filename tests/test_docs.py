"""The Python of the documentation runs, on a small gallery and a database inside the process."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.gallery import BuildOptions, build_gallery
from avsl_core.images import Preprocess

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_a_gallery_can_be_copied_to_milvus_as_documented(avsl, tmp_path):
    checkpoint = Checkpoint(avsl, Preprocess(size=64, resize=64))
    save_checkpoint(checkpoint, tmp_path / "tiny.safetensors")
    rng = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "pictures" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    build_gallery(checkpoint, tmp_path / "pictures", tmp_path / "gallery", options=BuildOptions(map="none"))

    (snippet,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "scale.md").read_text(encoding="utf-8"), re.DOTALL
    )
    for written, here in {
        '"default"': repr(str(tmp_path / "tiny.safetensors")),
        '"gallery/"': repr(str(tmp_path / "gallery")),
        '"http://milvus:19530"': repr(str(tmp_path / "milvus.db")),
        '"bird.jpg"': repr(str(tmp_path / "pictures" / "class1" / "3.png")),
    }.items():
        assert snippet.count(written) == 1
        snippet = snippet.replace(written, here)
    names: dict[str, object] = {}
    exec(snippet, names)
    assert len(names["names"]) == 6
    assert names["names"][0] == "class1/3.png"
