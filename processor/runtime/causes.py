"""Which of all that stands about a job is the one thing that keeps it?

Pure. The causes are looked for in the order in which they would have to change: an end, an
operator's word, a time, a handler, the entity, the owner, the lane. The ledger goes before the
waiting room, and both before the history, which may lag behind them (H49).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.explanation import Cause
from processor.domain.ids import dead_letter_id
from processor.domain.job import ENDED, State
from processor.ports.holds import by_name, names_of
from processor.ports.ledger import Ending
from processor.ports.waiting_room import WaitingState
from processor.runtime import obstacles
from processor.runtime.asked import SILENT
from processor.runtime.held import sentence
from processor.runtime.instants import ago, clock

if TYPE_CHECKING:
    from processor.domain.explanation import Explanation
    from processor.ports.holds import Hold
    from processor.runtime.asked import Asked

_SECOND: Final = 1_000_000
_ENDINGS: Final = {
    Ending.COMPLETE: State.COMPLETE,
    Ending.FAILED: State.FAILED,
    Ending.CANCELLED: State.CANCELLED,
    Ending.DISCARDED: State.FAILED,
}


def cause_of(asked: Asked) -> Explanation:
    """What keeps it."""
    for look in _LOOKS:
        found = look(asked)
        if found is not None:
            return found
    return obstacles.turn(asked)


def _ended(asked: Asked) -> Explanation | None:
    status, ending = asked.status, asked.found.ending
    generation = status.generation
    known = ending is not None and ending[0] >= generation
    if not known and status.state not in ENDED:
        return None
    state = _ENDINGS[ending[1]] if known and ending is not None else status.state
    row = asked.row
    if state is State.FAILED and row is not None and row.wait.state is WaitingState.BLOCKING:
        letter = dead_letter_id(status.job_id, row.wait.generation)
        return asked.told(
            Cause.BLOCKING,
            f"it failed and blocks its entity: replay or discard dead letter {letter}",
            dead_letter=str(letter),
        )
    if status.state not in ENDED or (ending is not None and ending[0] > generation):
        return asked.told(
            Cause.NOT_PROJECTED, f"it is {state}; its history does not tell so yet", state=state
        )
    if state is State.FAILED and not status.current.discarded:
        letter = dead_letter_id(status.job_id, generation)
        return asked.told(
            Cause.ENDED,
            f"it failed: see dead letter {letter}",
            state=state,
            dead_letter=str(letter),
        )
    ended = status.current.ended_at
    when = "" if ended is None else f" since {clock(ended)}"
    return asked.told(Cause.ENDED, f"it is {state}{when}", state=state, ended_at=ended)


def _running(asked: Asked) -> Explanation | None:
    row, job = asked.row, asked.status.current
    long = row is not None and row.wait.state is WaitingState.RUNNING
    if not long and (row is not None or job.state is not State.PROCESSING):
        return None
    if (locked := obstacles.locked(asked)) is not None:
        return locked  # it ran there, and the partition is another's now
    where, since = job.worker or "a worker", job.started_at
    said = f"it runs at {where}" + ("" if since is None else f" since {clock(since)}")
    if job.progress is not None:
        said += f"; {job.progress.percent:g} % {ago(asked.found.now - job.progress.at)} ago"
    worker = asked.owner()
    silent = None if worker is None else worker.silent
    if silent is not None and silent >= SILENT:
        said += f"; the worker has shown no sign of life for {silent:.0f} s"
    return asked.told(
        Cause.RUNNING, said, worker=job.worker, since=since, attempt=job.attempt, silent=silent
    )


def _held(asked: Asked) -> Explanation | None:
    hold = _hold(asked)
    if hold is None:
        return None
    return asked.told(
        Cause.HELD,
        sentence(hold),
        hold=hold.id,
        kind=hold.kind,
        value=hold.value,
        by=hold.by,
        because=hold.why,
        since=hold.since,
        until=hold.until,
        release=hold.release,
        probe_at=hold.probe_at,
        probe_by=None if hold.probe_by is None else str(hold.probe_by),
        failed_probes=hold.failed_probes if hold.is_breakers else None,
    )


def _hold(asked: Asked) -> Hold | None:
    status, owner = asked.status, asked.owner()
    names = names_of(status.type, status.entity, status.tenant, status.current.lane)
    standing = by_name(
        one
        for one in asked.found.holds
        if one.release is None or (owner is not None and owner.release == one.release)
    )
    return next((standing[name] for name in names if name in standing), None)


def _due(asked: Asked) -> Explanation | None:
    row = asked.row
    if row is None or row.wait.due_at is None or row.wait.due_at <= asked.found.now:
        return None
    due = row.wait.due_at
    if row.wait.state is WaitingState.SCHEDULED:
        return asked.told(Cause.SCHEDULED, f"it is scheduled for {clock(due)}", due_at=due)
    if row.wait.state is WaitingState.RETRYING:
        reason = asked.reason(row)
        return asked.told(
            Cause.RETRYING,
            f"attempt {row.wait.attempt} failed{reason}; the next one is due at {clock(due)}",
            due_at=due,
            attempt=row.wait.attempt,
        )
    return None


def _handler(asked: Asked) -> Explanation | None:
    type_, row, alive = asked.status.type, asked.row, asked.alive()
    able, owner = [one for one in alive if type_ in one.types], asked.owner()
    parked = row is not None and row.wait.state is WaitingState.HELD
    ends = row.since + int(asked.grace * _SECOND) if parked and row is not None else None
    grace = "" if ends is None else f"; it fails at {clock(ends)} if none comes"
    if not alive or (able and (not parked or owner is None or owner in able)):
        return None
    if able and owner is not None:
        whose = f"worker {str(owner.id)[:8]}, which owns partition {asked.seat.partition},"
        said = f"{whose} has no handler for {type_}; {len(able)} of {len(alive)} live workers have"
    else:
        said = f"none of {len(alive)} live workers has" if len(alive) > 1 else "no live worker has"
        said = f"{said} a handler for {type_}"
    return asked.told(
        Cause.NO_HANDLER,
        f"{said}{grace}",
        type=type_,
        workers=len(alive),
        able=len(able),
        grace_ends_at=ends,
    )


_LOOKS: Final = (
    _ended,
    _running,
    _held,
    _due,
    _handler,
    obstacles.entity,
    obstacles.owner,
    obstacles.locked,
    obstacles.lane,
)
