"""What fits, what does not, and what does the refusal say?"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import from_json

from processor.domain.ids import job_of_dedupe_key
from processor.domain.limits import JSON_DEPTH, PAYLOAD_BYTES
from processor.domain.priority import Priority
from processor.domain.submission import Caller, Trace
from processor.runtime.submission import Submission, Unfit, payload_of, record_of


class Flight(BaseModel):
    tail: str
    air_time: float | None = None


@dataclass
class Leg:
    origin: str
    flight: Flight


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def refusal(**fields: Any) -> str:  # noqa: ANN401 - any field of a submission
    with pytest.raises(Unfit) as refused:
        payload_of(Submission(**({"type": "a"} | fields)))
    return str(refused.value)


def test_an_id_is_made_with_the_submission_and_ordered_by_time() -> None:
    made = [Submission("a") for _ in range(1_000)]
    assert len({one.id for one in made}) == 1_000
    assert {one.id.version for one in made} == {7}
    milliseconds = [one.id.int >> 80 for one in made]
    assert milliseconds == sorted(milliseconds)


def test_a_seeded_program_does_not_make_the_same_ids_again() -> None:
    random.seed(1)
    first = Submission("a").id.int & (1 << 62) - 1
    random.seed(1)
    assert Submission("a").id.int & (1 << 62) - 1 != first


def test_a_dedupe_key_names_the_job_within_tenant_type_and_entity() -> None:
    one = Submission("a", entity="e", tenant="t", dedupe_key="k")
    assert one.id == Submission("a", {"other": 1}, entity="e", tenant="t", dedupe_key="k").id
    assert one.id == job_of_dedupe_key("t", "a", "e", "k")
    others = [
        Submission("b", entity="e", tenant="t", dedupe_key="k"),
        Submission("a", entity="f", tenant="t", dedupe_key="k"),
        Submission("a", tenant="t", dedupe_key="k"),
        Submission("a", entity="e", dedupe_key="k"),
        Submission("a", entity="e", tenant="t", dedupe_key="l"),
    ]
    assert len({one.id, *(other.id for other in others)}) == 6


def test_a_submission_that_is_changed_keeps_its_id() -> None:
    one = Submission("a")
    assert replace(one, priority=Priority.LOW).id == one.id


def test_a_payload_may_be_json_a_model_or_a_dataclass() -> None:
    flight = Flight(tail="N1", air_time=1.5)
    assert payload_of(Submission("a", flight)) == b'{"tail":"N1","air_time":1.5}'
    assert from_json(payload_of(Submission("a", Leg("JFK", flight)))) == {
        "origin": "JFK",
        "flight": {"tail": "N1", "air_time": 1.5},
    }
    assert payload_of(Submission("a")) == b"null"
    assert payload_of(Submission("a", {"when": datetime(2013, 1, 1, tzinfo=UTC)})) == (
        b'{"when":"2013-01-01T00:00:00Z"}'
    )


def test_a_payload_at_the_limit_fits_and_one_byte_more_does_not() -> None:
    assert len(payload_of(Submission("a", "x" * (PAYLOAD_BYTES - 2)))) == PAYLOAD_BYTES
    assert refusal(payload="x" * (PAYLOAD_BYTES - 1)) == (
        "its payload has 524,289 bytes, the limit is 524,288"
    )


@pytest.mark.parametrize(
    "payload",
    [
        math.nan,
        {"a": [math.inf]},
        -math.inf,
        Flight(tail="N1", air_time=math.nan),
        [Flight(tail="N1", air_time=math.inf)],
        Leg("JFK", Flight(tail="N1", air_time=math.nan)),
    ],
)
def test_what_is_no_number_is_refused_and_never_becomes_null(payload: object) -> None:
    assert refusal(payload=payload) == "its payload is no JSON: it has NaN or Infinity in it"


def test_a_text_may_speak_of_nan_infinity_and_brackets() -> None:
    text = {"said": 'NaN and \\"Infinity\\" ' + "[" * 100 + "}" * 100, "NaN": None}
    assert from_json(payload_of(Submission("a", text))) == text


def test_a_payload_may_be_as_deep_as_the_limit_and_no_deeper() -> None:
    assert from_json(payload_of(Submission("a", nested(JSON_DEPTH)))) == nested(JSON_DEPTH)
    assert refusal(payload=nested(JSON_DEPTH + 1)) == "its payload is nested deeper than 64 levels"


def test_brackets_in_texts_do_not_hide_how_deep_a_payload_is() -> None:
    value: Any = "end"
    for _ in range(JSON_DEPTH + 1):
        value = ["]", value, "["]
    assert "deeper" in refusal(payload=value)
    flat = [{"a": "\\", "b": ["]"]} for _ in range(JSON_DEPTH)]
    assert from_json(payload_of(Submission("a", flat))) == flat


@pytest.mark.parametrize("payload", [object(), {"a": object()}, b"\xff", "\ud800", {1, object()}])
def test_a_payload_that_json_cannot_say_is_refused_in_one_line(payload: object) -> None:
    said = refusal(payload=payload)
    assert said.startswith("its payload is no JSON: ")
    assert "\n" not in said


def test_a_payload_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    assert refusal(payload=value).startswith("its payload is no JSON: ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": ""}, "its type is empty"),
        ({"type": 7}, "its type must be text, not int"),
        ({"type": "t" * 256}, "its type has 256 bytes, the limit is 255"),
        ({"entity": "ü" * 128}, "its entity has 256 bytes, the limit is 255"),
        ({"entity": ""}, "its entity is empty"),
        ({"entity": "a\0b"}, "its entity has a NUL character in it"),
        ({"tenant": "\ud800"}, "its tenant is not valid Unicode"),
        ({"entity": "\ud800", "dedupe_key": "k"}, "its entity is not valid Unicode"),
        ({"dedupe_key": "k" * 256}, "its dedupe_key has 256 bytes, the limit is 255"),
        ({"caller": Caller(user="u" * 256)}, "its caller's user has 256 bytes, the limit is 255"),
        ({"caller": {"user": "u"}}, "its caller must be a Caller, not dict"),
        ({"trace": "00-1-2-01"}, "its trace is no Trace"),
        ({"trace": Trace("")}, "its trace's traceparent is empty"),
        (
            {"trace": Trace("00-1", "s" * 1025)},
            "its trace's tracestate has 1,025 bytes, the limit is 1024",
        ),
        ({"priority": "high"}, "its priority must be a Priority, not 'high'"),
        ({"attempts": 0}, "its attempts must be from 1 to 1,000, not 0"),
        ({"attempts": True}, "its attempts must be from 1 to 1,000, not True"),
        ({"not_before": "tomorrow"}, "its not_before must be a datetime, not str"),
        (
            {"not_before": datetime(2013, 1, 1)},  # noqa: DTZ001 - what is refused
            "its not_before has no time zone; give it one, for instance datetime.UTC",
        ),
        (
            {"not_before": datetime(1969, 12, 31, 23, tzinfo=UTC)},
            "its not_before is no time from 1970 to 9999, in UTC",
        ),
        (
            {"not_before": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
            "its not_before is no time from 1970 to 9999, in UTC",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields: dict[str, Any], said: str) -> None:
    assert refusal(**fields) == said


def test_names_at_the_limit_fit() -> None:
    longest = "n" * 255
    caller = Caller(user=longest, user_agent="a" * 1024)
    payload_of(Submission(longest, entity=longest, tenant="ü" * 127, caller=caller))


def test_the_record_says_what_the_submission_said() -> None:
    when = datetime(2013, 1, 1, 2, tzinfo=UTC) + timedelta(microseconds=7)
    submission = Submission(
        "a",
        [1],
        entity="e",
        priority=Priority.HIGH,
        dedupe_key="k",
        not_before=when,
        attempts=3,
        tenant="t",
        caller=Caller(user="u"),
        trace=Trace("00-1"),
    )
    record = record_of(
        submission, b"[1]", priority=Priority.LOW, submitted_at=5, trace=Trace("00-2")
    )
    assert record.job == submission.id
    assert record.priority is Priority.HIGH
    assert record.not_before == 1_357_005_600_000_007
    assert record.trace == Trace("00-1")
    assert (record.entity, record.tenant, record.dedupe_key) == ("e", "t", "k")
    assert (record.attempts, record.caller, record.generation) == (3, Caller(user="u"), 1)


def test_a_submission_without_an_entity_waits_for_no_other_job() -> None:
    submission = Submission("a")
    record = record_of(submission, b"null", priority=Priority.LOW, submitted_at=5)
    assert record.entity == str(submission.id)
    assert record.priority is Priority.LOW
