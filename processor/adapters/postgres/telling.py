"""What does a person read when the database does not answer a question?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.domain.errors import ConfigurationError, Unavailable
from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.history import History
    from processor.ports.log import Place


class TellingHistory:
    """A `History` whose every failure is one clear line: `Unavailable` or `ConfigurationError`."""

    def __init__(self, history: History, url: str) -> None:
        self._history = history
        self._url = url

    async def status(self, job: JobId) -> JobStatus | None:
        """See `processor.ports.history.History`."""
        with told(self._url):
            return await self._history.status(job)

    async def seen(self, place: Place) -> int:
        """See `processor.ports.history.History`."""
        with told(self._url):
            return await self._history.seen(place)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Raise what the database says as one line that tells how to mend it."""
    try:
        yield
    except Fault as fault:
        why = fault.__cause__ or fault
        raise Unavailable(
            f"PostgreSQL does not answer at {where(url)} ({_first_line(why)});"
            " is it running, and is JOBS_DATABASE right?"
        ) from fault
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise ConfigurationError(
            f"the database at {where(url)} has no tables of ours: run `processor migrate`"
        ) from error
    except DRIVER_ERRORS as error:
        raise ConfigurationError(
            f"PostgreSQL at {where(url)} refuses ({_first_line(error)}): mend JOBS_DATABASE"
        ) from error


def where(url: str) -> str:
    """The URL's place, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
