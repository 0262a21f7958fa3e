"""What happens in one simulated run?

Everything that chance decides is decided here, before the run, by its seed: what is submitted, and
what goes wrong when. So a run is repeated by its seed alone, and a failing one can be shrunk by
leaving things out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from processor.domain.priority import LANES, Priority

Some = TypeVar("Some")


class Act(StrEnum):
    """What goes wrong, or what somebody does."""

    KILL = "kill -9"
    DIE_AFTER_CALL = "dies right after a call took effect"
    STOP = "is told to stop"
    START = "starts"
    FREEZE = "stands still"
    CUT = "is cut off from the coordinator"
    REJOIN = "loses its partitions and gets them back"
    FAIL_CALL = "a call of its fails"
    LOSE_ANSWER = "a call takes effect and its answer is lost"
    SLOW = "its calls are slow"
    DATABASE_AWAY = "the database is away"
    BROKER_AWAY = "the broker is away"
    FAILOVER = "the database forgets its last seconds"
    COPY = "its record is in the log once more"
    CANCEL = "is cancelled"
    REPLAY = "is replayed once it is dead"
    DISCARD = "is discarded once it is dead"
    HOLD = "is held for a while"


class Role(StrEnum):
    """Whose processes a step concerns."""

    WORKER = "worker"
    PROJECTOR = "projector"
    CLIENT = "client"


_OF_A_CALL: Final = frozenset({Act.FAIL_CALL, Act.LOSE_ANSWER, Act.SLOW})
_OF_A_PROJECTOR: Final = _OF_A_CALL | {
    Act.KILL, Act.DIE_AFTER_CALL, Act.STOP, Act.START, Act.FREEZE,
}  # fmt: skip
ACTS_OF: Final = {
    Role.WORKER: _OF_A_PROJECTOR | {Act.CUT, Act.REJOIN},
    Role.PROJECTOR: _OF_A_PROJECTOR,
    Role.CLIENT: _OF_A_CALL,
}
OF_A_JOB: Final = frozenset({Act.COPY, Act.CANCEL, Act.REPLAY, Act.DISCARD, Act.HOLD})
AT_ONCE: Final = 0.6
LATER: Final = 0.1
"""Shares of the submissions that are there at the start, and that have a not-before."""
_SECONDS: Final = {
    Act.FREEZE: (0.5, 12.0),
    Act.CUT: (0.5, 12.0),
    Act.SLOW: (1.0, 8.0),
    Act.DATABASE_AWAY: (0.2, 6.0),
    Act.BROKER_AWAY: (0.2, 6.0),
    Act.FAILOVER: (0.1, 3.0),
    Act.HOLD: (0.5, 5.0),
}


@dataclass(frozen=True, slots=True)
class Submitted:
    """One submission of a run."""

    at: float
    """Seconds after the start."""
    type: str
    entity: str
    lane: Priority
    delay: float = 0.0
    """Seconds until its not-before; 0 for none."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong, or that somebody does."""

    at: float
    act: Act
    whom: int = 0
    """Which of the processes that live then, or which of the submissions, counted round."""
    seconds: float = 0.0
    """How long it lasts; for a failover, how much is forgotten."""
    role: Role = Role.WORKER

    def __str__(self) -> str:
        """As a line of the trace."""
        who = f"job {self.whom} " if self.act in OF_A_JOB else ""
        if self.act in ACTS_OF[self.role]:
            who = f"another {self.role} " if self.act is Act.START else f"{self.role} {self.whom} "
        length = f" ({self.seconds:.2f} s)" if self.seconds else ""
        return f"{self.at:8.3f} s  {who}{self.act}{length}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that happens in a run; `seed` decides how long each call of a port takes."""

    seed: int
    submissions: tuple[Submitted, ...]
    steps: tuple[Step, ...]
    workers: int = 2
    projectors: int = 2
    partitions: int = 2

    @property
    def size(self) -> int:
        """How much there is to leave out."""
        return len(self.submissions) + len(self.steps)

    def without(self, left_out: frozenset[int]) -> Plan:
        """Less of it: submissions are numbered first, then steps.

        Whom a step concerns is a number among the submissions: a submission that is left out
        leaves a gap, so that the others keep their numbers.
        """
        first = len(self.submissions)
        return replace(
            self,
            submissions=tuple(
                one if number not in left_out else replace(one, type="")
                for number, one in enumerate(self.submissions)
            ),
            steps=tuple(
                one for number, one in enumerate(self.steps, first) if number not in left_out
            ),
        )

    def __str__(self) -> str:
        """What was submitted and what happened, in the order of time."""
        lines = [
            (one.at, f"{one.at:8.3f} s  job {number} is submitted: {one.type} for {one.entity},"
             f" lane {one.lane.name.lower()}" + (f", in {one.delay:.2f} s" if one.delay else ""))
            for number, one in enumerate(self.submissions)
            if one.type
        ]  # fmt: skip
        lines += [(one.at, str(one)) for one in self.steps]
        head = (
            f"seed {self.seed}, {self.partitions} partitions, at first {self.workers} workers"
            f" and {self.projectors} projectors"
        )
        return "\n".join([head, *(line for _, line in sorted(lines))])


