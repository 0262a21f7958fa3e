"""How are the pieces of one call sent, and what is not known of them?"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.errors import SubmitError
    from processor.domain.ids import JobId
    from processor.runtime.checking import Chunk
    from processor.runtime.submitting import Submitter, Terms

AT_ONCE: Final = 2
"""Chunks under way: one is acknowledged while the next is encoded."""


class Sending:
    """The pieces of one call: what was sent of them, and what is not known to be appended."""

    def __init__(self, submitter: Submitter, terms: Terms) -> None:
        self._submitter = submitter
        self._terms = terms
        self._under_way: deque[asyncio.Task[dict[UUID, str]]] = deque()
        self.ids: list[JobId] = []
        self.unknown: dict[UUID, str] = {}

    async def send(self, chunk: Chunk) -> None:
        """Begin to send a piece; after a failure nothing more is sent."""
        self.ids += [one.submission.id for one in chunk]
        if self.unknown:
            self.unknown.update({one.submission.id: "not sent" for one in chunk})
            return
        task = asyncio.create_task(self._submitter.send(chunk, self._terms))
        self._under_way.append(task)
        await asyncio.sleep(0)
        if len(self._under_way) >= AT_ONCE:
            self.unknown.update(await self._under_way.popleft())

    async def settle(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            self.unknown.update(await self._under_way.popleft())

    def give_up(self) -> None:
        """Leave unknown what is still under way."""
        for task in self._under_way:
            task.cancel()

    def note(self) -> str:
        """For an error of the caller's own: how many of what he gave before it are appended."""
        appended = f"{len(self.ids) - len(self.unknown):,} submissions before it are appended"
        unknown = f", of {len(self.unknown):,} it is not known" if self.unknown else ""
        return f"{appended}{unknown}; submitting the same objects again is harmless"

    def told_with(self, refused: SubmitError) -> SubmitError:
        """The refusal, with what became of the pieces before it."""
        appended = len(self.ids) - len(self.unknown)
        message = f"{refused}; {appended:,} before it are appended" if self.ids else str(refused)
        return type(refused)(message, self.unknown | refused.unknown)
