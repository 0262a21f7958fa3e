"""Which application has an OpenTelemetry SDK, and dies in the middle of its second attempt?

For `processor worker traced:jobs`, not to be imported: an SDK is set but once. Its spans die with
it; what it told in the journal does not.
"""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from tenacity import wait_fixed

from processor import Jobs, Request, Retry

trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
jobs = Jobs()


@jobs.handler("stays", retry=Retry(attempts=3, wait=wait_fixed(0.01)))
async def stays(request: Request[Any]) -> None:
    if request.attempt == 1:
        raise RuntimeError("only the second attempt stays")
    await asyncio.Event().wait()
