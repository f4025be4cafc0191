"""The program that decodes pictures of strangers, apart from the app: it may be lost at any time.

It starts without the model's packages, so that it is ready in a fraction of a second; it gives up, before the
first picture, what decoding does not need; and it ends when whoever started it does.
"""

import importlib
import io
import json
import os
import signal
import struct
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avsl_core.images.limits import ImageLimits

__all__ = ["ANSWER", "PICTURE", "READY", "REFUSAL", "REQUEST", "Answer", "Wanted", "perform", "wish_of"]

REQUEST = struct.Struct("<IQ")  # bytes of the wish, as JSON, and of the picture
ANSWER = struct.Struct("<BIIII")  # kind, rows and columns of what follows, width and height of the whole
READY, PICTURE, REFUSAL = range(3)  # a refusal's message has as many bytes as it has rows

_GRACE = 2.0  # seconds after which it ends itself, should nobody be left to end it
_THREADS = 4


@dataclass(frozen=True)
class Wanted:
    """What to make of a picture.

    Attributes:
        target_side: As `load_image` takes it.
        size: Side of the square that a network sees; 0 for the whole picture.
        resize: Short side before the cut.
        interpolation: "bicubic" or "bilinear".
        antialias: Average over source pixels when scaling down.
        within: Longest side of the result; 0 for any.
        filter: How it is scaled down to that, as Pillow numbers it.
        whole: Whether the size of the whole picture is asked for.
    """

    target_side: int | None = None
    size: int = 0
    resize: int = 0
    interpolation: str = "bicubic"
    antialias: bool = True
    within: int = 0
    filter: int = 3
    whole: bool = False


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a picture.

    Attributes:
        pixels: uint8 RGB [H, W, 3].
        size: Width and height of the whole picture, upright; zeros if nobody asked.
    """

    pixels: "NDArray[np.uint8]"
    size: tuple[int, int] = (0, 0)


def perform(data: bytes, name: str, wanted: Wanted, limits: "ImageLimits") -> Answer:
    """Decode a picture and make what is wanted of it; the same here, there and everywhere.

    Args:
        data: The encoded picture.
        name: What messages call it.
        wanted: What to make.
        limits: Of the picture.

    Raises:
        ImageError: If it cannot be read.
    """
    import numpy as np
    from PIL import Image

    from avsl_core.images.decode import load_image
    from avsl_core.images.opening import upright_size
    from avsl_core.images.resample import central_box, resample

    pixels = load_image(data, name=name, limits=limits, target_side=wanted.target_side)
    height, width = pixels.shape[:2]
    size = upright_size(data, name, height, width) if wanted.whole else (0, 0)
    if wanted.size:
        pixels = resample(
            pixels,
            central_box(height, width, wanted.size, wanted.resize),
            wanted.size,
            wanted.size,
            interpolation=wanted.interpolation,
            antialias=wanted.antialias,
        )
    if wanted.within:
        picture = Image.fromarray(pixels)
        picture.thumbnail((wanted.within, wanted.within), Image.Resampling(wanted.filter))
        pixels = np.array(picture)
    return Answer(pixels, size)


def main() -> None:
    """Answer requests on standard input until it ends."""
    settings = json.loads(sys.argv[1])
    sys.path[:] = settings["path"]
    requests, answers = _take_streams()
    # Ctrl+C in a terminal is for the app, which then lets go of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name, folder in settings["packages"].items():
        _make_hollow(name, folder)
    _warm_up()
    _give_up_rights(settings["memory"])
    limits = importlib.import_module("avsl_core.images.limits").ImageLimits(**settings["limits"])
    answers.write(ANSWER.pack(READY, 0, 0, 0, 0))
    with suppress(BrokenPipeError):
        while _serve_one(requests, answers, limits, settings["seconds"]):
            pass


def _serve_one(requests: BinaryIO, answers: "_Whole", limits: "ImageLimits", seconds: float) -> bool:
    head = requests.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return False  # nobody asks any more
    wish_bytes, data_bytes = REQUEST.unpack(head)
    wish, data = json.loads(requests.read(wish_bytes)), requests.read(data_bytes)
    name = wish.pop("name")
    try:
        with _ending_after(seconds + _GRACE):
            answer = perform(data, name, Wanted(**wish), limits)
    except Exception as error:
        own = type(error).__name__ == "ImageError"
        text = str(error) if own else f"{name}: damaged, or of a rare variant; save it as JPEG or PNG"
        message = json.dumps(text[:2000]).encode()
        answers.write(ANSWER.pack(REFUSAL, len(message), 0, 0, 0) + message)
        return True
    height, width = answer.pixels.shape[:2]
    answers.write(ANSWER.pack(PICTURE, height, width, *answer.size))
    answers.write(answer.pixels.data.cast("B"))
    return True


def _take_streams() -> tuple[BinaryIO, "_Whole"]:
    """The way in and the way out, for us alone: codecs that print must not print into answers."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stdout = sys.stderr = io.StringIO()
    return sys.stdin.buffer, _Whole(answers)


