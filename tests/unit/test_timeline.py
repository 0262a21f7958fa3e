"""How is a job's status told to a person, and to a program?"""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

from hypothesis import given

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Progressed,
    Queued,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import JobStatus, Live, status_of
from processor.domain.submission import Replay, Trace
from projections.timeline import as_json, describe
from tests.property.lives import JOB, Life, any_records

AT = 1_356_998_400_000_000
ERROR = ErrorDetail(
    Reason.PARSE_ERROR, "ParseError", "2 fields\ndo not fit", "app:landed:12", ("air_time", "tail")
)
QUEUED = Queued(
    AT,
    1,
    Priority.HIGH,
    3,
    40,
    "flight.landed",
    "N123",
    "acme",
    UUID(int=9),
    trace=Trace("00-1"),
)
FIRST = Started(AT + 1_000, 1, 1, "w1", "r1", 3, Priority.HIGH)


def status(*records: Queued | Live, events: tuple[Durable, ...] = ()) -> JobStatus:
    outcome = Outcome(
        JobId(UUID(int=7)), 1, 1, "flight.landed", "N123", None, Priority.HIGH, 3, 40, events
    )
    found = status_of(
        JobId(UUID(int=7)),
        [one for one in records if isinstance(one, Queued)],
        [outcome] if events else [],
        [one for one in records if isinstance(one, Live)],
    )
    assert found is not None
    return found


def test_a_complete_job_reads_as_what_it_is_and_a_line_a_step() -> None:
    assert describe(status(QUEUED, events=(FIRST, Completed(AT + 2_000_000, b'{"a": 1}')))) == [
        "00000000-0000-0000-0000-000000000007 flight.landed is complete",
        (
            "entity N123, tenant acme, batch 00000000-0000-0000-0000-000000000009, lane high,"
            " generation 1, trace 00-1"
        ),
        "2013-01-01 00:00:00.000000Z  queued     high 3@40",
        "2013-01-01 00:00:00.001000Z  started    attempt 1 on w1, release r1",
        '2013-01-01 00:00:02.000000Z  complete   {"a": 1}',
    ]


def test_a_dead_job_reads_with_its_error_in_one_line() -> None:
    told = describe(status(QUEUED, events=(Failed(AT, 0, Reason.PARSE_ERROR, ERROR),)))
    assert told[0].endswith("is failed: ParseError")
    assert told[-1] == (
        "2013-01-01 00:00:00.000000Z  failed     ParseError: 2 fields do not fit"
        " (air_time, tail) at app:landed:12"
    )


def test_every_kind_of_step_has_its_sentence() -> None:
    again = replace(FIRST, run=2)
    live = Live(JobId(UUID(int=7)), 1, replace(FIRST, attempt=2, run=3), Progressed(AT, 40, "half"))
    retrying = Retrying(AT, 1, replace(ERROR, place="", fields=()), AT + 5_000_000)
    told = describe(status(QUEUED, live, events=(FIRST, again, retrying)))
    assert told[0].endswith("is processing, attempt 2 on w1")
    assert told[4].endswith("started    attempt 1 (run 2) on w1, release r1")
    assert told[5].endswith(
        "retrying   attempt 1, again at 2013-01-01 00:00:05.000000Z:"
        " ParseError: 2 fields do not fit"
    )
    assert told[7].endswith("progressed 40 % half")
    assert describe(status(QUEUED, events=(FIRST, retrying)))[0].endswith(
        "is retrying, again at 2013-01-01 00:00:05.000000Z"
    )
    cancelled = describe(status(QUEUED, events=(Cancelled(AT, "ann", "wrong plane"),)))
    assert cancelled[-1].endswith("cancelled  by ann: wrong plane")
    later = describe(status(QUEUED, events=(Unknown("Paused", b"\x01"),)))
    assert later[-1].endswith("Paused     told by a later release")


