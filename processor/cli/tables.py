"""How does a table stand in a terminal, and in a pipe?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.cli.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence


def tell_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns of text under their heads: numbers to the right, the rest to the left."""
    cells = [[*heads], *([_cell(one) for one in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    right = [
        bool(rows) and all(isinstance(row[column], int | float) for row in rows)
        for column in range(len(heads))
    ]
    for row in cells:
        aligned = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        tell("  ".join(aligned).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)