@dataclass(frozen=True, slots=True)
class Chances:
    """Out of what a plan is drawn.

    Every plan makes do with some of the types, acts, lanes and entities: so some runs are full of
    what others hardly have.
    """

    types: Sequence[str]
    acts: Sequence[Act] = tuple(Act)
    roles: Sequence[Role] = (Role.WORKER, Role.WORKER, Role.WORKER, Role.PROJECTOR, Role.CLIENT)
    lanes: Sequence[Priority] = LANES
    submissions: tuple[int, int] = (4, 16)
    steps: tuple[int, int] = (0, 7)
    workers: tuple[int, int] = (1, 3)
    projectors: tuple[int, int] = (1, 2)
    partitions: tuple[int, int] = (1, 3)
    entities: int = 3
    seconds: float = 8.0
    """Within which everything is submitted and goes wrong."""

    def draw(self, seed: int) -> Plan:
        """The plan of a seed, always the same."""
        chance = random.Random(seed)
        some = replace(
            self,
            types=_some(chance, self.types),
            acts=_some(chance, self.acts),
            lanes=_some(chance, self.lanes),
            entities=chance.randint(1, self.entities),
        )
        submissions = [some._submission(chance) for _ in range(chance.randint(*self.submissions))]
        steps = [some._step(chance) for _ in range(chance.randint(*self.steps))]
        return Plan(
            seed,
            tuple(sorted(submissions, key=lambda one: one.at)),
            tuple(sorted(steps, key=lambda one: one.at)),
            workers=chance.randint(*self.workers),
            projectors=chance.randint(*self.projectors),
            partitions=chance.randint(*self.partitions),
        )

    def _submission(self, chance: random.Random) -> Submitted:
        # Most at once, so that entities have lines; the rest while things go wrong.
        at = 0.0 if chance.random() < AT_ONCE else chance.uniform(0, self.seconds)
        delay = chance.uniform(0.1, 3.0) if chance.random() < LATER else 0.0
        entity = f"entity-{chance.randrange(self.entities)}"
        return Submitted(at, chance.choice(self.types), entity, chance.choice(self.lanes), delay)

    def _step(self, chance: random.Random) -> Step:
        act = chance.choice(self.acts)
        roles = [role for role in self.roles if act in ACTS_OF[role]]
        role = chance.choice(roles) if roles else Role.WORKER
        seconds = chance.uniform(*_SECONDS[act]) if act in _SECONDS else 0.0
        return Step(chance.uniform(0, self.seconds), act, chance.randrange(16), seconds, role)


def _some(chance: random.Random, all_: Sequence[Some]) -> Sequence[Some]:
    """Some of them, at least one, in their order."""
    kept = chance.sample(range(len(all_)), chance.randint(1, len(all_)))
    return [all_[number] for number in sorted(kept)]
