"""What happens to a job, as it happens: server-sent events that can be taken up again.

`transition` is a line of the history. Its id is its place, `generation.timeline.number`, so that
whoever comes back with `Last-Event-ID` is told what came after it, and what was voided since. What
a running job tells of itself before its outcome has no place, and no id. `state` is where the job
is now, after each change. `end` is the last event of a job that has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.api.limits import STREAM_SECONDS, STREAMS, STREAMS_EACH
from processor.api.problems import Problem
from processor.domain.events import Queued
from processor.domain.job import ENDED
from projections.timeline import as_json

if TYPE_CHECKING:
    from processor.api.following import Followed, Following
    from processor.domain.status import JobStatus, Transition
    from processor.ports.clock import Clock

BEAT_SECONDS: Final = 15.0
"""So often something is sent, so that nobody in between takes the stream for dead."""
RETRY_MILLISECONDS: Final = 2_000
_PARTS: Final = 3
_DIGITS: Final = 9


class Place(NamedTuple):
    """Where a transition stands in its job's history."""

    generation: int
    timeline: int
    number: int
    """0 for the submission, then from 1 as the events of the outcome."""


BEFORE_ALL: Final = Place(0, 0, 0)


def place_of(one: Transition) -> Place | None:
    """Its place; None for what a running job told of itself."""
    if isinstance(one.event, Queued):
        return Place(one.generation, 0, 0)
    return Place(one.generation, one.timeline, one.index + 1) if one.index >= 0 else None


def parse_place(text: str | None) -> Place:
    """What somebody read last; what is no id of ours counts as nothing read."""
    parts = (text or "").split(".")
    if len(parts) != _PARTS or not all(
        one.isascii() and one.isdigit() and len(one) <= _DIGITS for one in parts
    ):
        return BEFORE_ALL
    return Place(*map(int, parts))


class Streams:
    """How many are open."""

    def __init__(self) -> None:
        self._by_subject: Counter[str] = Counter()

    def check(self, subject: str) -> None:
        """Raise a problem where one more would be too many."""
        if self._by_subject[subject] >= STREAMS_EACH or self._by_subject.total() >= STREAMS:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many streams are open; close one, or ask for the status.",
                headers={"Retry-After": "10"},
            )

    @contextmanager
    def one(self, subject: str) -> Iterator[None]:
        """One more while the block lasts."""
        self._by_subject[subject] += 1
        try:
            yield
        finally:
            self._by_subject[subject] -= 1


class Telling:
    """What one reader was told of a job, and what is new for them."""

    def __init__(self, last: Place) -> None:
        self._last = last
        self._told: set[tuple[Place | None, bool, str]] = set()
        self._state = ""

    def news(self, status: JobStatus) -> Iterator[str]:
        """The events that the reader does not know yet."""
        told = as_json(status)
        for one, plain in zip(status.history, told["history"], strict=True):
            place = place_of(one)
            text = json.dumps(plain, separators=(",", ":"))
            key = (place, one.void, "" if place else text)
            if key in self._told:
                continue
            self._told.add(key)
            if place is not None and place <= self._last and not one.void:
                continue
            yield _event("transition", text, place)
        del told["history"]
        told.pop("result", None)
        state = json.dumps(told, separators=(",", ":"))
        if state != self._state:
            self._state = state
            yield _event("state", state)


async def told(
    following: Following,
    status: JobStatus,
    last: Place,
    clock: Clock,
    closing: asyncio.Event,
) -> AsyncIterator[str]:
    """The stream of a job until it has ended, or its time or the process has."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    telling, ends = Telling(last), clock.monotonic() + STREAM_SECONDS
    async with following.follow(status) as followed:
        while True:
            for event in telling.news(status):
                yield event
            if status.state in ENDED:
                yield _event("end", json.dumps({"state": status.state}))
                return
            if closing.is_set() or clock.monotonic() >= ends:
                return
            before, status = status, await changed(followed, status, BEAT_SECONDS, closing)
            if status == before:
                yield ": still here\n\n"


async def changed(
    followed: Followed, since: JobStatus, seconds: float, closing: asyncio.Event
) -> JobStatus:
    """The status once it has changed, after those seconds, or when all of it ends."""
    change = asyncio.create_task(followed.change(since, seconds))
    closes = asyncio.create_task(closing.wait())
    try:
        await asyncio.wait({change, closes}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()
        closes.cancel()
        await asyncio.wait({change, closes})
    return followed.status


def _event(name: str, data: str, place: Place | None = None) -> str:
    identity = "" if place is None else f"id: {'.'.join(map(str, place))}\n"
    return f"event: {name}\n{identity}data: {data}\n\n"
