"""Which job kills its worker in the middle of a group, once?

An application for a worker's process. Whoever is to die leaves a file behind that says how many
jobs shared its transaction, and that it has died: the next time it lives.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from processor import Jobs, Request, Retry

TABLES: Final = """
CREATE TABLE lived (entity text, seq integer, job uuid NOT NULL, PRIMARY KEY (entity, seq))
"""
LIVE: Final = """
INSERT INTO lived SELECT $1, coalesce(max(seq), 0) + 1, $2 FROM lived WHERE entity = $1
"""
TOGETHER: Final = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""
FOLDER: Final = Path("deaths")

jobs = Jobs()


class Life(BaseModel):
    dies: bool = False


@jobs.handler("life", retry=Retry(attempts=1), transaction="grouped")
async def life(request: Request[Life]) -> None:
    connection = await request.connection()
    await connection.execute(LIVE, request.entity, request.job_id)
    place = FOLDER / str(request.job_id)
    if request.payload.dies and not place.exists():
        place.write_text(str(await connection.fetchval(TOGETHER)))
        os.kill(os.getpid(), signal.SIGKILL)
