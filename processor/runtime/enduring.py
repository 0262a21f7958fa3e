"""How is something waited for that must come to its end, although the waiting is cancelled?"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any


async def to_the_end(work: asyncio.Future[Any]) -> None:
    """Return when it is done, however often the waiting was cancelled meanwhile; raises nothing.

    Whoever was cancelled goes on: what the cancellation wanted must be seen by other means.
    """
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((work,))
