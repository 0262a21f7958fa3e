"""Which jobs does a run work: of which types, of which entities, in which lanes?"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from processor.domain.priority import LANES
from processor.runtime.submission import Submission

ENTITIES: Final = 300
BLOCKED: Final = 40
"""So many entities have jobs that block them: each goes on when an operator comes by."""
DOUBLED: Final = 200
"""A submission may come again so many submissions later, at the most."""

Kind = Callable[["Mixture", int], Submission]


class Mixture:
    """Draws submissions without an end; the same seed draws the same ones."""

    def __init__(self, seed: int, entities: int = ENTITIES) -> None:
        self._chance = random.Random(f"mixture {seed}")  # noqa: S311 - seeded on purpose
        self._entities = entities
        self._again: deque[Submission] = deque(maxlen=DOUBLED)
        self._number = 0

    def take(self, count: int) -> list[Submission]:
        """The next ones."""
        return list(self._draw(count))

    def _draw(self, count: int) -> Iterator[Submission]:
        for _ in range(count):
            self._number += 1
            (kind,) = self._chance.choices(_KINDS, _WEIGHTS)
            yield kind(self, self._number)

    def _make(self, type_: str, number: Any, **more: Any) -> Submission:  # noqa: ANN401 - JSON
        payload = {"number": number, **more.pop("payload", {})}
        entity = more.pop("entity", f"entity-{self._chance.randrange(self._entities)}")
        (lane,) = self._chance.choices(LANES, (1, 2, 4, 3))
        return Submission(type_, payload, entity=entity, priority=lane, **more)

    def effect(self, number: int) -> Submission:
        """A short one, now and then a longer one."""
        seconds = self._chance.uniform(0.01, 0.1) if self._chance.random() < 0.05 else 0.0  # noqa: PLR2004 - one in twenty
        return self._make("effect", number, payload={"seconds": seconds})

    def plain(self, number: int) -> Submission:
        """One without a transaction."""
        return self._make("plain", number)

    def outside(self, number: int) -> Submission:
        """One that is out of the house for a while before it writes."""
        return self._make("outside", number, payload={"seconds": self._chance.uniform(0.02, 0.2)})

    def stumbles(self, number: int) -> Submission:
        """One that succeeds with its second, third or fourth attempt."""
        return self._make("stumbles", number, payload={"fails": self._chance.randrange(1, 4)})

    def fails(self, number: int) -> Submission:
        """One that ends as a dead letter, at once or after its attempts."""
        return self._make(self._chance.choice(("fails", "exhausts", "rejects")), number)

    def unfit(self, _: int) -> Submission:
        """One that does not parse."""
        return self._make("effect", "seven")

    def parent(self, number: int) -> Submission:
        """One that submits others."""
        return self._make("parent", number)

    def scheduled(self, number: int) -> Submission:
        """One that may not start yet."""
        wait = timedelta(seconds=self._chance.uniform(0.5, 4))
        return self._make("effect", number, not_before=datetime.now(UTC) + wait)

    def blocks(self, number: int) -> Submission:
        """One that blocks its entity, or stands behind one that does."""
        entity = f"blocked-{self._chance.randrange(BLOCKED)}"
        return self._make(
            self._chance.choice(("blocks", "effect", "effect")), number, entity=entity
        )

    def keyed(self, number: int) -> Submission:
        """One with a key, and later the same again."""
        if self._again and self._chance.random() < 0.5:  # noqa: PLR2004 - every second one
            return self._again.popleft()
        one = self._make("effect", number, dedupe_key=f"key-{number}")
        self._again.append(one)
        return one


_SHARES: Final[dict[Kind, int]] = {
    Mixture.effect: 560,
    Mixture.plain: 150,
    Mixture.outside: 40,
    Mixture.stumbles: 70,
    Mixture.fails: 30,
    Mixture.unfit: 10,
    Mixture.parent: 40,
    Mixture.scheduled: 30,
    Mixture.blocks: 20,
    Mixture.keyed: 50,
}
_KINDS: Final = list(_SHARES)
_WEIGHTS: Final = list(_SHARES.values())
