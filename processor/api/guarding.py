"""Which requests come in? What is refused before the application sees it.

Everything here is a layer of the application, the outermost first: what breaks, the headers of
every answer, where a request may come from, who asks, how large it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders

from processor.api.limits import BODY_BYTES, DEPTH
from processor.api.problems import Problem, problem_of
from processor.api.tokens import LOCAL
from processor.runtime.json_text import deeper_than

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from processor.api.tokens import Bearer, Tokens

log = structlog.get_logger(__name__)

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_UNKNOWN: Final = "There is no such token, or it has expired."
_MISSING: Final = "This needs a token: Authorization: Bearer …"


class Unbroken:
    """What nobody expected is logged, and answered with a problem that tells nothing of it."""

    def __init__(self, app: ASGIApp, *, translated: Callable[[Exception], Exception]) -> None:
        self._app = app
        self._translated = translated

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            problem = problem_of(self._translated(error))
            if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
                log.exception("a request broke", path=scope.get("path"))
            if begun or scope["type"] != "http":
                raise
            await problem.response()(scope, receive, send)


class Headed:
    """Every answer has the headers that browsers are held by."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, headed)


class FromHere:
    """Refuses what another site has a browser send: another Host (rebinding), another Origin."""

    def __init__(self, app: ASGIApp, *, only_loopback: bool) -> None:
        self._app = app
        self._only_loopback = only_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (refused := self._refused(scope)) is not None:
            await refused.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._only_loopback and _name_of(host) not in LOOPBACK:
            return Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This listens on a loopback address and answers to no other name.",
            )
        if scope["method"] in SAFE:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if site not in {"same-origin", "none"} or (
            origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        ):
            return Problem(HTTPStatus.FORBIDDEN, "A page of another origin may change nothing.")
        return None


class Asked:
    """Finds out who asks; without a token only what is open to everybody goes on.

    A token that is wrong is refused everywhere, also where none is needed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens | None,
        is_open: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            try:
                scope.setdefault("state", {})["bearer"] = self._bearer(scope)
            except Problem as refused:
                await refused.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _bearer(self, scope: Scope) -> Bearer | None:
        if self._tokens is None:
            return LOCAL
        given = Headers(scope=scope).get("authorization")
        if given is None:
            if self._is_open(scope["path"]):
                return None
            raise _unauthorized("Bearer", _MISSING)
        scheme, _, token = given.partition(" ")
        bearer = self._tokens.bearer(token.strip(), datetime.now(UTC))
        if bearer is None or scheme.lower() != "bearer":
            raise _unauthorized('Bearer error="invalid_token"', _UNKNOWN)
        return bearer


class Bounded:
    """Reads a body whole before anything else does, as far as the limits go."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(scope, receive)
        except Problem as refused:
            await refused.response()(scope, receive, send)
            return
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _read(scope: Scope, receive: Receive) -> bytes:
    said = Headers(scope=scope).get("content-length", "")
    if said.isascii() and said.isdigit() and (len(said) > 12 or int(said) > BODY_BYTES):  # noqa: PLR2004 - digits
        raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(HTTPStatus.BAD_REQUEST, "The body did not come to its end.")
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            break
    if deeper_than(DEPTH, bytes(body)):
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is nested deeper than {DEPTH} levels.")
    return bytes(body)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body has more than {BODY_BYTES:,} bytes; send less at once.",
        headers={"Connection": "close"},
    )


def _unauthorized(challenge: str, detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})


def _name_of(host: str) -> str:
    """A Host without its port and its brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
