"""How does a batch handler run in the transaction of a group?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processor.domain.errors import ParseError
from processor.ports.ledger import Answer
from processor.runtime.batching import results_of
from processor.runtime.job_group import BrokenUp
from processor.runtime.request import Joined, Request
from processor.runtime.result import encode_result
from processor.runtime.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.ports.shared_transactions import SharedTransaction
    from processor.ports.transactions import Share
    from processor.runtime.attempt import Attempts
    from processor.runtime.job_group import JobGroup, Member
    from processor.runtime.observing import Observer
    from processor.runtime.run import Run
    from processor.runtime.time_out import Patience
    from processor.runtime.turns import LeaveBehind


class AllAtOnce:
    """Gives all of them one turn together; what fails there is nobody's failure yet."""

    def __init__(
        self,
        attempts: Attempts,
        observer: Observer,
        patience: Patience,
        leave_behind: LeaveBehind,
    ) -> None:
        """`leave_behind` lets these members go on without a handler that does not end."""
        self._attempts = attempts
        self._observer = observer
        self._patience = patience
        self._leave_behind = leave_behind

    async def take(
        self, group: JobGroup, transaction: SharedTransaction, members: Sequence[Member]
    ) -> None:
        """Afterwards each has a body, or a parse error, or ran not; raises `BrokenUp`."""
        share = transaction.share()
        called: list[tuple[Member, Run, Request[object]]] = []
        for member in members:
            if member.verdict is Answer.DONE and member.is_wanted:
                run = member.begin(self._attempts.begin)
                if (request := self._requested(member, run, share)) is not None:
                    called.append((member, run, request))
        if not called:
            return
        turn = Turn(self._patience, partial(self._leave_behind, group, members))
        group.begin_turn(turn, [member for member, _, _ in called])
        try:
            await self._call(transaction, share, turn, called)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the handler's own, whatever it is
            if group.stopped or group.dissolved:
                raise
            raise BrokenUp(called[0][0], transaction.fault(error), is_known=False) from error
        finally:
            group.end_turn()

    def _requested(self, member: Member, run: Run, share: Share) -> Request[object] | None:
        self._observer.called(run)
        try:
            payload = member.handler.parse(member.delivery.record.payload)
        except ParseError as error:
            member.error = error
            return None
        run.opening = Joined(share)
        return Request(payload, run)

    async def _call(
        self,
        transaction: SharedTransaction,
        share: Share,
        turn: Turn,
        called: Sequence[tuple[Member, Run, Request[object]]],
    ) -> None:
        first = called[0][0]
        assert first.handler.batch is not None  # noqa: S101 - what makes it this kind
        requests = [request for _, _, request in called]
        work = first.handler.batch(requests, await share.session())
        try:
            returned = await turn.of(work, first.context, first.handler.timeout)
        finally:
            for _, run, _ in called:
                run.returned = True
        results = results_of(returned, len(called))
        for (member, run, _), result in zip(called, results, strict=True):
            if run.follow_ups is not None:
                run.follow_ups.assert_whole()
            member.body = self._attempts.completed(run, encode_result(result))
        await transaction.keep(last=True)
