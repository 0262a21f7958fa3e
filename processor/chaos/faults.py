"""What is done to the processes and the records of a run?

Each fault waits until the run has seen it, as far as it must be seen, and mends what it broke;
raises `StandStill` where something does not go on that has to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer

from processor.chaos.handlers import MARKS
from processor.chaos.server_faults import SERVER_FAULTS
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from processor.chaos.line import Held
    from processor.chaos.scene import Scene
    from processor.domain.ids import JobId
    from processor.staging.children import Child

Fault = Callable[["Scene"], Awaitable[None]]

STALL_SECONDS: Final = 10.0
CHURNS: Final = 4
FOREIGN: Final = 5
SETTLED: Final = "SELECT EXISTS (SELECT FROM jobs.ledger WHERE job = $1)"


async def kill(scene: Scene) -> None:
    """Kill -9 of a worker that works; another one is started.

    Every second time somebody must have worked in its place before anything else happens.
    """
    victim, held = await scene.working_victim()
    await scene.line.kill(victim)
    scene.diary.write("kill -9", of=victim.name, partitions=held.partitions)
    await scene.line.worker()
    if scene.chance.random() < 0.5:  # noqa: PLR2004 - every second time
        seconds = await scene.line.worked_elsewhere(held)
        scene.diary.write("worked elsewhere", after=round(seconds, 3), of=victim.name)


async def projector(scene: Scene) -> None:
    """Kill -9 of a projector; another one is started."""
    victim = scene.chance.choice([one for one in scene.line.projectors if one not in scene.steady])
    await scene.line.kill(victim)
    scene.diary.write("kill -9", of=victim.name)
    await scene.line.projector()


async def freeze(scene: Scene) -> None:
    """SIGSTOP of a worker wherever it is, past its session's time-out; then SIGCONT."""
    victim = scene.anybody()
    held = await scene.line.held_by(victim)
    victim.freeze()
    scene.diary.write("SIGSTOP", of=victim.name)
    await _past_its_session(scene, victim, held)


async def freeze_outside(scene: Scene) -> None:
    """SIGSTOP in the middle of an external call, past the session's time-out."""
    await _freeze_in(scene, before=True)


async def freeze_inside(scene: Scene) -> None:
    """SIGSTOP while a transaction is open, past the session's time-out."""
    await _freeze_in(scene, before=False)


async def _freeze_in(scene: Scene, *, before: bool) -> None:
    job = await _submit(scene, "freezes", before=before)
    victim = await _marked_by(scene, job)
    if victim is None:
        return
    scene.diary.write("SIGSTOP", of=victim.name, where="outside" if before else "inside")
    await _past_its_session(scene, victim, await scene.line.held_by(victim))
    await _has_settled(scene, job)


async def _past_its_session(scene: Scene, victim: Child, held: Held | None) -> None:
    """Wake a frozen worker once others work in its partitions, or soon where it held none."""
    try:
        if held is None:
            await asyncio.sleep(2 * scene.settings.session_timeout)
        else:
            await scene.line.worked_elsewhere(held)
    finally:
        victim.wake()
    scene.diary.write("SIGCONT", of=victim.name)


async def stall(scene: Scene) -> None:
    """A handler holds up its worker's loop for ten seconds."""
    job = await _submit(scene, "stalls", seconds=STALL_SECONDS)
    victim = await _marked_by(scene, job)
    if victim is not None:
        scene.diary.write("loop blocked", of=victim.name, seconds=STALL_SECONDS)
    await _has_settled(scene, job)


async def _submit(scene: Scene, type_: str, **payload: object) -> JobId:
    entity = f"{type_}-{scene.chance.randrange(1_000_000)}"
    one = Submission(type_, {"number": 0, **payload}, entity=entity)
    (job,) = await scene.feeding.submit([one])
    return job


async def _marked_by(scene: Scene, job: JobId) -> Child | None:
    """The worker whose process a job has stopped or held up; None for one that is gone."""
    mark = scene.line.folder / MARKS / str(job)

    async def is_there() -> bool:
        return mark.exists() and bool(mark.read_text("utf-8"))

    await scene.line.must(is_there, f"job {job} runs")
    pid = int(mark.read_text("utf-8"))
    return next((one for one in scene.line.workers if one.pid == pid), None)


async def _has_settled(scene: Scene, job: JobId) -> None:
    async def has() -> bool:
        return bool(await scene.line.asking.value(SETTLED, job))

    await scene.line.must(has, f"job {job} has ended")


async def churn(scene: Scene) -> None:
    """Workers join and leave every few seconds."""
    for _ in range(CHURNS):
        joined = await scene.line.worker()
        scene.diary.write("joins", of=joined.name)
        await asyncio.sleep(scene.chance.uniform(0.5, 3))
        await scene.line.stop(joined)
        scene.diary.write("leaves", of=joined.name)


async def foreign(scene: Scene) -> None:
    """Records in the lanes that are none of ours, and submissions that come once more."""
    producer = AIOKafkaProducer(bootstrap_servers=scene.settings.need_kafka())
    await producer.start()
    try:
        for _ in range(FOREIGN):
            lane = scene.chance.choice(scene.settings.topics.lanes)
            value = scene.chance.randbytes(scene.chance.randrange(40))
            partition = scene.chance.randrange(scene.settings.partitions)
            await producer.send_and_wait(lane, value, b"somebody's", partition=partition)
    finally:
        await producer.stop()
    again = list(scene.feeding.sent)[-FOREIGN:]
    await scene.feeding.submit(again)
    scene.diary.write("foreign and doubled records", foreign=FOREIGN, doubled=len(again))


FAULTS: Final[Mapping[str, Fault]] = {
    "kill": kill,
    "projector": projector,
    "freeze": freeze,
    "freeze-outside": freeze_outside,
    "freeze-inside": freeze_inside,
    "stall": stall,
    "churn": churn,
    "foreign": foreign,
    **SERVER_FAULTS,
}
"""By the names that the command line uses."""
SPOILING: Final = frozenset({"freeze", "freeze-outside", "freeze-inside", "stall"})
"""Those under which a transaction stands idle, so that an attempt may be consumed."""
