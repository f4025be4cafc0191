"""What visitors take away of a comparison: a report, a picture, the numbers, each as one file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.work.keep import display_name
from app.work.models import Models
from app.work.workbench import PictureFile, Workbench
from avsl_core.comparison import Comparison
from avsl_core.explain.record import ModelPapers, comparison_record, record_json
from avsl_core.explain.report import Reported, report_page
from avsl_core.explain.sheet import sheet_png

__all__ = [
    "KINDS",
    "TakenAway",
    "file_stem",
    "record_text",
    "report_text",
    "reported",
    "sheet_bytes",
    "shown_names",
    "take_away",
    "today",
]

KINDS = {"report": "text/html", "sheet": "image/png", "record": "application/json"}
"""What can be taken away, and what type of file it is."""

_ENDINGS = {"report": "html", "sheet": "png", "record": "json"}
_LONGEST = 60


@dataclass(frozen=True)
class TakenAway:
    """A file to take away.

    Attributes:
        name: What it is called.
        type: Of its content, as browsers know it.
        data: Its content.
    """

    name: str
    type: str
    data: bytes


def take_away(kind: str, accounts: Sequence[Reported], names: tuple[str, str]) -> TakenAway:
    """Make a file.

    Args:
        kind: One of :data:`KINDS`.
        accounts: What one method found, or two; the picture shows the first.
        names: What the two pictures are called.

    Raises:
        KeyError: If there is no such kind.
        AvslError: If it cannot be made.
    """
    make = {"report": _report, "sheet": _sheet, "record": _record}[kind]
    return TakenAway(f"{file_stem(names)}.{_ENDINGS[kind]}", KINDS[kind], make(accounts, names))


def reported(models: Models, bench: Workbench, comparison: Comparison) -> Reported:
    """A comparison with what its report needs.

    Args:
        models: Where its model is.
        bench: Which one of them it is.
        comparison: What it found.
    """
    papers = ModelPapers.of(bench.checkpoint, models.name(bench), models.mark(bench))
    return Reported(comparison, papers, bench.checkpoint.model, bench.checkpoint.pairs)


def report_text(accounts: Sequence[Reported], names: tuple[str, str]) -> str:
    """The report as a web page that needs nothing else."""
    return report_page(accounts, names, when=today())


def sheet_bytes(account: Reported, names: tuple[str, str]) -> bytes:
    """The comparison as one picture, a PNG."""
    return sheet_png(account.comparison, names=names, papers=account.papers, when=today())


def record_text(accounts: Sequence[Reported], names: tuple[str, str]) -> str:
    """Every number as JSON: the first method's record, with the second's in ``beside``."""
    first, *others = (
        comparison_record(account.comparison, names=names, papers=account.papers, when=today())
        for account in accounts
    )
    return record_json(first | ({"beside": others[0]} if others else {}))


def shown_names(a: PictureFile, b: PictureFile) -> tuple[str, str]:
    """What two pictures are called in what others may read."""
    return display_name(a.name), display_name(b.name)


def file_stem(names: tuple[str, str]) -> str:
    """What a file about two pictures is called, without its ending.

    Example:
        >>> file_stem(("My jay (2).webp", "owl.webp"))
        'my-jay-2-and-owl'
    """
    words = [re.sub(r"[^\w]+", "-", re.sub(r"\.\w{1,5}$", "", name)).strip("-").lower() for name in names]
    first, second = (word[: _LONGEST // 2].strip("-") or "picture" for word in words)
    return f"{first}-and-{second}"


def today() -> str:
    """The date in words."""
    now = datetime.now().astimezone()
    return f"{now.day} {now:%B %Y}"


def _report(accounts: Sequence[Reported], names: tuple[str, str]) -> bytes:
    return report_text(accounts, names).encode()


def _sheet(accounts: Sequence[Reported], names: tuple[str, str]) -> bytes:
    return sheet_bytes(accounts[0], names)


def _record(accounts: Sequence[Reported], names: tuple[str, str]) -> bytes:
    return record_text(accounts, names).encode()
