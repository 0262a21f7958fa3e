"""How does a dead letter become a test of the application's own?"""

from __future__ import annotations

import pprint
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

if TYPE_CHECKING:
    from uuid import UUID

    from processor.testing.rehearsing import Rehearsal

_NO_NAME: Final = re.compile(r"[^a-z0-9]+")

_FILE: Final = '''"""Does the handler of {type!r} work the job that died as dead letter {letter}?"""

import os

import asyncpg
from {module} import {first}

from processor.testing import run

PAYLOAD = {payload}


async def test_{name}() -> None:
    connection = await asyncpg.connect(os.environ["JOBS_DATABASE"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        ran = await run(
            {jobs}.find({type!r}),
            PAYLOAD,
            connection=connection,
            entity={entity!r},
            tenant={tenant!r},
        )
    finally:
        await transaction.rollback()
        await connection.close()
    {asserted}
'''


def pytest_file(rehearsal: Rehearsal, dead_letter: UUID, application: str) -> str:
    """A file for pytest that runs the handler on what died, in a transaction that is rolled back.

    It fails as long as the handler does. `application` is MODULE:JOBS. The test is a coroutine: it
    needs pytest-asyncio's mode auto, or its like.
    """
    record = rehearsal.record
    module, _, jobs = application.partition(":")
    return _FILE.format(
        type=record.type,
        letter=dead_letter,
        module=module,
        jobs=jobs,
        first=jobs.partition(".")[0],
        payload=_literal(from_json(record.payload)),
        name=_NO_NAME.sub("_", record.type.lower()).strip("_") or "it",
        entity=record.entity,
        tenant=record.tenant,
        asserted=_asserted(rehearsal),
    )


def _asserted(rehearsal: Rehearsal) -> str:
    if rehearsal.error is None:
        return f"assert ran.result == {_literal(rehearsal.result)}"
    said = f"{type(rehearsal.error).__name__}: {rehearsal.error}".splitlines()[0][:160]
    return f"assert ran.result is not None  # it raised {said!a}; say what it should return"


def _literal(value: Any) -> str:  # noqa: ANN401 - any JSON
    return pprint.pformat(value, width=88, sort_dicts=False)