class _Whole(io.RawIOBase):
    """Writes all of what it is given: a pipe takes a part at a time."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def write(self, data: Any, /) -> int:
        left = memoryview(data)
        while left:
            left = left[self._inner.write(left) :]
        return len(data)


def _make_hollow(name: str, folder: str) -> None:
    """Make a package's modules importable without what its `__init__` imports: the model's packages."""
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


def _warm_up() -> None:
    """Decode one picture of each kind, so that all that codecs import late is here: later no file opens."""
    import numpy as np
    from PIL import AvifImagePlugin, Image, ImageCms, features

    AvifImagePlugin.DEFAULT_MAX_THREADS = min(_THREADS, os.cpu_count() or 1)
    limits = importlib.import_module("avsl_core.images.limits").ImageLimits(min_side=1)
    colour = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "seen"
    for mode, kind, options in _samples(features.check):
        picture = Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)).convert(mode)
        stream = io.BytesIO()
        with suppress(Exception):  # a codec that is not here is not here for visitors either
            picture.save(stream, kind, exif=exif.tobytes(), icc_profile=colour, **options)
            perform(stream.getvalue(), "", Wanted(size=4, resize=4, within=2, whole=True), limits)
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.options.DECODE_THREADS = min(_THREADS, os.cpu_count() or 1)
        stream = io.BytesIO()
        with suppress(Exception):
            picture = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
            pillow_heif.from_pillow(picture).save(stream, exif=exif.tobytes())
            perform(stream.getvalue(), "", Wanted(), limits)
    for codec in ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"):
        "".encode(codec)
    for damaged in (
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"II*\0\x08\0\0\0\xff\xff",
        b"BM" + bytes(60),
    ):
        with suppress(Exception):  # how errors are worded is imported late as well
            perform(damaged, "", Wanted(), limits)


def _samples(has: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield from (("RGB", "JPEG", {"progressive": True}), ("CMYK", "JPEG", {}), ("L", "JPEG", {}))
    yield from (("RGB", "PNG", {}), ("P", "PNG", {}), ("P", "GIF", {}), ("RGB", "BMP", {}))
    yield from (("RGB", "TIFF", {}), ("LAB", "TIFF", {}), ("I;16", "TIFF", {}))
    yield from (("RGB", "TIFF", {"compression": kind}) for kind in ("tiff_lzw", "jpeg", "tiff_adobe_deflate"))
    yield from (("1", "TIFF", {"compression": "group4"}), ("RGB", "WEBP", {}), ("RGBA", "WEBP", {}))
    if has("avif"):
        yield "RGB", "AVIF", {"speed": 10}


def _give_up_rights(memory: int) -> None:
    """No core files, no growing files, no further files or connections, and no more memory than allowed."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    opened = max(int(name) for name in os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 63  # noqa: PTH112, PTH208
    wishes = [("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", opened), ("RLIMIT_AS", memory)]
    for name, most in wishes:
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))


@contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    """End this program from within when a picture holds it: even a codec that never looks up is ended."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def wish_of(name: str, wanted: Wanted) -> bytes:
    """A request's first part."""
    return json.dumps({"name": name, **asdict(wanted)}).encode()


if __name__ == "__main__":
    main()
