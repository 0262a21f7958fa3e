"""Which lives of jobs are kept as this version recorded them, and how are they recorded?

`python -m tests.golden.recording` lets each life happen to the product itself, in memory and
virtual time, and writes every record of its topics and the status that it comes to into a file of
its own, unless that is there. What is there stays as it is for ever: a later version must fold it
to the same status. A new kind of life, or a new version of a record, is a new file.
"""

from __future__ import annotations

import json
import sys
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from processor.adapters.memory.holds import MemoryHolds
from processor.domain.ids import dead_letter_id
from processor.domain.priority import Priority
from processor.domain.submission import Caller, Trace
from processor.ports.holds import HoldKind
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import play
from tests.golden.telling import told
from tests.simulated import simulated_jobs
from tests.waiting import is_over, states

FOLDER: Final = Path(__file__).parent / "histories"
SECOND: Final = 1_000_000
Live = Callable[[OperatedCluster], Awaitable[None]]


async def _worked(cluster: OperatedCluster) -> None:
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster), within=600)
    await worker.stopped()


async def complete(cluster: OperatedCluster) -> None:
    """At once: with a transaction, without one, with everything that a submission can say."""
    cluster.submit("effect", "N1")
    cluster.submit("nothing", None, b'{"a": [1, "\xc3\xa9"]}', Priority.CRITICAL)
    cluster.submit(
        "effect",
        "N1",
        b"null",
        Priority.LOW,
        tenant="acme",
        dedupe_key="k",
        caller=Caller("ann", "s", "req-7", "::1", "curl"),
        trace=Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b"),
    )
    await _worked(cluster)


async def retried(cluster: OperatedCluster) -> None:
    """Until it is complete, or for ever too often; asked to run again without an attempt."""
    cluster.submit("flaky", "N1", b"2")
    cluster.submit("effect", "N1")
    cluster.submit("flaky", "N2", b"9")
    cluster.submit("patient", "N3", b"2")
    await _worked(cluster)


async def failed(cluster: OperatedCluster) -> None:
    """In every way a job can fail without a death, and bytes that nobody can read."""
    for type_ in ("fails", "rejects", "needs_a_number", "missing"):
        cluster.submit(type_, type_, b'"no number"')
    cluster.append(Priority.HIGH, 0, b"what is this")
    await _worked(cluster)


async def worker_lost(cluster: OperatedCluster) -> None:
    """It kills whoever runs it, until it is convicted; the innocent one beside it completes."""
    job = cluster.submit("poison", "N1")
    cluster.submit("effect", "N2")
    worker = cluster.start()

    def died_or_ended() -> bool:
        return worker.dead or (job, 1) in cluster.database.ledger

    while (job, 1) not in cluster.database.ledger:
        await cluster.until(died_or_ended)
        if worker.dead:
            worker = cluster.start()
    await cluster.settled()
    await worker.stopped()


async def scheduled(cluster: OperatedCluster) -> None:
    """Not before a time, one of them cancelled before it."""
    due = cluster.clock.now() + 30 * SECOND
    cluster.submit("effect", "N1", not_before=due)
    off = cluster.submit("effect", "N2", not_before=due)
    worker = cluster.start()
    await cluster.until(lambda: states(cluster) == ["s", "s"])
    await cluster.project()
    await cluster.operator.cancel(off, "ada", "not needed")
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()


async def cancelled(cluster: OperatedCluster) -> None:
    """Before anybody saw it, while it retries, while it runs."""
    unseen = cluster.submit("effect", "N0")
    await cluster.project()
    await cluster.operator.cancel(unseen, "ada", "never")
    worker = cluster.start()
    retrying = cluster.submit("flaky", "N1", b"3")
    cluster.submit("effect", "N1")
    await cluster.until(lambda: cluster.bodies(retrying))
    await cluster.project()
    await cluster.operator.cancel(retrying, "ada", "enough")
    running = cluster.submit("long", "N2", b"4")
    await cluster.clock.sleep(2)
    await cluster.project()
    await cluster.operator.cancel(running, "ada", "stop")
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()


async def replayed(cluster: OperatedCluster) -> None:
    """Twice, into another lane, after a discard, and one that is only discarded."""
    job, other = cluster.submit("fails", "N1"), cluster.submit("rejects", "N2")
    await _worked(cluster)
    for generation, lane in ((1, None), (2, Priority.CRITICAL)):
        await cluster.project()
        letter = dead_letter_id(job, generation)
        if generation > 1:
            await cluster.operator.discard(letter, "bob", "harmless")
            await cluster.project()
        await cluster.operator.replay(letter, "ada", "mended", lane)
        await _worked(cluster)
    await cluster.operator.discard(dead_letter_id(other, 1), "bob", "known")


