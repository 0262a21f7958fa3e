"""Does every promise hold in a run that chance has planned?

The whole system in memory, under a clock of its own: producers, workers, a projector and operators
over the ports that production uses. A seed decides what is submitted, what goes wrong, and how long
every call of a port takes, and so the interleaving. Afterwards the invariants are checked over what
was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from processor.runtime.fetching import LookAhead
from processor.testing.operated import OperatedCluster
from processor.testing.simulation.disturbing import Disturbing
from processor.testing.simulation.invariants import Watch, violations
from processor.testing.simulation.people import People
from processor.testing.simulation.plan import OF_A_JOB, Act
from processor.testing.virtual_time import play

if TYPE_CHECKING:
    from processor.runtime.handlers import Jobs
    from processor.testing.simulation.plan import Chances, Plan

SETTLES_WITHIN: Final = 300.0
"""Seconds of the run's own time after the last thing that goes wrong."""
PROJECTS_EVERY: Final = 0.5
LOOK_AHEAD: Final = 4
"""Jobs of a lane's partition in memory: few, so that entities spill."""

Effects = Callable[["OperatedCluster", "Plan"], Iterable[str]]


@dataclass(slots=True)
class Run:
    """What became of a plan."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    calls: str = ""
    """A digest over every call of a port and its time."""

    def __str__(self) -> str:
        """The violations, and what happened."""
        return "\n".join([*self.violations, "", str(self.plan)])


@dataclass(frozen=True, slots=True)
class Simulation:
    """Handlers, and out of what their runs are drawn."""

    jobs: Callable[[], Jobs]
    """Makes the handlers anew for every run."""
    chances: Chances
    payloads: Mapping[str, bytes] = field(default_factory=dict)
    """By type; JSON null where none is named."""
    effects: Effects | None = None
    """Looks at what the handlers have written; says what is wrong."""

    def run(self, plan: Plan) -> Run:
        """Let it happen."""
        run = Run(plan)
        try:
            play(self._play(run))
        except AssertionError as error:
            run.violations.append(str(error) or "an assertion failed")
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
            self.jobs(), plan.partitions, slots=4, look_ahead=LookAhead(jobs=LOOK_AHEAD)
        )
        disturbing, people = Disturbing(cluster, plan.seed), People(cluster, self.payloads)
        watch = Watch(cluster)
        beside = [watch.look(), _project(cluster)]
        if any(step.act is Act.FAILOVER for step in plan.steps):
            beside.append(disturbing.remember())
        services = [asyncio.ensure_future(one) for one in beside]
        try:
            await _happen(plan, cluster, disturbing, people)
            await _settle(cluster, disturbing, people)
        finally:
            for service in services:
                service.cancel()
        await cluster.project()
        run.calls = disturbing.calls
        run.violations += [*watch.seen, *dict.fromkeys(disturbing.seen)]
        run.violations += await violations(cluster, people, disturbing)
        if self.effects is not None:
            run.violations += self.effects(cluster, plan)


async def _happen(
    plan: Plan, cluster: OperatedCluster, disturbing: Disturbing, people: People
) -> None:
    """Let all of a plan happen, each at its time, and heal."""
    for _ in range(plan.workers):
        disturbing.start()
    due: list[tuple[float, Callable[[], None]]] = [
        (one.at, partial(people.submit, number, one))
        for number, one in enumerate(plan.submissions)
        if one.type
    ]
    for step in plan.steps:
        act = people.act if step.act in OF_A_JOB else disturbing.act
        due.append((step.at, partial(act, step)))
    for at, happens in sorted(due, key=lambda one: one[0]):
        await cluster.clock.sleep(at - cluster.clock.monotonic())
        happens()
    await cluster.clock.sleep(max((step.seconds for step in plan.steps), default=0.0))


async def _settle(cluster: OperatedCluster, disturbing: Disturbing, people: People) -> None:
    """Let time pass until everything has ended, and stop the workers."""
    deadline = cluster.clock.monotonic() + SETTLES_WITHIN
    while people.busy or not cluster.at_the_end():
        assert cluster.clock.monotonic() < deadline, f"9, 17: no end: {_left(cluster)}"
        if not disturbing.alive():
            disturbing.start()
        people.let_go()
        await cluster.clock.sleep(1.0)
    for member in disturbing.alive():
        await member.stopped()


async def _project(cluster: OperatedCluster) -> None:
    while True:
        await cluster.project()
        await cluster.clock.sleep(PROJECTS_EVERY)


def _left(cluster: OperatedCluster) -> str:
    rows = [
        f"{waiting.wait.state} {str(job)[:8]} g{generation}"
        for (job, generation), waiting in cluster.database.waiting.items()
    ]
    positions = {number: one.positions for number, one in cluster.database.owners.items()}
    return f"{len(rows)} rows wait ({', '.join(rows[:5])}), positions {positions}"


def _pieces(numbers: list[int], size: int) -> Iterable[frozenset[int]]:
    for start in range(0, len(numbers), size):
        yield frozenset(numbers[start : start + size])
