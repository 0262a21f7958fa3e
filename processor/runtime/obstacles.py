"""What around a job keeps it: its entity, its partition's owner, its lane?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.explanation import Cause
from processor.domain.ids import dead_letter_id
from processor.ports.situations import COUNTED, LATELY
from processor.ports.waiting_room import WaitingState
from processor.runtime.asked import SILENT
from processor.runtime.instants import clock

if TYPE_CHECKING:
    from processor.domain.explanation import Explanation
    from processor.ports.waiting_room import Waiting
    from processor.runtime.asked import Asked


def entity(asked: Asked) -> Explanation | None:
    """A job of its entity that goes first."""
    head, entity = asked.found.head, asked.status.entity
    if head is None:
        before = asked.found.before
        if not before:
            return None
        many = f"{before:,} or more" if before >= COUNTED else f"{before:,}"
        return asked.told(
            Cause.BEHIND_JOB, f"{many} earlier jobs of {entity} go first", jobs=before
        )
    wait = head.wait
    if wait.state is WaitingState.BLOCKING:
        letter = dead_letter_id(wait.job, wait.generation)
        return asked.told(
            Cause.ENTITY_BLOCKED,
            f"{entity} is blocked by job {wait.job}, which failed: replay or discard dead letter"
            f" {letter}",
            job=str(wait.job),
            dead_letter=str(letter),
            since=head.since,
        )
    return asked.told(
        Cause.BEHIND_JOB,
        f"job {wait.job} of {entity} goes first, and {_doing(asked, head)}",
        job=str(wait.job),
        state=wait.state.name.lower(),
        due_at=wait.due_at,
    )


def _doing(asked: Asked, head: Waiting) -> str:
    if head.wait.state is WaitingState.RUNNING:
        return f"runs since {clock(head.since)}"
    if head.wait.state is WaitingState.HELD:
        return "is held"
    due = head.wait.due_at
    when = "now" if due is None or due <= asked.found.now else f"at {clock(due)}"
    return f"retries {when}{asked.reason(head)}"


def owner(asked: Asked) -> Explanation | None:
    """A partition that nobody works on."""
    partition, worker = asked.seat.partition, asked.owner()
    if worker is not None and worker.silent < SILENT:
        return None
    alive = len(asked.alive())
    whose = (
        "has no owner"
        if worker is None
        else f"belongs to a worker that has shown no sign of life for {worker.silent:.0f} s"
    )
    others = "no worker lives" if not alive else f"one of {alive} live workers takes it over soon"
    return asked.told(
        Cause.NO_OWNER,
        f"partition {partition} {whose}; {others}",
        partition=partition,
        workers=alive,
    )


def locked(asked: Asked) -> Explanation | None:
    """A process that holds the lock of its entity and is not the owner."""
    lock, worker = asked.found.lock, asked.owner()
    if lock is None or worker is None or str(worker.id)[:8] in lock.application:
        return None
    holder = next((one for one in asked.found.workers if str(one.id)[:8] in lock.application), None)
    silent = None if holder is None else holder.silent
    dead = silent is not None and silent >= SILENT
    frozen = f"; that worker has shown no sign of life for {silent:.0f} s" if dead else ""
    return asked.told(
        Cause.LOCKED,
        f"{lock.application or 'a process'} (backend {lock.pid}) holds the lock of"
        f" {asked.status.entity} since {clock(lock.since)} and does not own its partition"
        f"{'; it asks nothing meanwhile' if lock.idle else ''}"
        f"{frozen}",
        pid=lock.pid,
        application=lock.application,
        since=lock.since,
        worker=None if holder is None else str(holder.id),
        silent=silent,
    )


def lane(asked: Asked) -> Explanation | None:
    """More records before it than a worker reads ahead."""
    before = _records_before(asked)
    if before < asked.look_ahead:
        return None
    rate = asked.found.ended_lately / LATELY
    estimate = before / rate if rate else None
    when = (
        "and none ended lately" if estimate is None else f"about {estimate:,.0f} s at {rate:,.0f}/s"
    )
    lane = asked.seat.lane.label
    return asked.told(
        Cause.BEHIND_LANE,
        f"{before:,} records of lane {lane} go first in partition {asked.seat.partition}: {when}",
        records=before,
        lane=lane,
        partition=asked.seat.partition,
        rate=rate,
        estimate=estimate,
    )


def _records_before(asked: Asked) -> int:
    owner = asked.found.owner
    if owner is None or asked.seat.place < 0:
        return 0
    return max(0, asked.seat.place - owner.positions[asked.seat.lane])


def turn(asked: Asked) -> Explanation:
    """Nothing but a slot."""
    before = _records_before(asked)
    return asked.told(
        Cause.WAITING_FOR_SLOT,
        f"it waits for a free slot; at most {before:,} records go first",
        records=before,
    )
