"""Which errors of the database are the infrastructure's, and which somebody's own?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg

from processor.ports.ledger import Conflict, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the session while something was being sent
    OSError,
    TimeoutError,
)
"""All that asyncpg raises, whoever is to blame."""

_CLASSES: Final = (
    "08",  # connection exception
    "53",  # insufficient resources: too many connections, disk full, out of memory
    "57P",  # the server shuts down, has crashed, or does not accept connections yet
    "58",  # the server's operating system failed
)
_NOT_READY: Final = "55000"
_STATES: Final = (
    "25006",  # read-only transaction: a standby, or a primary that was made one
    "40001",  # serialization failure
    _NOT_READY,  # recovery is in progress: a standby
)
_CONFLICTS: Final = (
    "40P01",  # deadlock
    "55P03",  # lock_timeout
)


def fault_of(error: BaseException) -> Fault | None:
    """The fault that an error, or one that it was raised from, stands for; None if it is none.

    SQLAlchemy's errors carry the driver's as `orig`, and that one asyncpg's as its cause.
    """
    return _first(error, asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError)


def fault_told_by(error: BaseException) -> Fault | None:
    """The same of an error that left a handler whose connection is sound.

    What is not the driver's own, as an OSError or a TimeoutError, came from elsewhere: from another
    server that the handler called, or from its time-out; and a handler asks for what is not ready,
    as a sequence's current value, more often than a standby answers.
    """
    if sqlstate_of(error) == _NOT_READY:
        return None
    return _first(error, asyncpg.PostgresError, asyncpg.InternalClientError)


def sqlstate_of(error: BaseException) -> str:
    """The five characters of SQL's own classification, or none."""
    for cause in _causes(error):
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state
    return ""


def _first(error: BaseException, *kinds: type[BaseException]) -> Fault | None:
    for cause in _causes(error):
        if isinstance(cause, Fault):
            return cause
        if isinstance(cause, kinds) and _is_fault(cause):
            kind = Conflict if getattr(cause, "sqlstate", None) in _CONFLICTS else Fault
            return kind(f"the database failed: {_sentence(cause)}")
    return None


def _is_fault(error: BaseException) -> bool:
    # asyncpg raises its internal error when the server had ended the session by itself; an
    # interface error may be a caller's own mistake: there the connection's state decides.
    if not isinstance(error, asyncpg.PostgresError):
        return True
    state = str(error.sqlstate or "")
    return state.startswith(_CLASSES) or state in _STATES + _CONFLICTS


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original = getattr(error, "orig", None)
        error = original if isinstance(original, BaseException) else error.__cause__


def _sentence(error: BaseException) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
