"""What are priorities, topics and errors called?"""

from __future__ import annotations

from uuid import UUID

import pytest

from processor.domain import errors
from processor.domain.ids import JobId, entity_key
from processor.domain.priority import LANES, WEIGHTS, Priority
from processor.domain.submission import SubmissionRecord, Trace, trace_headers
from processor.domain.topics import Topics


def test_a_lane_has_the_label_and_the_number_of_its_priority() -> None:
    assert [lane.label for lane in LANES] == ["critical", "high", "normal", "low"]
    assert [*LANES] == [0, 1, 2, 3]
    assert len(WEIGHTS) == len(LANES)


@pytest.mark.parametrize("lane", LANES)
def test_a_priority_is_read_back_from_its_label_in_any_case(lane: Priority) -> None:
    assert Priority.parse(lane.label) is Priority.parse(lane.label.upper()) is lane


def test_a_wrong_priority_is_answered_with_the_four_words() -> None:
    with pytest.raises(ValueError, match="'urgent' is no priority; use one of critical, high"):
        Priority.parse("urgent")


def test_every_topic_bears_its_namespace() -> None:
    topics = Topics("shop")
    assert topics.lanes == ("shop.critical", "shop.high", "shop.normal", "shop.low")
    ours, theirs = ("shop.events", "shop.dead-letters"), ("shop.failed", "shop.breakers")
    assert topics.every == (*topics.lanes, *ours, *theirs)
    assert Topics().lane(Priority.LOW) == "jobs.low"


def test_an_error_tells_what_its_class_says_and_carries_what_it_is_about() -> None:
    job = UUID(int=1)
    unknown = {job: "no answer"}
    submit = errors.SubmitError("1 of 2 are not known to be appended", unknown)
    unknown.clear()
    assert submit.unknown == {job: "no answer"}
    assert str(errors.TryAgain(3)) == "the handler asked to be run again"
    assert (str(errors.TryAgain(3, "not yet")), errors.TryAgain(3).after) == ("not yet", 3)
    assert errors.ParseError("no", ["a.b"]).fields == ("a.b",)


def test_a_submission_locks_its_tenants_entity() -> None:
    record = SubmissionRecord(
        JobId(UUID(int=1)), "t", b"{}", "N123", Priority.LOW, 0, tenant="acme"
    )
    assert record.entity_key == entity_key("acme", "N123")


def test_a_trace_becomes_the_headers_that_other_tools_know() -> None:
    assert trace_headers(None) == ()
    assert trace_headers(Trace("00-1")) == (("traceparent", b"00-1"),)
    assert trace_headers(Trace("00-1", "a=b"))[1] == ("tracestate", b"a=b")
