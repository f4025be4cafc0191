"""Rows by the name or the path of a file."""

import os
from collections.abc import Iterable, Sequence

from torch import Tensor

from avsl_core.gallery.segment import Record

__all__ = ["NameIndex"]


class NameIndex:
    """All names of a gallery, in memory.

    Args:
        roots: Absolute folders, by their number.
        records: Of all rows, in order.
        live: Rows to know, ``[N]`` bool; None for all.
    """

    def __init__(self, roots: Sequence[str], records: Iterable[Record], live: Tensor | None) -> None:
        self._roots = list(roots)
        alive = None if live is None else live.numpy()
        self._rows = {
            f"{file.root}/{file.name}": row
            for row, record in enumerate(records)
            if alive is None or alive[row]
            for file in record.files
        }

    def find(self, key: str) -> int | None:
        """The row of a file by its name below a root, else by its path; None if there is none."""
        for number in range(len(self._roots)):
            row = self._rows.get(f"{number}/{key}")
            if row is not None:
                return row
        path = os.path.abspath(key)  # noqa: PTH100 - without following links, and ".." taken away
        for number, root in enumerate(self._roots):
            prefix = root.rstrip(os.sep) + os.sep
            if path.startswith(prefix):
                row = self._rows.get(f"{number}/{path[len(prefix) :]}")
                if row is not None:
                    return row
        return None
