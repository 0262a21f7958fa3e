"""In which threads do `def` handlers run?

As in any pool a thread serves one handler after another. None keeps its process from ending: a
thread cannot be stopped, and the interpreter waits for those of the standard library's pool.
"""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class HandlerThreads(Executor):
    """A pool of at most so many threads, each started when there is none that is free."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._free = threading.Semaphore(0)
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor`."""
        future: Future[T] = Future()
        self._work.put((future, partial(fn, *args, **kwargs)))
        if not self._free.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            name = f"handler-{self._started}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the Executor's
        """Let every thread end after what it does; nobody waits for it."""
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            _do(*work)
            del work
            self._free.release()


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - the caller's, whatever it is
        future.set_exception(error)
    else:
        future.set_result(result)
