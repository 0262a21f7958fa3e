"""How do tests ask the API without a server, a broker or a database?"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import httpx

from processor.adapters.memory.log import MemoryReader
from processor.adapters.memory.views import MemoryViews
from processor.api.application import application
from processor.api.following import Following
from processor.api.positions import parsed
from processor.api.remembering import Remembered
from processor.api.service import Service
from processor.api.tokens import Bearer, Scope, Tokens, hash_of
from processor.runtime.overview import Overseer
from processor.testing import Harness
from processor.testing.naming import CODEC, TOPICS
from projections.queries import Submissions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from fastapi import FastAPI

    from processor.runtime.handlers import Jobs

ALL = frozenset(Scope)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def bearer(
    subject: str,
    tenant: str | None = None,
    scopes: frozenset[Scope] = ALL,
    *,
    everywhere: bool = False,
    expires: datetime | None = None,
) -> Bearer:
    return Bearer(subject, tenant, everywhere=everywhere, scopes=scopes, expires=expires)


def tokens_of(**bearers: Bearer) -> Tokens:
    """Each has its name as its token."""
    return Tokens([(hash_of(token), one) for token, one in bearers.items()])


class Site(Harness):
    """A cluster in memory, and the API before it: the real application over the real ports."""

    def __init__(self, jobs: Jobs, tokens: Tokens | None = None) -> None:
        super().__init__(jobs)
        self._tokens = tokens
        self._open = AsyncExitStack()
        self.missing: list[str] = []
        self.service: Service
        self.app: FastAPI
        self.http: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        cluster, client = self._cluster, self.client
        views = MemoryViews(cluster.database)
        overseer = Overseer(
            views,
            cluster.projections.groups,
            lambda places: nullcontext(MemoryReader(cluster.topics, places, cluster.clock)),
            TOPICS,
            cluster.partitions,
            cluster.clock,
        )
        self.service = Service(
            client=client,
            clock=cluster.clock,
            views=views,
            overview=Remembered(overseer.look, cluster.clock, 1),
            submissions=Submissions(cluster.projections, CODEC),
            places=lambda text: parsed(text, TOPICS, cluster.partitions),
            following=Following(client.status, cluster.clock),
            ready=Remembered(self._missing, cluster.clock, 1),
            alive=lambda: self._worker.runtime.health.liveness().reasons,
            metrics=lambda: "# nothing\n",
            translated=lambda error: error,
            closing=asyncio.Event(),
        )
        self.app = application(self.service, self._tokens, only_loopback=True)
        transport = httpx.ASGITransport(self.app)
        self.http = await self._open.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://localhost:8080")
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()
        await super().__aexit__(kind, error, traceback)

    async def get(self, path: str, **sent: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        return await self.http.get(path, **sent)

    async def post(self, path: str, body: object = None, **sent: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        headers = {"Content-Type": "application/json", **sent.pop("headers", {})}
        text = json.dumps(body)  # escaped, so that also what is no Unicode can be sent
        return await self.http.post(path, content=text, headers=headers, **sent)

    async def _missing(self) -> Sequence[str]:
        return self.missing
