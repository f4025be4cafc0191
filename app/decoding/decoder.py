"""Pictures of strangers are decoded in a process of its own, which can be ended when one does harm.

Codecs are written in C: on hostile bytes they may hang, take all memory or crash, and no thread can be ended.
"""

import queue
import weakref

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.decoding.child import Answer, Wanted, perform
from app.decoding.process import Child, command_of
from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits, Preprocess
from avsl_core.images.source import label_of

__all__ = ["Decoder", "HereDecoder", "PictureDecoder"]


class PictureDecoder:
    """What the app wants of pictures, wherever they are decoded.

    Args:
        limits: Of a picture.
    """

    def __init__(self, limits: ImageLimits | None = None) -> None:
        self.limits = limits or ImageLimits()

    def decode(self, data: bytes, name: str, *, target_side: int | None = None) -> NDArray[np.uint8]:
        """A picture as `avsl_core.images.load_image` gives it.

        Args:
            data: The encoded picture.
            name: What messages call it.
            target_side: A large JPEG is decoded no larger than its short side needs.

        Returns:
            uint8 RGB [H, W, 3].

        Raises:
            ImageError: If it cannot be read, or takes too much time or memory.
        """
        return self._make(data, name, Wanted(target_side=target_side)).pixels

    def crop(self, data: bytes, name: str, preprocess: Preprocess) -> NDArray[np.uint8]:
        """What a network sees of a picture: `preprocess.crop` of what `load_for` gives.

        Returns:
            uint8 RGB [S, S, 3].

        Raises:
            ImageError: As :meth:`decode`.
        """
        wanted = Wanted(
            target_side=preprocess.decoded_side,
            size=preprocess.size,
            resize=preprocess.resize,
            interpolation=preprocess.interpolation,
            antialias=preprocess.antialias,
        )
        return self._make(data, name, wanted).pixels

    def within(
        self,
        data: bytes,
        name: str,
        side: int,
        *,
        target_side: int | None = None,
        resampling: Image.Resampling = Image.Resampling.BICUBIC,
    ) -> NDArray[np.uint8]:
        """A picture scaled down so that neither side is longer than that.

        Returns:
            uint8 RGB [H, W, 3].

        Raises:
            ImageError: As :meth:`decode`.
        """
        wanted = Wanted(target_side=target_side, within=side, filter=int(resampling))
        return self._make(data, name, wanted).pixels

    def load(
        self, preprocess: Preprocess, data: bytes, name: str
    ) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """For :class:`avsl_core.gallery.BuildOptions`: pixels for a network, and the whole width and height.

        Raises:
            ImageError: As :meth:`decode`.
        """
        answer = self._make(data, name, Wanted(target_side=preprocess.decoded_side, whole=True))
        return answer.pixels, answer.size

    def close(self) -> None:
        """End what was started for it."""

    def _make(self, data: bytes, name: str, wanted: Wanted) -> Answer:
        raise NotImplementedError


class HereDecoder(PictureDecoder):
    """Decodes in this process: for pictures of one's own."""

    def _make(self, data: bytes, name: str, wanted: Wanted) -> Answer:
        return perform(data, name, wanted, self.limits)


class Decoder(PictureDecoder):
    """Decodes in processes that are ended and replaced when a picture holds or breaks them.

    They start at once and in the background, end with this one, and see one picture at a time.

    Args:
        limits: Of a picture.
        processes: How many pictures are decoded at once.
        seconds: The longest that one may take.
        memory: Bytes of address space of each process, where the system can limit that.
    """

    def __init__(
        self,
        limits: ImageLimits | None = None,
        *,
        processes: int = 2,
        seconds: float = 20.0,
        memory: int = 2 * 2**30,
    ) -> None:
        super().__init__(limits)
        self._patience = 2 * seconds
        command = command_of(self.limits, seconds, memory)
        self._children = [Child(command, self.limits, seconds) for _ in range(processes)]
        self._free: queue.LifoQueue[Child] = queue.LifoQueue()
        for child in self._children:
            child.start_quietly()
            self._free.put(child)
        self._end = weakref.finalize(self, _end, self._children)

    @property
    def pids(self) -> list[int]:
        """The processes that are there now."""
        return [child.pid for child in self._children if child.pid]

    def close(self) -> None:
        """End the processes; pictures that are asked for later are refused."""
        self._end()

    def _make(self, data: bytes, name: str, wanted: Wanted) -> Answer:
        label = label_of(data, name)
        self.limits.check_bytes(len(data), label)
        try:
            child = self._free.get(timeout=self._patience)
        except queue.Empty:
            raise ImageError(
                f"{label}: many pictures are being read right now; try again in a moment"
            ) from None
        try:
            return child.ask(data, label, wanted)
        finally:
            self._free.put(child)


def _end(children: list[Child]) -> None:
    for child in children:
        child.end(for_good=True)
