"""What does an API need to run, and how do its parts come together?"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from processor.adapters.clock import SystemClock
from processor.api.application import application
from processor.api.following import Following
from processor.api.listening import is_loopback, listen, listening
from processor.api.positions import parsed
from processor.api.remembering import Remembered
from processor.api.service import Service
from processor.api.tokens import read_tokens
from processor.bootstrap.serving import serving
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from processor.adapters.exposition import Exposition
    from processor.bootstrap.serving import Served
    from processor.bootstrap.working import Worker
    from processor.settings import Settings

SECONDS: Final = 1.0
"""An overview and a readiness count so long."""


@asynccontextmanager
async def api(
    settings: Settings,
    host: str,
    port: int,
    tokens: Path | None = None,
    *,
    worker: Worker | None = None,
    exposition: Exposition | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """The API and its pages while the block lasts; where they can be reached.

    `worker` is one that runs in this process: `/live` and `/ready` tell of it too. `exposition` is
    what `/metrics` tells: nothing without one. Raises `ConfigurationError` where an address that
    others reach has no tokens.
    """
    if tokens is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached by others: name who may do what, --tokens FILE"
            " (`processor token NAME` makes an entry)"
        )
    known = None if tokens is None else await asyncio.to_thread(read_tokens, tokens)
    made = await asyncio.to_thread(listen, host, port)
    with made:
        async with serving(settings) as behind:
            clock = SystemClock()
            service = Service(
                client=behind.client,
                clock=clock,
                views=behind.views,
                overview=Remembered(behind.overseer.look, clock, SECONDS),
                submissions=behind.submissions,
                places=lambda text: parsed(text, settings.topics, settings.partitions),
                following=Following(behind.client.status, clock),
                ready=Remembered(partial(_missing, behind, worker), clock, SECONDS),
                alive=lambda: () if worker is None else worker.liveness().reasons,
                metrics=lambda: "" if exposition is None else exposition.text(),
                translated=behind.translated,
            )
            app = application(service, known, only_loopback=is_loopback(host))
            async with listening(app, made, service.closing):
                where: tuple[str, int] = made.getsockname()[:2]
                yield where


async def _missing(behind: Served, worker: Worker | None) -> Sequence[str]:
    """Why it is not ready: who does not answer, and what the worker here lacks."""
    mine = () if worker is None else worker.readiness().reasons
    return [*mine, *await behind.missing()]
