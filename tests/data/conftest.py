"""Small pictures on disk, for data sets made on the spot."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from avsl_core.data import PictureSet


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 120, 40)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def put(jpeg: bytes) -> Callable[..., Path]:
    """Write a file, a picture unless told otherwise, with the folders that it needs."""

    def write(path: Path, content: bytes | str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            path.write_bytes(jpeg if content is None else content)
        return path

    return write


@pytest.fixture
def make_set() -> Callable[..., PictureSet]:
    """A set of given class sizes; its paths need not exist."""

    def build(sizes: dict[str, int], name: str = "made", boxes: bool = False) -> PictureSet:
        paths = [Path(class_name) / f"{i}.jpg" for class_name, size in sizes.items() for i in range(size)]
        names = [class_name for class_name, size in sizes.items() for _ in range(size)]
        return PictureSet.from_names(name, paths, names, boxes=[(0, 0, 4, 3)] * len(paths) if boxes else None)

    return build
