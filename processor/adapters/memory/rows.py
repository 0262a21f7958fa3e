"""What does a row of the waiting room hold, without a database?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from processor.ports.ledger import WaitingRow


@dataclass(frozen=True, slots=True)
class Wait:
    """A row of the waiting room to be written, as `record` takes it."""

    state: str
    holds: bool
    submission: bytes = b""
    body: bytes | None = None
    attempt: int = 0
    runs: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the waiting room."""

    row: WaitingRow
    partition: int
    token: UUID
    wait: Wait
    due_at: int | None = None
    hold: int | None = None
    since: int = 0
