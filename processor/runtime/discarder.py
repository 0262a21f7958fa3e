"""How are dead letters closed without running their jobs again, one or many at once?

A discard is the end of the generation after the dead one: the first insert into the ledger wins,
and what stands there is published, byte for byte.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from processor.domain.errors import AlreadyFinished, ProcessorError
from processor.domain.events import Discarded
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.ports.ledger import Ending, Entry
from processor.ports.operations import OperationKind
from processor.ports.projection import Closing
from processor.ports.waiting_room import WaitingState
from processor.runtime.letters import Operated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.ports.operations import Operation
    from processor.runtime.desk import Desk
    from processor.runtime.letters import Letter
    from processor.runtime.replayer import Wanted

AT_ONCE: Final = 16


class Discarder:
    """Closes dead letters."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def discard(
        self, letters: Sequence[Letter], wanted: Wanted
    ) -> list[Operated | ProcessorError]:
        """What became of each; an error is that letter's own. Raises `Unavailable`."""
        operations = self._desk.operations
        deaths = list(dict.fromkeys(one.death for one in letters))
        replayed = {
            (one.job, one.generation): one
            for one in await operations.of(deaths)
            if one.kind is OperationKind.REPLAY
        }
        free = [death for death in deaths if death not in replayed]
        told = await operations.first(
            OperationKind.DISCARD, free, wanted.by, wanted.because, plan=wanted.plan
        )
        firsts = dict(zip(free, told, strict=True))
        room = asyncio.Semaphore(AT_ONCE)

        async def one(letter: Letter) -> Operated | ProcessorError:
            if (replay := replayed.get(letter.death)) is not None:
                return AlreadyFinished(
                    f"dead letter {letter.died.id} was replayed by {replay.actor}: cancel job"
                    f" {letter.died.job} instead, or discard what it dies of next"
                )
            async with room:
                return await self._close(letter, firsts[letter.death])

        return await asyncio.gather(*map(one, letters))

    async def _close(self, letter: Letter, first: Operation) -> Operated | ProcessorError:
        desk, died = self._desk, letter.died
        generation = died.generation + 1
        # What was told already may be forgotten since; but where the row still blocks, it was the
        # database that forgot, in a failover.
        if letter.closed is Closing.DISCARDED and not await self._blocks(letter):
            return Operated(died.job, generation, first)
        lane = died.lane or Priority.NORMAL
        body = desk.codec.encode_outcome(_discarded(letter, first, desk.timeline()))
        row = await desk.cancelling.discard(
            Entry(died.job, generation, died.partition, lane, died.offset, body)
        )
        if (row.generation, row.ending) != (generation, Ending.DISCARDED):
            return AlreadyFinished(f"dead letter {died.id} is closed: its job went on since")
        await desk.publish(row.body, row.partition, died.entity)
        return Operated(died.job, row.generation, first)

    async def _blocks(self, letter: Letter) -> bool:
        row = await self._desk.rows.row(letter.died.job)
        return row is not None and (row.wait.generation, row.wait.state) == (
            letter.died.generation,
            WaitingState.BLOCKING,
        )


def _discarded(letter: Letter, first: Operation, timeline: int) -> Outcome:
    """The outcome of the generation that a discard stands for."""
    died = letter.died
    return Outcome(
        died.job,
        died.generation + 1,
        timeline,
        died.type,
        died.entity,
        died.tenant,
        died.lane or Priority.NORMAL,
        died.partition,
        died.offset,
        (Discarded(first.at, first.actor, first.reason),),
        request_id=died.caller.request_id if died.caller else None,
    )
