"""What happens in one simulated run?

Everything that chance decides is decided here, before the run, by its seed: what is submitted, and
what goes wrong when. So a run is repeated by its seed alone, and a failing one can be shrunk by
leaving things out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from processor.domain.priority import LANES, Priority

if TYPE_CHECKING:
    from processor.runtime.submission import Submission

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
AT_A_CALL: Final = frozenset({Act.DIE_AFTER_CALL, Act.FREEZE, Act.FAIL_CALL, Act.LOSE_ANSWER})
OF_A_JOB: Final = frozenset({Act.COPY, Act.CANCEL, Act.REPLAY, Act.DISCARD, Act.HOLD})
AT_ONCE: Final = 0.6
LATER: Final = 0.1
"""Shares of the submissions that are there at the start, and that have a not-before."""
WRITES: Final = (
    "transactions.begin", "transaction.complete", "transaction.rollback", "waiting_room.record",
    "waiting_room.enqueue", "waiting_room.remove", "ledger.flush", "ledger.fail", "log.append",
)  # fmt: skip
"""Calls that write about jobs; what comes between them is what the safeguards are for."""
_SECONDS: Final = {
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
    draft: Submission | None = None
    """What the rest is taken from, where somebody has said what is submitted."""

    def __str__(self) -> str:
        """What is submitted, for whom and where."""
        whom = f" for {self.entity}" if self.entity else ""
        delay = f", in {self.delay:.2f} s" if self.delay else ""
        return f"{self.type}{whom}, lane {self.lane.name.lower()}{delay}"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong, or that somebody does."""

    at: float
    act: Act
    whom: int = 0
    """Which of the processes that live then, counted round, or the number of the submission."""
    seconds: float = 0.0
    """How long it lasts; for a failover, how much is forgotten."""
    role: Role = Role.WORKER
    call: str = ""
    """It comes with the next call of that name; else with any, or at once."""

    def __str__(self) -> str:
        """As a line of the trace."""
        who = f"job {self.whom} " if self.act in OF_A_JOB else ""
        if self.act in ACTS_OF[self.role]:
            who = f"another {self.role} " if self.act is Act.START else f"{self.role} {self.whom} "
        length = f" ({self.seconds:.2f} s)" if self.seconds else ""
        call = f", with its next {self.call}" if self.call else ""
        return f"{who}{self.act}{length}{call}"

    def among(self, submissions: int) -> Step:
        """The same; if it concerns a submission then one of these."""
        return replace(self, whom=self.whom % submissions) if self.act in OF_A_JOB else self


@dataclass(frozen=True, slots=True)
class Plan:
    """All that happens in a run; `seed` decides how long each call of a port takes."""

    seed: int
    submissions: tuple[Submitted, ...]
    steps: tuple[Step, ...]
    workers: int = 2
    projectors: int = 2
    partitions: int = 2
    forgets: bool = False
    """Somebody forgets what is old; to him a second is a good part of a day."""

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
        return self.told()

    def told(self, more: Iterable[tuple[float, str]] = ()) -> str:
        """The same; `more` has happened too, each so many seconds after the start."""
        lines = [
            (one.at, f"job {number} is submitted: {one}")
            for number, one in enumerate(self.submissions)
            if one.type
        ]
        lines += [(one.at, str(one)) for one in self.steps]
        head = (
            f"seed {self.seed}, {self.partitions} partitions, at first {self.workers} workers"
            f" and {self.projectors} projectors"
        )
        if self.forgets:
            head += ", and a janitor"
        told = sorted([*lines, *more], key=lambda line: line[0])
        return "\n".join([head, *(f"{at:8.3f} s  {line}" for at, line in told)])