async def blocked(cluster: OperatedCluster) -> None:
    """Its entity waits for it over a replay in its place, which fails again and is discarded."""
    job = cluster.submit("blocks", "N1")
    cluster.submit("effect", "N1")
    worker = cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.ledger)
    await cluster.until(lambda: is_over(cluster))
    await cluster.project()
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "mended")
    await cluster.until(lambda: (job, 2) in cluster.database.ledger)
    await cluster.until(lambda: is_over(cluster))
    await cluster.project()
    await cluster.operator.discard(dead_letter_id(job, 2), "ada", "let it be")
    await cluster.settled()
    await worker.stopped()


async def follow_ups(cluster: OperatedCluster) -> None:
    """A parent that is complete in its second attempt."""
    cluster.submit("parent", "N1", b"1")
    await _worked(cluster)


async def copies(cluster: OperatedCluster) -> None:
    """One id in two lanes and once more after its end."""
    job = cluster.submit("nothing", "N1", lane=Priority.LOW)
    cluster.submit("nothing", "N1", lane=Priority.HIGH, job=job)
    await _worked(cluster)
    cluster.submit("nothing", "N1", lane=Priority.NORMAL, job=job)
    await _worked(cluster)


async def held(cluster: OperatedCluster) -> None:
    """Parked for a hold between two attempts, spilled behind one that retries."""
    worker = cluster.start()
    job = cluster.submit("flaky", "N1", b"2")
    for _ in range(4):
        cluster.submit("effect", "N1")
    await cluster.until(lambda: cluster.bodies(job))
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "flaky", "ann", "look")
    await cluster.clock.sleep(10)
    await holds.release((HoldKind.TYPE, "flaky"), "ann", "looked")
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()


async def run_long(cluster: OperatedCluster) -> None:
    """One that shows that it runs, and one that still does at the end of the record."""
    cluster.submit("long", "N1", b"20")
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    cluster.submit("long", "N2", b"60")
    await cluster.clock.sleep(20)
    await cluster.project()
    worker.kill()


async def failed_over(cluster: OperatedCluster) -> None:
    """A database that forgot the end of one job, and an attempt of another, on a new timeline."""
    tables = ("ledger", "waiting", "owners", "workers", "ended_at", "values")
    cluster.submit("effect", "N0")
    await _worked(cluster)
    cluster.submit("flaky", "N1", b"1")
    cluster.submit("stumbles", "N2")
    kept = {name: dict(getattr(cluster.database, name)) for name in tables}
    first = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    first.kill()
    await cluster.clock.sleep(10)
    for name, rows in kept.items():
        live = getattr(cluster.database, name)
        live.clear()
        live.update(rows)
    cluster.database.locks.clear()
    cluster.timeline = 2
    second = cluster.member()
    second.timeline = 2
    second.start()
    await cluster.until(lambda: is_over(cluster), within=600)
    await second.stopped()


LIVES: Final[tuple[Live, ...]] = (
    complete, retried, failed, worker_lost, scheduled, cancelled, replayed, blocked, follow_ups,
    copies, held, run_long, failed_over,
)  # fmt: skip


def recorded(live: Live) -> dict[str, Any]:
    """Every record that a life leaves, and what it is told as."""
    found: dict[str, Any] = {}

    async def happen() -> None:
        cluster = OperatedCluster(simulated_jobs(), 2)
        await live(cluster)
        await cluster.project()
        found["records"] = [
            {
                "topic": place.topic,
                "partition": place.partition,
                "offset": record.offset,
                "timestamp": record.timestamp,
                "value": b64encode(record.value or b"").decode(),
            }
            for place, partition in cluster.topics.partitions.items()
            for record in partition.records
        ]
        found.update(await told(found["records"]))

    with _nowhere():
        play(happen())
    return found


@contextmanager
def _nowhere() -> Iterator[None]:
    """Tracebacks name files without the folders of the machine that records."""
    formatted = traceback.format_list

    def bare(frames: Iterable[traceback.FrameSummary]) -> list[str]:
        return formatted(
            traceback.FrameSummary(Path(one.filename).name, one.lineno, one.name, line=one.line)
            for one in frames
        )

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(traceback, "format_list", bare)
        yield


def write() -> None:
    """A file for each life that has none."""
    FOLDER.mkdir(exist_ok=True)
    for live in LIVES:
        file = FOLDER / f"{live.__name__}.1.json"
        if not file.exists():
            text = json.dumps(recorded(live), indent=1, ensure_ascii=False)
            file.write_text(text + "\n", encoding="utf-8")
            sys.stdout.write(f"{file.name}\n")


if __name__ == "__main__":
    write()
