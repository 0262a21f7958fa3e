"""What does an API need to run, and how do its parts come together?"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from processor.adapters.clock import SystemClock
from processor.adapters.exposition import Exposition
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
    from collections.abc import AsyncIterator
    from pathlib import Path

    from processor.settings import Settings

SECONDS: Final = 1.0
"""An overview and a readiness count so long."""


@asynccontextmanager
async def api(
    settings: Settings, host: str, port: int, tokens: Path | None
) -> AsyncIterator[tuple[str, int]]:
    """The API and its pages while the block lasts; where they can be reached.

    Raises `ConfigurationError` where an address that others reach has no tokens.
    """
    if tokens is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached by others: name who may do what, --tokens FILE"
            " (`processor token NAME` makes an entry)"
        )
    known = None if tokens is None else await asyncio.to_thread(read_tokens, tokens)
    exposition = Exposition()
    exposition.install()
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
                ready=Remembered(behind.missing, clock, SECONDS),
                alive=list,
                metrics=exposition.text,
                translated=behind.translated,
            )
            app = application(service, known, only_loopback=is_loopback(host))
            async with listening(app, made, service.closing):
                where: tuple[str, int] = made.getsockname()[:2]
                yield where
