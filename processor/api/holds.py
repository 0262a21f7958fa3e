"""What is kept from running, and how is it held and released?"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter
from pydantic import Field, model_validator

from processor.api.answers import AT, Answer
from processor.api.asked import Because, Body, Name
from processor.api.description import told
from processor.api.instants import Instant, iso, known_iso
from processor.api.service import Overseeing, Ruling, Served
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.ports.holds import HoldKind

if TYPE_CHECKING:
    from typing import Self

    from processor.ports.holds import Hold

routes = APIRouter(prefix="/holds", tags=["holds"])


class HoldAnswer(Answer):
    """An open hold."""

    id: int
    kind: HoldKind
    value: str = Field(examples=["billing"])
    release: str | None
    """Only workers of this release are held; null: all of them."""
    why: str = Field(examples=["the payment API is down"])
    by: str = Field(examples=["ada"])
    since: str = Field(examples=[AT])
    until: str | None
    mode: str = Field(examples=["held"])
    """held; probing: a breaker's, which one probe at a time may end; releasing, at a rate."""
    failed_probes: int
    probe_at: str | None
    """When the next probe may start."""
    rate: int | None


class HoldsAnswer(Answer):
    """Every open hold, the oldest first."""

    holds: list[HoldAnswer]


class ReleasedAnswer(Answer):
    """Whether a hold was open."""

    released: bool


class HeldBody(Body):
    """What is held: a job type, an entity, a tenant or a lane."""

    kind: HoldKind
    value: Name = Field(examples=["billing"])
    because: Because

    @model_validator(mode="after")
    def _lane(self) -> Self:
        if self.kind is HoldKind.LANE:
            Priority.parse(self.value)
        return self

    @property
    def named(self) -> str:
        """The value as holds have it."""
        return Priority.parse(self.value).label if self.kind is HoldKind.LANE else self.value


class HoldBody(HeldBody):
    """What is held, and until when."""

    until: Instant | None = None
    """It ends by itself then; without it, when somebody releases it."""


class ReleaseBody(HeldBody):
    """What is released, and how fast."""

    rate: Annotated[int, Field(ge=1, le=1_000_000, examples=[50])] | None = None
    """Jobs a second, at most, until all that was kept is let out; a lane is released at once."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.rate is not None and self.kind is HoldKind.LANE:
            raise ValueError("a lane is released at once: it has no rate")
        return self


@routes.get("")
async def holds(service: Served, _: Overseeing) -> HoldsAnswer:
    """Every open hold."""
    return HoldsAnswer(holds=[hold_answer(one) for one in await service.client.holds()])


@routes.post("", status_code=HTTPStatus.CREATED, responses=told(422))
async def hold(asked: HoldBody, service: Served, bearer: Ruling) -> HoldAnswer:
    """Keep the jobs of a type, an entity, a tenant or a lane from running.

    What runs already runs to its end. Where it is held already the first hold stands.
    """
    until = None if asked.until is None else microseconds(asked.until)
    return hold_answer(
        await service.client.hold(
            asked.kind, asked.named, by=bearer.subject, because=asked.because, until=until
        )
    )


@routes.post("/release", responses=told(422))
async def release(asked: ReleaseBody, service: Served, bearer: Ruling) -> ReleasedAnswer:
    """Let them go on."""
    released = await service.client.release(
        asked.kind, asked.named, by=bearer.subject, because=asked.because, rate=asked.rate
    )
    return ReleasedAnswer(released=released)


def hold_answer(hold: Hold) -> HoldAnswer:
    """One hold."""
    return HoldAnswer(
        id=hold.id,
        kind=hold.kind,
        value=hold.value,
        release=hold.release,
        why=hold.why,
        by=hold.by,
        since=known_iso(hold.since),
        until=iso(hold.until),
        mode=hold.mode.name.lower(),
        failed_probes=hold.failed_probes,
        probe_at=iso(hold.probe_at),
        rate=hold.rate,
    )
