"""Does every promise hold in a run that chance has planned?

The whole system in memory, under a clock of its own: clients, operators, workers and projectors
over the ports that production uses. A seed decides what is submitted, what goes wrong, and how long
every call of a port takes, and so the interleaving. Meanwhile and afterwards the invariants are
checked over what was written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

from processor.adapters.memory.database import REPEATABLE_READ
from processor.domain.limits import RECORD_BYTES
from processor.runtime.fetching import LookAhead
from processor.runtime.keeping import Times
from processor.testing.operated import OperatedCluster
from processor.testing.simulation.disturbing import Disturbing
from processor.testing.simulation.forgetting import lay_back
from processor.testing.simulation.invariants import violations
from processor.testing.simulation.people import People
from processor.testing.simulation.plan import OF_A_JOB, Act, Role
from processor.testing.simulation.projecting import unprojected
from processor.testing.simulation.telling import Line, lives
from processor.testing.simulation.watching import Watch
from processor.testing.simulation.writing import Writes
from processor.testing.virtual_time import play

if TYPE_CHECKING:
    from processor.adapters.memory.transactions import Lend
    from processor.runtime.handlers import Jobs
    from processor.testing.simulation.plan import Chances, Plan, Submitted

LOOK_AHEAD: Final = 4
"""Jobs of a lane's partition in memory: few, so that entities spill."""
SLOTS: Final = 4
TIMES: Final = Times(session=3.0, drain=3.0, look=0.2)

Effects = Callable[["OperatedCluster", "Plan"], Iterable[str]]


