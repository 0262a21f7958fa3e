"""Is the status of a job the same however its records came?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.events import Queued, Started
from processor.domain.ids import event_id
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import Live, fold, status_of
from tests.property.lives import JOB, Life, any_records, lives

if TYPE_CHECKING:
    from processor.domain.job import Job
    from processor.domain.status import JobStatus


def told(records: list[Queued | Outcome | Live]) -> JobStatus | None:
    return status_of(
        JOB,
        [one for one in records if isinstance(one, Queued)],
        [one for one in records if isinstance(one, Outcome)],
        [one for one in records if isinstance(one, Live)],
    )


def shortened(job: Job) -> Job:
    """Of a lost outcome's error only the shortened one in the next outcome is left."""
    if job.error is None:
        return job
    return replace(job, error=replace(job.error, message=job.error.message[:4], traceback=""))


def shuffled(life: Life, data: st.DataObject) -> list[Queued | Outcome | Live]:
    records = life.records()
    copies = data.draw(st.lists(st.sampled_from(records), max_size=8)) if records else []
    return data.draw(st.permutations([*records, *copies]))


@given(lives(), st.data())
def test_any_order_with_any_copies_gives_the_same_status(life: Life, data: st.DataObject) -> None:
    assert told(shuffled(life, data)) == told(life.records())


@given(lives())
def test_the_fold_is_what_the_worker_went_through(life: Life) -> None:
    status = told(life.records())
    assert status is not None
    assert life.job is not None
    assert shortened(status.current) == shortened(life.job)


@given(any_records(), st.data())
def test_no_records_whatever_make_the_fold_fail_or_depend_on_their_order(
    life: Life, data: st.DataObject
) -> None:
    assert told(shuffled(life, data)) == told(life.records())


@given(lives())
def test_every_event_is_told_once_and_bears_the_id_of_its_place(life: Life) -> None:
    status = told(life.records())
    assert status is not None
    ids = [one.id for one in status.history if one.id]
    assert len(ids) == len(set(ids))
    assert all(
        one.id == event_id(JOB, one.generation, one.timeline, one.index)
        for one in status.history
        if one.id
    )


@given(lives())
def test_what_stands_is_told_in_the_order_of_generation_and_index(life: Life) -> None:
    status = told(life.records())
    assert status is not None
    standing = [(one.generation, one.index) for one in status.history if not one.void and one.id]
    assert standing == sorted(standing)


@given(lives(), st.integers(1, 9))
def test_a_late_start_changes_nothing_once_the_job_has_ended(life: Life, run: int) -> None:
    assert life.job is not None
    late = Started(10**6, run, run, "w9", "r", 1, Priority.LOW)
    records = life.records()
    assert told([*records, Live(JOB, life.job.generation, late)]) == told(records)


@given(lives())
def test_the_state_is_known_from_the_journal_alone_while_the_lanes_lag(life: Life) -> None:
    status = told([*life.outcomes])
    assert status is not None
    assert life.job is not None
    assert (status.state, status.generation) == (life.job.state, life.job.generation)
    assert (status.type, status.entity) == ("t", "e")
    assert fold(status.history) == status.current
