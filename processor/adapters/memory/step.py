"""Where may a test or the simulation step in between asking the world and its answer?

Every asynchronous method of a memory adapter awaits its step exactly once per round trip that the
real thing would make, before the effect. The step may wait as long as it likes (interleaving), may
raise (nothing happened), or may return an exception, which the adapter raises after the effect (it
happened, and the answer was lost).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Step: TypeAlias = Callable[[str], Awaitable[BaseException | None]]


async def onward(_name: str) -> BaseException | None:
    """Let everybody else run once, and go on."""
    await asyncio.sleep(0)
    return None
