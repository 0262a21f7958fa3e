"""How are requests counted and timed? By the names of OpenTelemetry's conventions for HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import get_meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
NO_ROUTE: Final = "(none)"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD: Final = "_OTHER"
"""Anybody can send a method of any name."""


class Measured:
    """Counts and times every request, under its route: never under a path, which holds ids."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock
        meter = get_meter("job-processor")
        self._active = meter.create_up_down_counter(
            "http.server.active_requests", "1", "Requests that are answered now"
        )
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="From a request's headers to the end of its answer",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = self._clock()
        self._active.add(1)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._active.add(-1)
            attributes = {
                "http.request.method": _method(scope["method"]),
                "http.route": getattr(scope.get("route"), "path", NO_ROUTE),
                "http.response.status_code": status,
            }
            self._duration.record(self._clock() - began, attributes)


def _method(name: str) -> str:
    return name if name in METHODS else OTHER_METHOD
