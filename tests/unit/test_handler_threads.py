"""Does a pool of threads serve what it is given, and let its process end?"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from processor.runtime.handler_threads import HandlerThreads

HANGS = """
import threading
from processor.runtime.handler_threads import HandlerThreads
begun = threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
threads = HandlerThreads(1)
threads.submit(hang)
begun.wait()
threads.shutdown()
print("ended")
"""


def test_a_thread_serves_one_call_after_another_and_no_more_run_at_once_than_there_are() -> None:
    threads = HandlerThreads(2)
    both = threading.Barrier(2)

    def meet(number: int) -> tuple[int, str]:
        both.wait()
        return number, threading.current_thread().name

    futures = [threads.submit(meet, number) for number in range(10)]
    met = [one.result() for one in futures]
    threads.shutdown()
    assert [number for number, _ in met] == list(range(10))
    assert {name for _, name in met} == {"handler-1", "handler-2"}


def test_a_free_thread_is_used_before_another_is_started() -> None:
    threads = HandlerThreads(8)
    names = {threads.submit(lambda: threading.current_thread().name).result() for _ in range(20)}
    threads.shutdown()
    assert len(names) <= 2, "a thread says that it is free just after its call was answered"


def test_what_a_call_raises_is_its_futures_and_its_thread_goes_on() -> None:
    threads = HandlerThreads(1)

    def leave() -> None:
        raise SystemExit(3)

    left = threads.submit(leave)
    with pytest.raises(SystemExit):
        left.result()
    assert threads.submit(lambda: 7).result() == 7
    threads.shutdown()


def test_a_call_that_was_cancelled_before_it_began_is_not_made() -> None:
    threads = HandlerThreads(1)
    go_on, made = threading.Event(), list[int]()
    first = threads.submit(go_on.wait)
    second, third = threads.submit(made.append, 2), threads.submit(made.append, 3)
    assert second.cancel()
    go_on.set()
    first.result()
    third.result()
    threads.shutdown()
    assert made == [3]


def test_a_thread_that_hangs_does_not_keep_its_process_from_ending() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "ended\n"
