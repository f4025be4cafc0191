"""Several threads decode at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits, load_image

KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"]


def test_threads_get_what_one_thread_gets(photo, encode):
    files = [encode(photo, kind) for kind in KINDS]
    alone = [load_image(data) for data in files]
    gate = threading.Barrier(len(files))

    def work(first):
        gate.wait(timeout=120)  # all start together, each with another format
        return [load_image(files[(first + step) % len(files)]) for step in range(3 * len(files))]

    with ThreadPoolExecutor(len(files)) as pool:
        for first, decoded in enumerate(pool.map(work, range(len(files)))):
            for step, picture in enumerate(decoded):
                assert np.array_equal(picture, alone[(first + step) % len(files)])


def test_limits_of_one_thread_do_not_reach_another(photo, encode):
    data = encode(photo, "PNG")

    def outcome(strict):
        limits = ImageLimits(max_pixels=100) if strict else ImageLimits()
        try:
            return load_image(data, limits=limits).shape
        except ImageError:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(outcome, [False, True] * 40))
    assert outcomes == [(48, 64, 3), "refused"] * 40
