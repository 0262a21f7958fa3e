"""How is an SQL object made from its file? One object a file, in `sql` beside this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import op
from sqlalchemy.util import await_only

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER: Final = Path(__file__).parent.parent / "sql"


def create(kind: str, names: Iterable[str]) -> None:
    """Run the files of objects of one kind (`tables`, `functions`, `changes`), in this order."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - the migration is running on it
    for name in names:
        statements = (_FOLDER / kind / f"{name}.sql").read_text(encoding="utf-8")
        await_only(driver.execute(statements))