def test_a_scheduled_a_replayed_and_a_discarded_job_say_so() -> None:
    scheduled = describe(status(replace(QUEUED, not_before=AT)))
    assert scheduled[0].endswith("is scheduled, not before 2013-01-01 00:00:00.000000Z")
    assert scheduled[2].endswith(", not before 2013-01-01 00:00:00.000000Z")
    replay = Replay(UUID(int=1), "ann", "fixed")
    failed = Failed(AT, 0, Reason.PARSE_ERROR, ERROR)
    replayed = describe(
        status(QUEUED, replace(QUEUED, generation=2, replay=replay), events=(failed,))
    )
    assert replayed[-1].endswith("high 3@40, generation 2, replayed by ann: fixed")
    letter = status(QUEUED, events=(failed,))
    discarded = replace(letter, current=replace(letter.current, discarded=True))
    assert describe(discarded)[0].endswith("is failed: ParseError, discarded")


def test_what_does_not_count_and_what_is_inferred_is_marked() -> None:
    inferred = describe(status(events=(FIRST,)))
    assert inferred[2].startswith(" " * 27)
    assert inferred[2].endswith("(told by its outcome: the lane is not read that far yet)")
    one = status(QUEUED)
    void = replace(one, history=(replace(one.history[0], void=True),))
    assert "(void:" in describe(void)[2]


def test_an_answer_from_the_clients_own_acknowledgement_says_so() -> None:
    told = describe(replace(status(QUEUED), as_of=AT))
    assert told[0].endswith("is queued, as acknowledged at 2013-01-01 00:00:00.000000Z")


def test_json_has_times_as_iso_ids_as_text_and_the_result_parsed() -> None:
    told = as_json(status(QUEUED, events=(FIRST, Completed(AT + 2_000_000, b'{"a": [1]}'))))
    assert json.loads(json.dumps(told)) == told
    assert (told["id"], told["state"], told["lane"]) == (
        "00000000-0000-0000-0000-000000000007",
        "complete",
        "high",
    )
    assert (told["attempts"], told["runs"], told["generation"]) == (1, 1, 1)
    assert told["result"] == {"a": [1]}
    assert told["ended_at"] == "2013-01-01T00:00:02.000000Z"
    queued, started, completed = told["history"]
    assert (queued["event"], queued["at"], queued["id"]) == (
        "queued",
        "2013-01-01T00:00:00.000000Z",
        None,
    )
    assert queued["lane"] == "high"
    assert UUID(started["id"]).version == 5
    assert (started["index"], started["timeline"], completed["result"]) == (0, 1, {"a": [1]})


def test_what_a_job_waits_for_is_told() -> None:
    held = replace(status(QUEUED), waits_for="a handler of its type")
    assert describe(held)[0].endswith("is queued, waits for a handler of its type")
    assert as_json(held)["waits_for"] == "a handler of its type"
    assert as_json(status(QUEUED))["waits_for"] is None


def test_json_tells_a_result_that_is_none_from_none() -> None:
    returned = as_json(status(QUEUED, events=(FIRST, Completed(AT, b"null"))))
    assert returned["result"] is None
    assert "result" not in as_json(status(QUEUED, events=(FIRST,)))


def test_json_tells_an_error_with_its_fields_and_an_unknown_event_by_its_bytes() -> None:
    told = as_json(
        status(QUEUED, events=(Unknown("Paused", b"\x01"), Discarded(AT, "ann"), Unknown("", b"")))
    )
    assert told["history"][1]["body"] == "01"
    failed = as_json(status(QUEUED, events=(Failed(AT, 0, Reason.PARSE_ERROR, ERROR),)))
    assert failed["reason"] == "ParseError"
    assert failed["error"]["fields"] == ["air_time", "tail"]


def test_a_long_message_is_cut_to_a_line() -> None:
    error = replace(ERROR, message="x" * 5_000)
    told = describe(status(QUEUED, events=(Failed(AT, 0, Reason.REJECTED, error),)))
    assert told[-1].endswith("…")
    assert len(told[-1]) < 400


@given(any_records())
def test_every_status_can_be_told(life: Life) -> None:
    found = status_of(JOB, life.queued, life.outcomes, life.live)
    if found is not None:
        assert len(describe(found)) == 2 + len(found.history)
        assert json.dumps(as_json(found))


def test_a_time_beyond_the_calendar_is_told_all_the_same() -> None:
    assert "µs after 1970" in describe(status(replace(QUEUED, at=2**63)))[2]
