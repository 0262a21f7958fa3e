"""Which handlers do the benchmarks run?

The application of the benchmarks, as anybody would write one. Each handler is a workload: another
way of doing the same is another handler here and a line in the catalogue.
"""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Table, Text, Uuid, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from processor import Jobs, Request
from processor.bench.work import INSERT, Errand, Workload

jobs = Jobs()
grouped = Jobs()
"""Those that share transactions, apart: beside one of them every job is asked whether it does."""

GROUPED: Final = f"{__name__}:grouped"

NOTHING: Final = Workload("bench.nothing", effects=False)
RAW: Final = Workload("bench.raw")
CORE: Final = Workload("bench.core")
ORM: Final = Workload("bench.orm")
RAW_GROUPED: Final = Workload("bench.raw.grouped", application=GROUPED)
CORE_GROUPED: Final = Workload("bench.core.grouped", application=GROUPED)
ORM_GROUPED: Final = Workload("bench.orm.grouped", application=GROUPED)
BATCH: Final = Workload("bench.batch", application=GROUPED)
CLOCK: Final = Workload("bench.clock", effects=False)


EFFECT: Final = Table(
    "effect",
    MetaData(schema="bench"),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job", Uuid, nullable=False),
    Column("entity", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("note", Text, nullable=False),
)


class Mapped(DeclarativeBase):
    """The benchmarks' own objects."""


class Effect(Mapped):
    """What a job leaves behind."""

    __table__ = EFFECT


@jobs.handler(NOTHING.type)
async def nothing(request: Request[Errand]) -> None:
    """Do nothing, with a payload that was checked."""


@grouped.handler(RAW_GROUPED.type, transaction="grouped")
@jobs.handler(RAW.type)
async def raw(request: Request[Errand]) -> None:
    """Insert one row through asyncpg."""
    errand = request.payload
    connection = await request.connection()
    await connection.execute(INSERT, request.job_id, request.entity, errand.number, errand.note)


@grouped.handler(CORE_GROUPED.type, transaction="grouped")
@jobs.handler(CORE.type)
async def core(request: Request[Errand]) -> None:
    """Insert one row through SQLAlchemy Core."""
    session = await request.session()
    await session.execute(insert(EFFECT), _values(request))


@grouped.handler(ORM_GROUPED.type, transaction="grouped")
@jobs.handler(ORM.type)
async def orm(request: Request[Errand]) -> None:
    """Insert one row as an object of SQLAlchemy's ORM."""
    session = await request.session()
    session.add(Effect(**_values(request)))


@grouped.batch_handler(BATCH.type)
async def batch(requests: list[Request[Errand]], session: AsyncSession) -> None:
    """Insert a row for each as objects of one session."""
    session.add_all([Effect(**_values(request)) for request in requests])


@jobs.handler(CLOCK.type)
async def clock(request: Request[Errand]) -> int:
    """Tell how many nanoseconds ago it was submitted, by the clock of this machine."""
    return time.time_ns() - request.payload.sent


def _values(request: Request[Errand]) -> dict[str, object]:
    errand = request.payload
    return {
        "job": request.job_id,
        "entity": request.entity,
        "number": errand.number,
        "note": errand.note,
    }
