"""At which point of its work does a worker's process stop itself, to be woken by the test?

An application for a worker's process. `install` steps into what the process calls; the point comes
from its environment, and it stops there once, when a file says that it may.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from processor.adapters.kafka import membership
from processor.adapters.postgres.transactions import PostgresTransaction
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.chaos.handlers import jobs
from processor.ports.ledger import Answer
from processor.ports.waiting_room import Wait, WaitingState

__all__ = ["install", "jobs"]

APPLICATION: Final = "from tests.freezing import install, jobs\n\ninstall()\n"
VARIABLE: Final = "FREEZE_AT"
MAY: Final = "may-freeze"
FROZEN: Final = "frozen"
"""Holds the process's id once it has stopped."""
POINTS: Final = (
    "after COMMIT",
    "between rollback and park",
    "after park",
    "between revoked and assigned",
)


def install() -> None:
    """Step into what this process calls at its point."""
    point = os.environ[VARIABLE]
    if point == POINTS[0]:
        _step(PostgresTransaction, "complete", after=lambda answer, *_: answer is Answer.DONE)
    elif point == POINTS[1]:
        _step(PostgresWaitingRoom, "record", before=_parks)
    elif point == POINTS[2]:
        _step(PostgresWaitingRoom, "record", after=lambda _, *given: _parks(*given))
    else:
        _step_into_revoked()


def _parks(_fence: object, wait: Wait, *_: object) -> bool:
    return wait.state is WaitingState.RETRYING


def _never(*_: object) -> bool:
    return False


def _step(
    port: type,
    method: str,
    *,
    before: Callable[..., bool] = _never,
    after: Callable[..., bool] = _never,
) -> None:
    original = getattr(port, method)

    async def stepped(self: object, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - any port's
        if before(*given):
            freeze()
        answer = await original(self, *given, **named)
        if after(answer, *given):
            freeze()
        return answer

    setattr(port, method, stepped)


def _step_into_revoked() -> None:
    listener = membership._Listener  # noqa: SLF001 - there is no other way between the two
    original = listener.on_partitions_revoked

    def revoked(self: Any, partitions: Any) -> None:  # noqa: ANN401 - the client's own
        original(self, partitions)
        if partitions:  # else it has just joined
            freeze()

    setattr(listener, original.__name__, revoked)


def freeze() -> None:
    """Stop this process, where nobody has stopped yet and somebody waits for it."""
    if not Path(MAY).exists():
        return
    with _first() as is_first:
        if is_first:
            os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def _first() -> Iterator[bool]:
    try:
        with Path(FROZEN).open("x") as mark:
            mark.write(str(os.getpid()))
    except FileExistsError:
        yield False
    else:
        yield True
