"""What do the routes speak to, and who may call them?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, NoReturn, cast

from fastapi import Depends, Request

from processor.api.following import Following
from processor.api.problems import Problem
from processor.api.remembering import Remembered
from processor.api.tokens import Bearer, Scope
from processor.bootstrap.producing import Client
from processor.ports.clock import Clock
from processor.ports.log import Place
from processor.ports.views import Views
from processor.runtime.overview import Overview
from projections.queries import Submissions


@dataclass(frozen=True, slots=True)
class Service:
    """Everything behind the API."""

    client: Client
    clock: Clock
    views: Views
    overview: Remembered[Overview]
    submissions: Submissions
    places: Callable[[str], Mapping[Place, int]]
    """What a `Job-Position` means."""
    following: Following
    ready: Remembered[Sequence[str]]
    """Why it cannot serve; nothing where it can."""
    alive: Callable[[], Sequence[str]]
    """Why it should be started anew; asks nobody."""
    metrics: Callable[[], str]
    translated: Callable[[Exception], Exception]
    """What an error of an adapter means."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it ends: whoever waits is answered now."""


async def service_of(request: Request) -> Service:  # in no thread: it waits for nobody
    """The service of an application."""
    return cast("Service", request.app.state.service)


def bearer_of(request: Request) -> Bearer:
    """Who asks; `guarding.Asked` has found out."""
    return cast("Bearer", request.state.bearer)


Served = Annotated[Service, Depends(service_of)]


def allowed(scope: Scope, *, everywhere: bool = False) -> Any:  # noqa: ANN401 - as Depends is
    """A dependency that lets only those in who have a scope, or see every tenant."""

    async def check(request: Request) -> Bearer:
        bearer = bearer_of(request)
        if scope not in bearer.scopes:
            _refuse(f"This needs the scope {scope}.")
        if everywhere and not bearer.everywhere:
            _refuse("This tells of every tenant, and your token is of one.")
        return bearer

    return Depends(check)


def _refuse(why: str) -> NoReturn:
    raise Problem(
        HTTPStatus.FORBIDDEN,
        why,
        headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    )


Reader = Annotated[Bearer, allowed(Scope.READ)]
Submitting = Annotated[Bearer, allowed(Scope.SUBMIT)]
Operating = Annotated[Bearer, allowed(Scope.OPERATE)]
Overseeing = Annotated[Bearer, allowed(Scope.READ, everywhere=True)]
Ruling = Annotated[Bearer, allowed(Scope.OPERATE, everywhere=True)]
