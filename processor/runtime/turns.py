"""How do the jobs of a group run in its transaction, one after the other?"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog

from processor.domain.errors import ParseError
from processor.ports.ledger import Answer
from processor.runtime.calling import timed_out
from processor.runtime.job_group import BrokenUp
from processor.runtime.request import Joined, Request
from processor.runtime.result import encode_result
from processor.runtime.turn import Turn, Why

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from processor.ports.shared_transactions import SharedTransaction
    from processor.runtime.attempt import Attempts
    from processor.runtime.job_group import JobGroup, Member
    from processor.runtime.observing import Observer
    from processor.runtime.run import Run
    from processor.runtime.sharing import Sharing
    from processor.runtime.time_out import Patience

    LeaveBehind = Callable[[JobGroup, Sequence[Member]], None]

log = structlog.get_logger(__name__)

PATIENCE: Final = 1.0
"""Seconds that the others wait for one: what takes longer runs by itself, in its own time."""


class Turns:
    """Gives each its turn; what fails is undone alone, and noted."""

    def __init__(
        self,
        attempts: Attempts,
        sharing: Sharing,
        observer: Observer,
        patience: Patience,
        leave_behind: LeaveBehind,
    ) -> None:
        """`leave_behind` lets these members go on without a handler that does not end."""
        self._patience = patience
        self._attempts = attempts
        self._sharing = sharing
        self._observer = observer
        self._leave_behind = leave_behind

    async def take(
        self, group: JobGroup, transaction: SharedTransaction, members: Sequence[Member]
    ) -> None:
        """Afterwards each has a body, or an error, or ran not; raises `BrokenUp`."""
        for number, member in enumerate(members, 1):
            if member.verdict is not Answer.DONE or not member.is_wanted:
                continue
            run = member.begin(self._attempts.begin)
            self._observer.called(run)
            try:
                payload = member.handler.parse(member.delivery.record.payload)
            except ParseError as error:
                member.error = error
                continue
            turn = Turn(self._patience, partial(self._leave_behind, group, members))
            group.begin_turn(turn, [member])
            try:
                handled = self._handled(member, run, payload, transaction, turn)
                last = number == len(members)
                await self._take(group, transaction, member, handled, turn, last=last)
            finally:
                group.end_turn()

    async def _take(
        self,
        group: JobGroup,
        transaction: SharedTransaction,
        member: Member,
        handled: Awaitable[bytes],
        turn: Turn,
        *,
        last: bool,
    ) -> None:
        failed = True
        try:
            member.body = await handled
            await transaction.keep(last=last)
            failed = False
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the handler's own, whatever it is
            member.body = None
            if group.stopped or group.dissolved:
                raise
            if fault := transaction.fault(error):
                raise BrokenUp(member, fault) from error
            if transaction.was_unshareable:
                self._send_away(member, str(error))
            else:
                self._blame(member, turn, error)
            if _is_cancelled() or not await transaction.undo():
                raise BrokenUp(member) from error
        finally:
            self._sharing.ran(member.handler.type, failed=failed)

    async def _handled(
        self, member: Member, run: Run, payload: object, transaction: SharedTransaction, turn: Turn
    ) -> bytes:
        handler, share = member.handler, transaction.share()
        run.opening = Joined(share)
        seconds, work = min(handler.timeout, PATIENCE), handler.function(Request(payload, run))
        try:
            returned = await turn.of(cast("Awaitable[object]", work), member.context, seconds)
        finally:
            run.returned = True
        if run.follow_ups is not None:
            run.follow_ups.assert_whole()
        return self._attempts.completed(run, encode_result(returned))

    def _blame(self, member: Member, turn: Turn, error: BaseException) -> None:
        """Note what a turn came to that is undone."""
        if turn.why is Why.STOPPED:
            return
        if turn.why is None:
            member.error = error
        elif member.handler.timeout <= PATIENCE:
            member.error = timed_out(member.handler)
            member.error.__cause__ = error.__cause__
        else:
            self._send_away(member, f"it takes longer than {PATIENCE:g} s")

    def _send_away(self, member: Member, why: str) -> None:
        """Let it run by itself, and its type too for a while."""
        self._sharing.part(member.handler.type)
        log.warning(
            'a grouped handler does not fit in a group: declare it with transaction="own"',
            type=member.handler.type,
            job=str(member.delivery.record.job),
            because=why,
        )


def _is_cancelled() -> bool:
    """Whether the handler cancelled the group's task, or somebody did whom nobody here knows."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
