"""The neighbours of one query as a table to take away."""

import csv
import io

from app.explore.bench import Found
from app.look.printable import plain_cell

__all__ = ["neighbours_csv"]


def neighbours_csv(found: Found) -> str:
    """The shown neighbours, nearest first, with every level's part and what each level counted.

    Names come from outside: a cell that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        found: The query and its neighbours.

    Returns:
        CSV with a head line, for UTF-8.
    """
    parts = found.open.searcher.measure.parts
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        [
            "query",
            "rank",
            "name",
            "class",
            "distance",
            "score",
            *parts,
            "decided_by",
            *(f"weight_{part}" for part in parts),
        ]
    )
    for rank, hit in enumerate(found.result.hits, 1):
        writer.writerow(
            [
                plain_cell(found.query.name),
                rank,
                plain_cell(hit.item.name),
                plain_cell(hit.item.class_name or ""),
                f"{hit.distance:.6f}",
                f"{hit.score:.6f}",
                *(f"{hit.parts[part]:.6f}" for part in parts),
                hit.decided_by,
                *(f"{weight:g}" for weight in found.weights),
            ]
        )
    return text.getvalue()
