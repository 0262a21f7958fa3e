"""Does each check of a run find what it is there to find?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from processor.domain.dead_letter import DeadLetterFact, died, job_failed
from processor.domain.events import Completed, ErrorDetail, Failed, Reason, Started
from processor.domain.ids import JobId
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.topics import Topics
from processor.runtime.cancelling import Cancellation
from tests import violations
from tests.evidence import (
    CODEC,
    Effect,
    Evidence,
    HistoryRow,
    LedgerRow,
    Log,
    Sighting,
    Tables,
    Told,
    WaitingRow,
)

TOPICS = Topics("jobs")
LANE = Priority.NORMAL
FIRST, SECOND, FAILED, STRANGER = (JobId(UUID(int=number)) for number in range(1, 5))
STARTED = Started(1, 1, 1, "host/1/a", "r", 0, LANE)
ERROR = ErrorDetail(Reason.HANDLER_FAILED, "RuntimeError", "it fails")


def outcome(job: JobId, offset: int) -> Outcome:
    end = Failed(2, 1, Reason.HANDLER_FAILED, ERROR) if job == FAILED else Completed(2, b"1")
    type_ = "fails" if job == FAILED else "effect"
    return Outcome(job, 1, 1, type_, "e", None, LANE, 0, offset, (STARTED, end))


OUTCOMES = {job: outcome(job, offset) for offset, job in enumerate((FIRST, SECOND, FAILED))}
BODIES = {job: CODEC.encode_outcome(one) for job, one in OUTCOMES.items()}
DIED = died(OUTCOMES[FAILED], None, TOPICS.lane(LANE))
NEWS = job_failed(OUTCOMES[FAILED])


def effect(job: JobId, seq: int) -> Effect:
    return Effect("e", seq, job, 1, LANE, 0, "host/1/a", datetime(2013, 1, 1, tzinfo=UTC))


def row(job: JobId, body: bytes | None = None) -> LedgerRow:
    one = OUTCOMES[job]
    ending = "f" if job == FAILED else "c"
    return LedgerRow(job, 1, ending, 0, LANE, one.offset, body or BODIES[job])


def history(job: JobId) -> list[HistoryRow]:
    return [
        HistoryRow(job, 1, 0, LANE - 4, False, b""),  # noqa: FBT003 - a column
        HistoryRow(job, 1, 1, 2, True, BODIES[job]),  # noqa: FBT003 - the same
    ]


def sound() -> Evidence:
    """Two jobs that are complete and one that failed, of one entity, at the end of their run."""
    assert isinstance(DIED, DeadLetterFact)
    assert NEWS is not None
    positions = {(lane, 0): 3 if lane == LANE else 0 for lane in range(4)}
    ends = {(topic, 0): 3 if topic == TOPICS.lane(LANE) else 0 for topic in TOPICS.lanes}
    return Evidence(
        TOPICS,
        Tables(
            positions,
            [effect(FIRST, 1), effect(SECOND, 2)],
            {(job, 1): row(job) for job in OUTCOMES},
            {},
            [line for job in OUTCOMES for line in history(job)],
            {(FAILED, 1): True},
            {("history", TOPICS.lane(LANE), 0): 3},
        ),
        Log(
            [Sighting(job, 1, "e", LANE, 0, one.offset) for job, one in OUTCOMES.items()],
            [Told(one, BODIES[job]) for job, one in OUTCOMES.items()],
            [DIED, DIED],
            [NEWS, NEWS],
            ends,
        ),
    )


def tables(**changed: Any) -> Callable[[Evidence], Evidence]:  # noqa: ANN401 - any field
    return lambda seen: replace(seen, tables=replace(seen.tables, **changed))


def log(**changed: Any) -> Callable[[Evidence], Evidence]:  # noqa: ANN401 - any field
    return lambda seen: replace(seen, log=replace(seen.log, **changed))


def ledger_without(job: JobId) -> Mapping[Any, LedgerRow]:
    return {name: one for name, one in sound().tables.ledger.items() if name[0] != job}


def journal_without(job: JobId) -> list[Told]:
    return [told for told in sound().log.journal if told.outcome.job != job]


OTHER = CODEC.encode_outcome(replace(OUTCOMES[FIRST], events=(STARTED, Completed(3, b"2"))))
WITH_CHILD = CODEC.encode_outcome(replace(OUTCOMES[FIRST], follow_ups=(b"child",)))
TWICE = replace(STARTED, attempt=2)
AGAIN = Told(replace(OUTCOMES[FIRST], events=(TWICE, Completed(2, b"1"))), BODIES[FIRST])

SPOILT = {
    "1 an effect twice": tables(effects=[effect(FIRST, 1), effect(SECOND, 2), effect(FIRST, 3)]),
    "1 a gap": tables(effects=[effect(FIRST, 1), effect(SECOND, 3)]),
    "2 no effect": tables(effects=[effect(FIRST, 1)]),
    "2 an effect of a failure": tables(
        effects=[effect(FIRST, 1), effect(SECOND, 2), effect(FAILED, 3)]
    ),
    "3 no end": tables(ledger=ledger_without(SECOND), effects=[effect(FIRST, 1)]),
    "3 not in a lane": log(lanes=sound().log.lanes[:2]),
    "4 not published": log(journal=journal_without(FIRST)),
    "4 another published": log(journal=[*journal_without(FIRST), Told(OUTCOMES[FIRST], OTHER)]),
    "5 published only": log(journal=[*sound().log.journal, Told(OUTCOMES[FIRST], OTHER)]),
    "5 strange bytes": log(strange=["jobs.events 0 7: no record of ours"]),
    "6 order": tables(effects=[effect(SECOND, 1), effect(FIRST, 2)]),
    "7 two heads": tables(
        waiting={
            (job, 1): WaitingRow(job, 1, 7, True)  # noqa: FBT003 - a column
            for job in (FIRST, SECOND)
        }
    ),
    "9 left waiting": tables(waiting={(FIRST, 1): WaitingRow(FIRST, 1, 7, False)}),  # noqa: FBT003
    "10 no beginning": tables(history=[*sound().tables.history[1:]]),
    "10 no end": tables(history=sound().tables.history[:-1]),
    "10 two ends": tables(history=[*sound().tables.history, sound().tables.history[1]]),
    "10 another end": tables(
        history=[
            one._replace(body=OTHER) if one.body == BODIES[FIRST] else one
            for one in sound().tables.history
        ]
    ),
    "10 a gap": tables(
        history=[one._replace(upto=1) if one.upto == 2 else one for one in sound().tables.history]
    ),
    "11 an attempt more": log(journal=[*journal_without(FIRST), AGAIN]),
    "12 never died": log(facts=[]),
    "12 two deaths": log(facts=[DIED, replace(DIED, because="again")] if DIED else []),
    "12 not open": tables(letters={(FAILED, 1): False}),
    "12 open without death": tables(letters={(FAILED, 1): True, (FIRST, 1): True}),
    "12 not told": log(failed=[]),
    "12 told twice": log(failed=[NEWS, replace(NEWS, attempts=9)] if NEWS else []),
    "13 not sent": tables(ledger={**sound().tables.ledger, (FIRST, 1): row(FIRST, WITH_CHILD)}),
    "13 without a parent": log(
        lanes=[*sound().log.lanes, Sighting(STRANGER, 1, "e", LANE, 0, 3, FIRST, b"child")]
    ),
    "13 sent of a failure": log(
        lanes=[*sound().log.lanes, Sighting(STRANGER, 1, "e", LANE, 0, 3, FAILED, b"child")]
    ),
    "17 short": tables(positions={**sound().tables.positions, (LANE, 0): 2}),
}


def test_a_sound_run_breaks_nothing() -> None:
    assert violations.during(sound()) == []
    assert violations.afterwards(sound(), list(OUTCOMES)) == []
    assert violations.unprojected(sound()) == []


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_run_is_found_out_by_the_check_for_it(what: str) -> None:
    found = violations.afterwards(SPOILT[what](sound()), list(OUTCOMES))
    number = what.split(maxsplit=1)[0]
    assert {line.partition(":")[0] for line in found} >= {number}, found


CANCELLED = row(FIRST)._replace(ending="x")
WON, LOST = (
    Cancellation(FIRST, 1, was, State.CANCELLED) for was in (State.QUEUED, State.CANCELLED)
)


def test_cancels_that_were_answered_otherwise_than_the_ledger_says_are_found_out() -> None:
    seen = tables(ledger={(FIRST, 1): CANCELLED}, effects=[])(sound())
    assert violations.cancelled_otherwise(seen, [LOST, WON, LOST]) == []
    assert violations.cancelled_otherwise(sound(), []) == []
    for spoilt, answers in (
        (sound(), [WON]),
        (seen, [LOST]),
        (seen, [WON, WON]),
        (seen, [WON, replace(LOST, now=State.COMPLETE)]),
        (seen, [WON, replace(LOST, generation=2)]),
        (tables(effects=[effect(FIRST, 1)])(seen), [WON]),
    ):
        found = violations.cancelled_otherwise(spoilt, answers)
        assert found
        assert all(line.startswith("14: ") for line in found)


def test_what_was_acknowledged_and_is_in_no_lane_is_lost() -> None:
    (line,) = violations.afterwards(sound(), [*OUTCOMES, STRANGER])
    assert line == f"3: {STRANGER} was acknowledged and is in no lane"


def test_what_the_positions_have_not_passed_may_be_without_an_end_in_the_middle_of_a_run() -> None:
    half = sound()
    positions = {**half.tables.positions, (LANE, 0): 1}
    ledger = {(FIRST, 1): row(FIRST)}
    half = tables(positions=positions, ledger=ledger, effects=[effect(FIRST, 1)])(half)
    assert violations.during(half) == []
    passed = tables(positions={**positions, (LANE, 0): 2})(half)
    assert [line[:2] for line in violations.during(passed)] == ["3:"]


def test_a_projection_that_is_behind_is_told() -> None:
    behind = tables(checkpoints={("history", TOPICS.lane(LANE), 0): 2})(sound())
    assert violations.unprojected(behind) == [
        "history stands at 2 of jobs.normal 0, which ends at 3"
    ]
