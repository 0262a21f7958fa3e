"""What is a process in memory: the tasks that it started, its calls of ports, and its death?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any

Hook = Callable[[str], Awaitable[BaseException | None]]
_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Died(BaseException):
    """The process is gone: nothing that it calls has an effect any more."""


class Process:
    """Tasks that live and die together, and whose every call of a port passes `hook`."""

    def __init__(self, name: str, hook: Hook) -> None:
        self.name = name
        self.hook = hook
        self.dead = False
        self.calls: list[str] = []
        """The names of the port calls so far."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to live, as its kind does."""
        raise NotImplementedError

    def begin(self, life: Coroutine[Any, Any, None]) -> None:
        """Live; what is started meanwhile is known by its context, and dies with this."""
        context = Context()
        context.run(_PROCESS.set, self)
        self.running = asyncio.get_running_loop().create_task(self._live(life), context=context)

    async def ended(self) -> None:
        """Wait until it is out, within two minutes of the world's; raises what it ended with."""
        assert self.running is not None
        await asyncio.wait((self.running,), timeout=120)
        assert self.running.done(), f"{self.name} does not end"
        self.running.result()

    def kill(self) -> None:
        """Kill -9: no call of it has an effect from now on."""
        self.dead = True
        for task in list(self.tasks):
            task.cancel()

    def die_in_a_call(self) -> Died:
        """Die within a port call; raised by a hook before the effect, returned by it after."""
        self.dead = True
        asyncio.get_running_loop().call_soon(self.kill)
        return Died(self.name)

    async def passes(self, name: str) -> BaseException | None:
        """Stand as the step of its adapters."""
        self._live_or_die()
        self.calls.append(name)
        lost = await self.hook(name)
        if isinstance(lost, Died):
            return lost
        self._live_or_die()
        return lost

    async def _live(self, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
        except BaseException:
            if not self.dead:
                raise

    def _live_or_die(self) -> None:
        if self.dead:
            raise Died(self.name)


def own_process() -> Process | None:
    """The process in which this is called; None outside of any."""
    return _PROCESS.get()


def task_of_a_process(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    """Make a task that belongs to the process which starts it, and dies with it."""
    task = asyncio.Task(coroutine, loop=loop, context=context)
    process = _PROCESS.get() if context is None else context.get(_PROCESS)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda ended: process.tasks.pop(ended, None))
        if process.dead:
            task.cancel()
    return task
