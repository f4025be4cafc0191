"""What the Explore page remembers of one visitor: plain values, the steps between them, and their address."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlencode

from avsl_core.search.searcher import Mode

__all__ = ["ExploreState", "Step"]

PAGE = 12
_MOST = 96
_TRAIL = 24
_WEIGHT = 2.0


@dataclass(frozen=True)
class Step:
    """A picture whose neighbours were looked at: one of the gallery, or one of the visitor's own.

    Attributes:
        row: Its number in the gallery.
        upload: The key of its content, if it was uploaded.
    """

    row: int | None = None
    upload: str | None = None

    @property
    def token(self) -> str:
        """How addresses write it."""
        return str(self.row) if self.upload is None else f"u{self.upload}"

    @classmethod
    def parse(cls, token: str) -> Self | None:
        """Read a token; None if it is none.

        Example:
            >>> Step.parse("12"), Step.parse("../etc")
            (Step(row=12, upload=None), None)
        """
        if re.fullmatch("[0-9]{1,9}", token, re.ASCII):
            return cls(row=int(token))
        return cls(upload=token[1:]) if re.fullmatch("u[0-9a-f]{32}", token) else None


@dataclass(frozen=True)
class ExploreState:
    """What is on the page.

    Attributes:
        gallery: Key of the gallery.
        trail: The queries so far; the last one is answered.
        weights: What each level counts, from low to high; empty when all count as the model learned it.
        classes: Only pictures of these; all when empty.
        k: Neighbours shown.
        mode: How they are found.
        method: Name of the model that sees it; empty for the one that made the gallery.
        generation: The state of the gallery in which its pictures have their numbers; empty for any. It is
            no part of what is on the page, so two views may be equal without it.
    """

    gallery: str
    trail: tuple[Step, ...] = ()
    weights: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    k: int = PAGE
    mode: Mode = "exact"
    method: str = ""
    generation: str = field(default="", compare=False)

    @property
    def query(self) -> Step | None:
        """The picture whose neighbours are shown."""
        return self.trail[-1] if self.trail else None

    def with_query(self, step: Step) -> Self:
        """Go on from another picture; the oldest steps of a long trail are dropped."""
        if step == self.query:
            return self
        return dataclasses.replace(self, trail=(*self.trail, step)[-_TRAIL:], k=PAGE)

    def back_to(self, index: int) -> Self:
        """Go back to a step of the trail; a step that is not there leaves everything as it is."""
        if not 0 <= index < len(self.trail):
            return self
        return dataclasses.replace(self, trail=self.trail[: index + 1], k=PAGE)

    def with_weights(self, weights: Sequence[float]) -> Self:
        """Let each level count as much; all alike is the distance itself."""
        kept = tuple(min(_WEIGHT, max(0.0, float(weight))) for weight in weights)
        return dataclasses.replace(self, weights=() if all(weight == 1 for weight in kept) else kept)

    def with_classes(self, classes: Sequence[str]) -> Self:
        """Only pictures of these classes."""
        return dataclasses.replace(self, classes=tuple(classes), k=PAGE)

    def with_mode(self, mode: Mode) -> Self:
        """Found in another way."""
        return dataclasses.replace(self, mode=mode)

    def with_more(self) -> Self:
        """Another page of neighbours."""
        return dataclasses.replace(self, k=min(_MOST, self.k + PAGE))

    def link(self) -> str:
        """The query string of this view's address."""
        values = {"gallery": self.gallery, "trail": ".".join(step.token for step in self.trail)}
        if self.generation:
            values["g"] = self.generation
        if self.method:
            values["method"] = self.method
        if self.weights:
            values["levels"] = ",".join(f"{weight:g}" for weight in self.weights)
        if self.classes:
            values["classes"] = "/".join(self.classes)  # the one sign that no folder's name has
        if self.k != PAGE:
            values["k"] = str(self.k)
        if self.mode != "exact":
            values["mode"] = self.mode
        return urlencode(values)

    @classmethod
    def from_link(cls, values: Mapping[str, str]) -> Self | None:
        """Read an address; what makes no sense is passed over. None if it names no gallery."""
        if not values.get("gallery"):
            return None
        steps = (Step.parse(token) for token in values.get("trail", "").split("."))
        trail = tuple(step for step in steps if step is not None)[-_TRAIL:]
        k, generation = values.get("k", ""), values.get("g", "")
        state = cls(
            gallery=values["gallery"],
            trail=trail,
            classes=tuple(name for name in values.get("classes", "").split("/") if name),
            k=min(_MOST, max(1, int(k))) if re.fullmatch("[0-9]{1,4}", k, re.ASCII) else PAGE,
            mode="fast" if values.get("mode") == "fast" else "exact",
            method=values.get("method", ""),
            generation=generation if re.fullmatch("[0-9a-f-]{1,64}", generation, re.ASCII) else "",
        )
        return state.with_weights(_numbers(values.get("levels", "")))


def _numbers(text: str) -> list[float]:
    parts = text.split(",")
    return [float(part) for part in parts] if all(re.fullmatch(r"\d+(\.\d+)?", p) for p in parts) else []