@dataclass(slots=True)
class Run:
    """What became of a plan."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    calls: str = ""
    """A digest over every call of a port and its time."""
    lives: list[Line] = field(default_factory=list)
    """What came of the jobs, and when."""

    def __str__(self) -> str:
        """The violations, and what happened."""
        return "\n".join([*self.violations, "", self.plan.told(self.lives)])


@dataclass(frozen=True, slots=True)
class Simulation:
    """Handlers, and out of what their runs are drawn."""

    jobs: Callable[[], Jobs]
    """Makes the handlers anew for every run."""
    chances: Chances
    payloads: Mapping[str, object] = field(default_factory=dict)
    """By type; none where none is named."""
    patience: float = 300.0
    """Seconds of a run's own time after the last thing that goes wrong: by then all has ended."""
    effects: Effects | None = None
    """Looks at what the handlers have written; says what is wrong."""
    record_bytes: int = RECORD_BYTES
    """More than this the log does not take."""
    days: float = 0.4
    """To who forgets, a second is so many days: what wakes after a freeze is still remembered."""
    lend: Callable[[OperatedCluster], Lend] | None = None
    """What begins the transactions that handlers ask for, where it is not the memory's own."""

    def run(self, plan: Plan) -> Run:
        """Let it happen."""
        run, before = Run(plan), random.getstate()
        random.seed(plan.seed)  # retry policies draw from the global one
        try:
            play(self._play(run))
        except AssertionError as error:
            run.violations.append(str(error) or "an assertion failed")
        finally:
            random.setstate(before)
        return run

    def seed(self, seed: int) -> Run:
        """The run of a seed, always the same."""
        return self.run(self.chances.draw(seed))

    def first_violation(self, seeds: Iterable[int]) -> Run | None:
        """The first run of those that breaks a promise, as short as it can be; or None."""
        for seed in seeds:
            run = self.seed(seed)
            if run.violations:
                return self.shrunk(run)
        return None

    def shrunk(self, run: Run) -> Run:
        """A run that still breaks a promise, and of which nothing can be left out.

        Halves first, then smaller pieces, as delta debugging does (Zeller and Hildebrandt,
        "Simplifying and isolating failure-inducing input", 2002).
        """
        plan, left_out = run.plan, frozenset[int]()
        size = max(1, plan.size // 2)
        while size:
            for piece in _pieces([n for n in range(plan.size) if n not in left_out], size):
                tried = self.run(plan.without(left_out | piece))
                if tried.violations:
                    left_out, run = left_out | piece, tried
            size = 0 if size == 1 else -(-size // 2)
        return run

    async def _play(self, run: Run) -> None:
        plan = run.plan
        cluster = OperatedCluster(
            self.jobs(),
            plan.partitions,
            slots=SLOTS,
            look_ahead=LookAhead(jobs=LOOK_AHEAD),
            times=TIMES,
            record_bytes=self.record_bytes,
        )
        if self.lend is not None:
            cluster.lend = self.lend(cluster)
        cluster.database.default_isolation = REPEATABLE_READ  # the worst that an operator can set
        disturbing = Disturbing(cluster, plan.seed)
        people = People(cluster, self.payloads, disturbing.clients)
        writes = Writes(cluster)
        watch = Watch(cluster, disturbing, writes)
        beside = [watch.look()]
        if any(step.act is Act.FAILOVER for step in plan.steps):
            beside.append(disturbing.remember())
        services = [asyncio.ensure_future(one) for one in beside]
        try:
            janitor = disturbing.start_janitor(self.days) if plan.forgets else None
            await _happen(plan, cluster, disturbing, people)
            await _settle(cluster, disturbing, people, self.patience)
            if janitor is not None:
                await cluster.clock.sleep(janitor.long)
                janitor.kill()
            await disturbing.stop()
        finally:
            for service in services:
                service.cancel()
            run.lives = lives(cluster, people.acked)
        run.calls = disturbing.calls
        lay_back(cluster, writes)
        run.violations += [*watch.seen, *writes.seen, *writes.convicted()]
        run.violations += await violations(cluster, people, disturbing)
        if self.effects is not None:
            run.violations += self.effects(cluster, plan)


async def _happen(
    plan: Plan, cluster: OperatedCluster, disturbing: Disturbing, people: People
) -> None:
    """Let all of a plan happen, each at its time, and heal."""
    for role, number in ((Role.WORKER, plan.workers), (Role.PROJECTOR, plan.projectors)):
        for _ in range(number):
            disturbing.start(role)
    due: list[tuple[float, Callable[[], None]]] = [
        (at, partial(people.submit, these)) for at, these in _together(plan)
    ]
    for step in plan.steps:
        act = people.act if step.act in OF_A_JOB else disturbing.act
        due.append((step.at, partial(act, step)))
    for at, happens in sorted(due, key=lambda one: one[0]):
        await cluster.clock.sleep(at - cluster.clock.monotonic())
        happens()
    healed = max((step.at + step.seconds for step in plan.steps), default=0.0)
    await cluster.clock.sleep(healed - cluster.clock.monotonic())


def _together(plan: Plan) -> Iterable[tuple[float, list[tuple[int, Submitted]]]]:
    """The submissions by their numbers, those of one moment in one batch."""
    numbered = [(number, one) for number, one in enumerate(plan.submissions) if one.type]
    for at, these in groupby(numbered, key=lambda one: one[1].at):
        yield at, list(these)


async def _settle(
    cluster: OperatedCluster, disturbing: Disturbing, people: People, patience: float
) -> None:
    """Let time pass until everything has ended and is projected."""
    deadline = cluster.clock.monotonic() + patience
    while people.busy or not cluster.at_the_end() or unprojected(cluster):
        assert cluster.clock.monotonic() < deadline, f"9, 17: no end: {_left(cluster)}"
        disturbing.replace(Role.WORKER, Role.PROJECTOR)
        people.let_go()
        await cluster.clock.sleep(1.0)


def _left(cluster: OperatedCluster) -> str:
    rows = [
        f"{waiting.wait.state} {str(job)[:8]} g{generation}"
        for (job, generation), waiting in cluster.database.waiting.items()
    ]
    positions = {number: one.positions for number, one in cluster.database.owners.items()}
    projected = "not projected" if unprojected(cluster) else "projected"
    return f"{len(rows)} rows wait ({', '.join(rows[:5])}), positions {positions}, {projected}"


def _pieces(numbers: list[int], size: int) -> Iterable[frozenset[int]]:
    for start in range(0, len(numbers), size):
        yield frozenset(numbers[start : start + size])
