"""A small picture without any symmetry, and a way to encode it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo():
    """uint8 [48, 64, 3]: smooth, and different under every flip and turn."""
    y, x = np.mgrid[:48, :64].astype(np.float64)
    channels = (x * 4, y * 5, 255 - x - 2 * y)
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture
def encode():
    """Encode an array or a PIL image: encode(picture, "PNG", **options) -> bytes."""

    def to_bytes(picture, kind, **options):
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        stream = io.BytesIO()
        if kind == "HEIF":
            import pillow_heif

            pillow_heif.from_pillow(picture).save(stream, **options)
        else:
            picture.save(stream, kind, **options)
        return stream.getvalue()

    return to_bytes


@pytest.fixture
def write_tiff():
    """A little-endian TIFF of one strip with any tags: write_tiff(payload, {tag: value}) -> bytes."""

    def to_bytes(payload, tags):
        tags = sorted({273: 8, 279: len(payload), 259: 1, **tags}.items())
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        header = b"II*\0" + struct.pack("<I", 8 + len(payload))
        return header + payload + struct.pack("<H", len(tags)) + directory + bytes(4)

    return to_bytes
