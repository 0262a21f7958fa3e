"""What is asked of a run, and when has it had enough?"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.chaos.faults import FAULTS, SPOILING
from processor.chaos.server_faults import CONNECTIONS, SERVER_FAULTS
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from processor.chaos.diary import Diary

ISOLATION: Final = "repeatable-read"
"""No fault that happens, but a default of the database under which all of it runs."""
EVERY: Final = (*FAULTS, ISOLATION)
KILLING: Final = ("kill", "projector")
LASTING: Final = tuple(name for name in EVERY if name != "standby")
"""Of a run by the clock: its database grows too large to be copied again and again."""
OFTEN: Final = {"kill": 3}
"""How often a fault stands among the others, where not once."""
KILLED: Final = "kill -9"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; a run goes on until all of it is so."""

    seed: int
    log: Path
    faults: tuple[str, ...] = EVERY
    jobs: int = 5_000
    workers: int = 3
    minutes: float = 0.0
    kills: int = 0
    every: float | None = None
    """Seconds from the beginning of a fault to that of the next; else they follow each other."""
    share: float | None = None
    """Of the measured ceiling; without it there is always a backlog."""

    @property
    def spoilt(self) -> bool:
        """Whether workers are frozen or held up, so that an attempt may be consumed."""
        return bool(SPOILING & set(self.faults))

    def happening(self, *, own_servers: bool) -> list[str]:
        """The faults that can be made, by whether broker and database are the run's own."""
        return [
            name
            for name in self.faults
            if name in FAULTS and (own_servers or name == CONNECTIONS or name not in SERVER_FAULTS)
        ]

    def is_over(self, diary: Diary, seconds: float, acked: int, names: Collection[str]) -> bool:
        """Whether the run has had enough."""
        happened = all(diary.done[f"fault {name}"] for name in names)
        return (
            acked >= self.jobs
            and seconds >= 60 * self.minutes
            and diary.done[KILLED] >= self.kills
            and (happened or bool(self.kills or self.minutes))
        )


def draw(names: Collection[str], chance: random.Random) -> Iterator[str]:
    """Faults without an end: all of them in an order by chance, then all of them again."""
    bag = [name for name in names for _ in range(OFTEN.get(name, 1))]
    while bag:
        yield from chance.sample(bag, len(bag))


def usual_faults(kills: int, minutes: float) -> tuple[str, ...]:
    """The faults of a run that names none."""
    if kills:
        return KILLING
    return LASTING if minutes else EVERY


def parse_faults(text: str) -> tuple[str, ...]:
    """The faults that a list names; raises `ConfigurationError`."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigurationError(f"--faults names none; choose of {', '.join(EVERY)}")
    for name in names:
        if name not in EVERY:
            raise ConfigurationError(f"{name!r} is no fault; choose of {', '.join(EVERY)}")
    return names
