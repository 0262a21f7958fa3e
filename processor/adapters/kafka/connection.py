"""How does a client of the broker begin and end within a bounded time?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from aiokafka.errors import KafkaConnectionError, KafkaError

from processor.domain.errors import Unavailable

START_SECONDS = 10.0
STOP_SECONDS = 5.0
CUTS = 50
CLIENT_ID = "job-processor"

log = structlog.get_logger(__name__)


async def begin(
    client: Any,  # noqa: ANN401 - aiokafka ships no types
    address: str,
    seconds: float = START_SECONDS,
) -> None:
    """Start a client; raises `Unavailable`, one line that names the address, and leaves nothing."""
    try:
        async with asyncio.timeout(seconds):
            await client.start()
    except (TimeoutError, KafkaError, OSError, ValueError) as error:
        await end(client, 1.0)
        raise unreachable(address, error) from error
    except BaseException:
        await end(client, 1.0)
        raise


async def end(client: Any, seconds: float = STOP_SECONDS) -> None:  # noqa: ANN401 - the same
    """Stop a client, and after that long cut it off; never raises what it died of."""
    if not await within(seconds, client.stop()):
        await cut(client)


async def cut(client: Any) -> None:  # noqa: ANN401 - the same
    """End a client as a power loss would, without waiting for the broker."""
    client._closed = True  # noqa: SLF001 - there is no other way
    tasks = _tasks(client)
    for _ in range(CUTS):
        if tasks := {task for task in tasks if not task.done()}:
            for task in tasks:
                task.cancel()  # one that waits for its own tasks first takes them down one by one
            await asyncio.wait(tasks, timeout=0.01)
    connections = client.client if hasattr(client, "client") else client._client  # noqa: SLF001 - the same
    await within(1.0, connections.close())


async def within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Whether it came to its end in that time; what it raised is logged, and is no end."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        return False
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a Kafka client could not be ended", error=repr(error))
        return False
    return True


def _tasks(client: Any) -> set[asyncio.Task[object]]:  # noqa: ANN401 - the same
    """What goes on in a producer or a consumer."""
    parts = {
        "_sender": ("_sender_task",),
        "_coordinator": ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"),
        "_fetcher": ("_fetch_task",),
    }
    found = [
        getattr(getattr(client, part, None), task, None)
        for part, tasks in parts.items()
        for task in tasks
    ]
    return {task for task in found if task is not None}


def unreachable(address: str, error: BaseException) -> Unavailable:
    """The one line for whoever gave the address."""
    # What it says of a refused connection is a list of its own guesses at the address.
    told = isinstance(error, (TimeoutError, KafkaConnectionError))
    why = "" if told else f" ({first_line(error)})"
    return Unavailable(
        f"no Kafka broker answers at {address}{why}; is it running, and is the address right?"
    )


def first_line(error: BaseException) -> str:
    """What an error says, without what it drags along."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
