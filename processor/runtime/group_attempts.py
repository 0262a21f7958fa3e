"""What is one attempt of several jobs that share a transaction?

begin → each its turn → commit → settle all at once. What fails is undone alone and recorded after
the commit, since its entity is locked until then. Whatever cannot be undone alone rolls everything
back: then each job runs by itself, in a transaction of its own, and what it comes to there counts.
Without savepoints a failure rolls everything back too: the one that failed runs by itself, the
others together once more, behind savepoints.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from processor.ports.ledger import Answer, Conflict, Fault
from processor.runtime.all_at_once import AllAtOnce
from processor.runtime.enduring import to_the_end
from processor.runtime.forming import ANY
from processor.runtime.job_group import BrokenUp, Member
from processor.runtime.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.ports.shared_transactions import SharedTransaction, SharedTransactions
    from processor.runtime.attempt import Attempts
    from processor.runtime.delivery import Delivery
    from processor.runtime.dispatcher import Dispatcher
    from processor.runtime.job_group import JobGroup
    from processor.runtime.sharing import Sharing
    from processor.runtime.time_out import Patience

GRACE: Final = 1.0
"""Seconds that a handler that was broken off may still take before the others go on without it."""

log = structlog.get_logger(__name__)


class GroupAttempts:
    """Runs the jobs of a group to where each is settled, or goes its own way."""

    def __init__(
        self,
        transactions: SharedTransactions,
        attempts: Attempts,
        sharing: Sharing,
        patience: Patience,
        dispatcher: Dispatcher,
    ) -> None:
        self._transactions = transactions
        self._attempts = attempts
        self._with = attempts.collaborators
        self._sharing = sharing
        self._dispatcher = dispatcher
        self._alone = dispatcher.carry_on
        self._dissolving: set[asyncio.Future[None]] = set()
        observer, patience = self._with.observer, patience._replace(grace=GRACE)
        self._turns = Turns(attempts, sharing, observer, patience, self._leave_behind)
        self._at_once = AllAtOnce(attempts, observer, patience, self._leave_behind)

    async def run(self, group: JobGroup) -> None:
        """Run it; afterwards every job is settled, given back, or in an attempt of its own."""
        members = [member for one in group.deliveries if (member := self._member(one))]
        types = {member.handler.type for member in members}
        bold = group.kind != ANY or self._sharing.is_bold(types)
        again = await self._together(group, members, savepoints=not bold)
        if again:
            await self._together(group, again, savepoints=True)

    def _member(self, delivery: Delivery) -> Member | None:
        """None where it goes by itself: it is held, or its handler was registered anew."""
        handler = self._with.jobs.find(delivery.record.type)
        kept = self._with.breakers.keeps(delivery)
        if handler is not None and handler.is_grouped and not kept:
            return Member(delivery, handler)
        self._alone(delivery, self._attempts.run(delivery))
        return None

    async def _together(
        self, group: JobGroup, members: Sequence[Member], *, savepoints: bool
    ) -> list[Member]:
        """Try them in one transaction; returns those who are to try again, behind savepoints."""
        wanted = [member for member in members if member.is_wanted]
        if len(wanted) < 2:  # noqa: PLR2004 - alone means a transaction of its own
            self._each_alone(group, members)
            return []
        self._each_alone(group, [member for member in members if not member.is_wanted])
        group.deliveries = [member.delivery for member in wanted]
        try:
            await self._attempt(group, wanted, savepoints=savepoints)
        except BrokenUp as broken:
            return await self._break_up(group, wanted, broken, savepoints=savepoints)
        except BaseException:
            await self._roll_back(group)
            for member in wanted:
                if member.delivery in group.deliveries:  # it has not gone its own way
                    self._end(member)
                    await self._attempts.let_go(member.delivery)
            if not (group.stopped or group.dissolved):
                raise
        return []

    async def _attempt(
        self, group: JobGroup, members: Sequence[Member], *, savepoints: bool
    ) -> None:
        claims = [claim for member in members if (claim := member.delivery.claim())]
        if len(claims) < len(members):  # a partition is lost
            raise BrokenUp
        try:
            transaction = await self._transactions.begin(claims, savepoints=savepoints)
        except Fault as fault:
            raise BrokenUp(fault=fault) from fault
        group.transaction = transaction
        for member, answer in zip(members, transaction.answers, strict=True):
            member.verdict = answer
        turns = self._turns if group.kind == ANY else self._at_once
        await turns.take(group, transaction, members)
        kept = [member for member in members if member.body is not None]
        await self._commit(transaction, kept)
        group.transaction = None
        self._settle(kept)
        self._go_on(members)

    async def _commit(self, transaction: SharedTransaction, kept: Sequence[Member]) -> None:
        if not kept:
            await transaction.rollback()
            return
        entries = [m.delivery.entry(m.body) for m in kept if m.body is not None]
        try:
            answer = await transaction.complete(entries)
        except Exception as error:  # a deferred constraint, a swallowed error: nobody knows whose
            raise BrokenUp(fault=error if isinstance(error, Fault) else None) from error
        if answer is not Answer.DONE:
            raise BrokenUp

    def _settle(self, kept: Sequence[Member]) -> None:
        """All are durable: their outcomes go to the journal in one go."""
        self._with.settling.complete(
            [
                (member.delivery, member.body, member.run.follow_ups is not None)
                for member in kept
                if member.body is not None and member.run is not None
            ]
        )
        for member in kept:
            self._end(member)

    def _go_on(self, members: Sequence[Member]) -> None:
        """What is not settled goes on by itself, now that its entity's lock is free."""
        for member in members:
            delivery, attempts = member.delivery, self._attempts
            if member.body is not None:
                continue
            run, error = member.run, member.error
            if not member.is_wanted:
                self._end(member)
                self._alone(delivery, attempts.let_go(delivery))
            elif run is not None and error is not None:
                run.opening = None
                conclusion = attempts.conclude(run, member.handler, error)
                self._alone(delivery, conclusion, member.context)
            elif member.verdict is Answer.DONE:
                self._end(member)
                self._alone(delivery, attempts.run(delivery))
            else:
                self._alone(delivery, self._obey(delivery, member.verdict))

    async def _obey(self, delivery: Delivery, verdict: Answer | None) -> None:
        try:
            await self._attempts.obey(delivery, verdict)
        except asyncio.CancelledError:
            await self._attempts.let_go(delivery)

    async def _break_up(
        self, group: JobGroup, members: Sequence[Member], broken: BrokenUp, *, savepoints: bool
    ) -> list[Member]:
        """Roll everything back; returns those who may try again together."""
        await self._roll_back(group)
        culprit = broken.culprit
        if isinstance(broken.fault, Conflict) and culprit is not None:
            self._sharing.part(culprit.handler.type)
        if savepoints or culprit is None or not broken.is_known:
            self._each_alone(group, members)
            return []
        self._each_alone(group, [culprit])
        rest = [member for member in members if member.delivery in group.deliveries]
        for member in rest:
            self._end(member)
            member.forget()
        return rest

    def _each_alone(self, group: JobGroup, members: Sequence[Member]) -> None:
        leaving = [member for member in members if member.delivery in group.deliveries]
        for member in leaving:
            group.deliveries.remove(member.delivery)
            self._end(member)
            delivery, attempts = member.delivery, self._attempts
            run = attempts.run if member.is_wanted else attempts.let_go
            self._alone(delivery, run(delivery))

    def _leave_behind(self, group: JobGroup, members: Sequence[Member]) -> None:
        """A handler does not let itself be broken off: all go on without it.

        What it still does through its request is refused. Its job runs by itself, from the start:
        there it has its own time, and is left behind for good when that is over too.
        """
        log.error(
            "a grouped handler goes on although it was broken off, and is left behind: it must let"
            " CancelledError out",
            types=sorted({member.handler.type for member in members}),
        )
        group.dissolved = True
        leaving = asyncio.ensure_future(self._dissolve(group, members))
        self._dissolving.add(leaving)
        leaving.add_done_callback(self._dissolving.discard)

    async def _dissolve(self, group: JobGroup, members: Sequence[Member]) -> None:
        await self._roll_back(group)
        for member in members:
            if member.run is not None:
                member.run.left_behind = True
        self._each_alone(group, members)
        self._dispatcher.gathering.leave_behind(group)

    async def _roll_back(self, group: JobGroup) -> None:
        transaction, group.transaction = group.transaction, None
        if transaction is not None:
            await to_the_end(asyncio.ensure_future(transaction.rollback()))

    def _end(self, member: Member) -> None:
        """Its run is over, as far as anybody sees."""
        run, member.run = member.run, None
        if run is not None:
            self._with.observer.end(run)
            member.delivery.running = None