@dataclass(frozen=True, slots=True)
class Chances:
    """Out of what a plan is drawn."""

    types: Sequence[str] = ()
    drafts: Sequence[Submission] = ()
    """All are submitted, in their order and as they are, where there are some."""
    acts: Sequence[Act] = tuple(Act)
    roles: Sequence[Role] = (Role.WORKER, Role.WORKER, Role.WORKER, Role.PROJECTOR, Role.CLIENT)
    lanes: Sequence[Priority] = LANES
    calls: Sequence[str] = WRITES
    """With which things go wrong."""
    writing: float = 0.7
    """In so many cases, of those that come with a call: most calls only ask."""
    lasting: tuple[float, float] = (1.0, 12.0)
    """Seconds that somebody stands still."""
    submissions: tuple[int, int] = (4, 16)
    steps: tuple[int, int] = (0, 7)
    workers: tuple[int, int] = (1, 3)
    projectors: tuple[int, int] = (1, 2)
    partitions: tuple[int, int] = (1, 3)
    entities: int = 3
    seconds: float = 8.0
    """Within which everything is submitted and goes wrong."""
    forgetting: float = 0.2
    """In so many cases what is old is forgotten."""
    varied: bool = True
    """A plan makes do with some of the types, acts, lanes and entities: so some runs are full of
    what others hardly have."""

    def draw(self, seed: int) -> Plan:
        """The plan of a seed, always the same."""
        chance = random.Random(seed)
        some = self._varied(chance) if self.varied else self
        submissions = some.some_submissions(chance)
        steps = [
            some.a_step(chance).among(len(submissions)) for _ in range(chance.randint(*self.steps))
        ]
        return Plan(
            seed,
            tuple(sorted(submissions, key=lambda one: one.at)),
            tuple(sorted(steps, key=lambda one: one.at)),
            workers=chance.randint(*self.workers),
            projectors=chance.randint(*self.projectors),
            partitions=chance.randint(*self.partitions),
            forgets=chance.random() < self.forgetting,
        )

    def _moment(self, chance: random.Random) -> float:
        # Most at once, so that entities have lines; the rest while things go wrong.
        return 0.0 if chance.random() < AT_ONCE else chance.uniform(0, self.seconds)

    @staticmethod
    def _delay(chance: random.Random) -> float:
        return chance.uniform(0.1, 3.0) if chance.random() < LATER else 0.0

    def _varied(self, chance: random.Random) -> Chances:
        return replace(
            self,
            types=_some(chance, self.types) if self.types else (),
            acts=_some(chance, self.acts),
            lanes=_some(chance, self.lanes),
            entities=chance.randint(1, self.entities),
        )

    def some_submissions(self, chance: random.Random) -> list[Submitted]:
        """As many as chance wants, or those that are given."""
        if not self.drafts:
            return [self.a_submission(chance) for _ in range(chance.randint(*self.submissions))]
        moments = sorted(self._moment(chance) for _ in self.drafts)
        return [
            Submitted(
                at,
                draft.type,
                draft.entity or "",
                Priority.NORMAL if draft.priority is None else draft.priority,
                self._delay(chance),
                draft,
            )
            for at, draft in zip(moments, self.drafts, strict=True)
        ]

    def a_submission(self, chance: random.Random) -> Submitted:
        """Any one."""
        at, delay = self._moment(chance), self._delay(chance)
        entity = f"entity-{chance.randrange(self.entities)}"
        return Submitted(at, chance.choice(self.types), entity, chance.choice(self.lanes), delay)

    def a_step(self, chance: random.Random) -> Step:
        """Any one."""
        act = chance.choice(self.acts)
        roles = [role for role in self.roles if act in ACTS_OF[role]]
        role = chance.choice(roles) if roles else Role.WORKER
        lasts = self.lasting if act is Act.FREEZE else _SECONDS.get(act, (0.0, 0.0))
        seconds = chance.uniform(*lasts)
        writes = role is Role.WORKER and act in AT_A_CALL and chance.random() < self.writing
        call = chance.choice(self.calls) if writes else ""
        at, whom = chance.uniform(0, self.seconds), chance.randrange(16)
        return Step(at, act, whom, seconds, role, call)


def _some(chance: random.Random, all_: Sequence[Some]) -> Sequence[Some]:
    """Some of them, at least one, in their order."""
    kept = chance.sample(range(len(all_)), chance.randint(1, len(all_)))
    return [all_[number] for number in sorted(kept)]
