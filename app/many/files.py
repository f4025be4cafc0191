"""A set's distances as files to take away."""

import csv
import io
import json

from app.look.printable import plain_cell
from app.many.bench import Measured

__all__ = ["distances_csv", "distances_json"]


def distances_csv(measured: Measured) -> str:
    """All distances as a table with the pictures' names, ordered as the page shows them.

    Names come from outside: a cell that a spreadsheet would take for a formula gets an apostrophe in front.

    Returns:
        CSV with a head line, for UTF-8; row: first picture, column: second.
    """
    order = measured.many.order
    names = [plain_cell(measured.members[index].name) for index in order]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["distance", *names])
    for index, name in zip(order, names, strict=True):
        writer.writerow([name, *(repr(float(measured.many.distances[index, other])) for other in order)])
    return text.getvalue()


def distances_json(measured: Measured) -> str:
    """All distances in full precision, and how the pictures group, in the order in which they were given."""
    many = measured.many
    return json.dumps(
        {
            "schema": "avsl-distances",
            "version": 1,
            "model": measured.model,
            "method": measured.bench.checkpoint.model.method,
            "names": [member.name for member in measured.members],
            "distances": many.distances.tolist(),
            "symmetric": many.symmetric,
            "linkage": many.linkage.tolist(),
            "order": list(many.order),
        },
        allow_nan=False,
    )
