"""Do histories that released versions recorded say today what they said then?"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from processor.domain.events import Cancelled, Completed, Discarded, Failed, Retrying, Started
from tests.golden.recording import FOLDER, LIVES
from tests.golden.telling import told

FILES: Final = sorted(FOLDER.glob("*.json"))
KEPT: Final = {
    "complete.1", "retried.1", "failed.1", "worker_lost.1", "scheduled.1", "cancelled.1",
    "replayed.1", "blocked.1", "follow_ups.1", "copies.1", "held.1", "run_long.1", "failed_over.1",
}  # fmt: skip
"""What was recorded once is never taken away."""


def kept(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_history_folds_to_the_status_that_it_had(file: Path) -> None:
    found = kept(file)
    records = found.pop("records")
    assert includes(await told(records), found)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_its_records_may_come_in_any_order_and_often(file: Path) -> None:
    found = kept(file)
    records = found.pop("records")
    chance = Random(file.stem)
    for _ in range(5):
        shuffled = [*records, *chance.choices(records, k=len(records))]
        chance.shuffle(shuffled)
        assert includes(await told(shuffled), found)


def test_nothing_recorded_was_taken_away_and_every_kind_of_life_is_recorded() -> None:
    assert {file.stem for file in FILES} >= KEPT
    assert {file.stem.partition(".")[0] for file in FILES} == {live.__name__ for live in LIVES}


def test_the_recorded_lives_have_every_event_and_every_state_in_them() -> None:
    jobs = [job for file in FILES for job in kept(file)["jobs"].values()]
    lines = [line for job in jobs for line in job["history"]]
    events = (Started, Retrying, Completed, Failed, Cancelled, Discarded)
    assert {event.__name__ for event in events} <= {line["event"] for line in lines}
    states = {"complete", "failed", "cancelled", "processing"}
    assert states <= {job["state"] for job in jobs}
    assert {line["timeline"] for line in lines} == {0, 1, 2}
    assert any(line["void"] for line in lines)
    assert max(job["generation"] for job in jobs) >= 3


def includes(new: object, old: object) -> bool:
    """Whether all that was told then is told now; a later version may tell more."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(
            key in new and includes(new[key], value) for key, value in old.items()
        )
    if isinstance(old, list):
        return (
            isinstance(new, list)
            and len(new) == len(old)
            and all(includes(*pair) for pair in zip(new, old, strict=True))
        )
    return new == old
