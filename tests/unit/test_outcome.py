"""What is known of a job's generation, as one record?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId
from processor.domain.limits import ERRORS_KEPT
from processor.domain.outcome import Outcome, shorten
from processor.domain.priority import Priority

ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "größer", "app:f:1", traceback="long")
STARTED = Started(1, 1, 1, "w1", "r1", 3, Priority.HIGH)
EMPTY = Outcome(JobId(UUID(int=1)), 1, 1, "t", "e", None, Priority.LOW, 0, 0, ())


@pytest.mark.parametrize(
    "end",
    [
        Completed(2, b"1"),
        Failed(2, 1, Reason.REJECTED, ERROR),
        Cancelled(2, "ann"),
        Discarded(2, "ann"),
    ],
)
def test_an_end_is_an_end_only_as_the_last_event(end: Durable) -> None:
    assert replace(EMPTY, events=(STARTED, end)).end == end
    assert replace(EMPTY, events=(end, Unknown("Later", b""))).end is None


def test_an_outcome_that_may_go_on_has_no_end() -> None:
    assert EMPTY.end is None
    assert replace(EMPTY, events=(STARTED, Retrying(2, 1, ERROR, 9))).end is None


def test_an_outcome_tells_the_number_of_its_newest_run() -> None:
    again = replace(STARTED, run=2)
    assert EMPTY.runs == 0
    assert replace(EMPTY, events=(STARTED, Retrying(2, 1, ERROR, 9), again)).runs == 2


def test_the_newest_error_stays_whole_and_older_ones_are_cut_between_characters() -> None:
    old, new = Retrying(2, 1, ERROR, 9), Retrying(4, 2, ERROR, 9)
    assert shorten((STARTED, old, STARTED, new), 3) == (
        STARTED,
        replace(old, error=replace(ERROR, message="gr", traceback="")),
        STARTED,
        new,
    )


def test_the_oldest_errors_keep_only_their_class_and_no_event_is_dropped() -> None:
    many = tuple(Retrying(at, at, ERROR, 9) for at in range(ERRORS_KEPT + 3))
    short = shorten(many, 100)
    assert [event.at for event in short if isinstance(event, Retrying)] == [*range(len(many))]
    messages = [event.error.message for event in short if isinstance(event, Retrying)]
    assert messages == ["", "", *["größer"] * (ERRORS_KEPT + 1)]


def test_nothing_is_shortened_where_nothing_failed_before() -> None:
    assert shorten((), 0) == ()
    assert shorten((STARTED, Completed(2, b"1")), 0) == (STARTED, Completed(2, b"1"))
