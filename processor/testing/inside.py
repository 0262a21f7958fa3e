"""How does a test run a worker, the projections and a client inside itself?"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from processor.bootstrap.producing import Client
from processor.bootstrap.projecting import projecting
from processor.bootstrap.working import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.adapters.postgres.sessions import Sessions
    from processor.runtime.handlers import Jobs
    from processor.settings import Settings


@asynccontextmanager
async def working(
    jobs: Jobs, settings: Settings, *, sessions: Sessions | None = None
) -> AsyncIterator[Client]:
    """A client beside a worker and a projector on the real stack, which are gone after the block.

    `sessions` as for `Worker`. Raises `ConfigurationError` or `Unavailable`.
    """
    async with (
        projecting(settings),
        Client.connect(settings) as client,
        Worker(jobs, settings, sessions=sessions),
    ):
        yield client
