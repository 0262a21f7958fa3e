"""Does a worker know of each entity what may start, and what must wait behind?"""

from __future__ import annotations

from uuid import UUID

from processor.domain.ids import JobId
from processor.domain.mailbox import Mailboxes
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.ports.ownership import Fence
from processor.runtime.delivery import Delivery
from processor.runtime.lines import Lines
from processor.runtime.partition import OwnedPartition

ENTITY = 7
NORMAL = Priority.NORMAL


class Known:
    """Lines over one partition."""

    def __init__(self) -> None:
        self.mailboxes: Mailboxes[Delivery] = Mailboxes()
        self.lines = Lines(self.mailboxes)
        self.partition = self.a_spell()

    def a_spell(self) -> OwnedPartition:
        return OwnedPartition(Fence(0, UUID(int=len(self.mailboxes) + 1)), (0, 0, 0, 0))

    def delivery(self, number: int, lane: Priority = NORMAL, revision: int = 0) -> Delivery:
        record = SubmissionRecord(JobId(UUID(int=number)), "any", b"null", "N1", lane, 0)
        one = Delivery(record, b"", self.partition, lane, number, ENTITY)
        one.revision = revision
        return one


def test_an_arrival_waits_behind_a_head_in_every_lane() -> None:
    known = Known()
    known.lines.head(ENTITY, known.partition, JobId(UUID(int=1)))
    assert known.lines.must_queue(ENTITY, Priority.CRITICAL)
    assert known.lines.must_queue(ENTITY, Priority.LOW)
    assert known.mailboxes.is_held(ENTITY)


def test_nothing_is_kept_of_a_partition_that_was_lost_while_somebody_waited() -> None:
    known = Known()
    job = known.delivery(1)
    known.partition.lost = True
    known.lines.head(ENTITY, known.partition, job.record.job)
    known.lines.queued(ENTITY, known.partition, NORMAL)
    known.lines.writing([job])
    known.lines.loaded([job])
    known.lines.unloaded(job)
    assert not known.lines.knows(ENTITY)
    assert not known.mailboxes.is_held(ENTITY)


def test_only_arrivals_that_are_not_more_urgent_wait_behind_queued_rows() -> None:
    known = Known()
    known.lines.queued(ENTITY, known.partition, Priority.NORMAL)
    assert known.lines.must_queue(ENTITY, Priority.LOW)
    assert known.lines.must_queue(ENTITY, Priority.NORMAL)
    assert not known.lines.must_queue(ENTITY, Priority.HIGH)
    assert not known.mailboxes.is_held(ENTITY)


def test_an_entity_is_free_once_its_head_has_ended() -> None:
    known = Known()
    head = known.delivery(1, revision=1)
    known.lines.head(ENTITY, known.partition, head.record.job)
    known.lines.ended(head)
    assert not known.lines.knows(ENTITY)
    assert not known.mailboxes.is_held(ENTITY)
    assert known.lines.saw_end_of(head.record.job, 1)


def test_queued_rows_are_loaded_only_when_no_head_is_there_and_nothing_is_being_written() -> None:
    known = Known()
    head, behind = known.delivery(1, revision=1), known.delivery(2)
    known.lines.head(ENTITY, known.partition, head.record.job)
    known.lines.writing([behind])
    known.lines.written(behind)
    assert not known.lines.may_load(ENTITY, known.partition)
    known.lines.writing([known.delivery(3)])
    known.lines.ended(head)
    assert known.lines.hungry() == {}
    known.lines.written(known.delivery(3))
    assert known.lines.hungry() == {ENTITY: known.partition}


def test_an_entity_that_was_to_be_loaded_is_not_while_an_earlier_job_of_it_is_written() -> None:
    known = Known()
    known.lines.queued(ENTITY, known.partition, NORMAL)
    known.lines.writing([known.delivery(1)])
    assert known.lines.hungry() == {}
    assert not known.lines.may_load(ENTITY, known.partition)


def test_a_job_that_goes_from_memory_into_a_row_is_not_in_memory_any_more() -> None:
    known = Known()
    kept, spilled = known.delivery(1), known.delivery(2)
    known.lines.writing([spilled])
    known.lines.written(spilled)
    known.lines.loaded([kept])
    known.lines.writing([kept])
    known.lines.written(kept)
    assert known.lines.hungry() == {ENTITY: known.partition}


def test_the_next_part_is_loaded_once_what_is_in_memory_has_ended() -> None:
    known = Known()
    first, second = known.delivery(1, revision=1), known.delivery(2, revision=1)
    known.lines.queued(ENTITY, known.partition, NORMAL)
    assert known.lines.hungry() == {ENTITY: known.partition}
    known.lines.loaded([first, second])
    known.lines.ended(first)
    assert known.lines.hungry() == {}
    known.lines.ended(second)
    assert known.lines.hungry() == {ENTITY: known.partition}
    known.lines.exhausted(ENTITY)
    assert not known.lines.knows(ENTITY)


def test_what_is_being_written_keeps_an_entity_from_being_exhausted() -> None:
    known = Known()
    known.lines.writing([known.delivery(1)])
    known.lines.exhausted(ENTITY)
    assert known.lines.must_queue(ENTITY, NORMAL)


def test_a_spell_that_is_over_leaves_nothing_behind() -> None:
    known = Known()
    older = known.partition
    known.lines.head(ENTITY, older, JobId(UUID(int=1)))
    known.lines.drop(older)
    assert not known.lines.knows(ENTITY)
    assert not known.mailboxes.is_held(ENTITY)
    late = known.delivery(1, revision=1)
    known.partition = known.a_spell()
    known.lines.head(ENTITY, known.partition, JobId(UUID(int=2)))
    known.lines.ended(late)
    assert known.lines.head_of(ENTITY) == UUID(int=2)


def test_refusals_in_a_row_are_counted_until_a_job_of_the_entity_ends() -> None:
    known = Known()
    first, second = known.delivery(1), known.delivery(2)
    assert known.lines.refused(first) == 0, "nothing of it waits: there is no line"
    known.lines.queued(ENTITY, known.partition, NORMAL)
    assert [known.lines.refused(one) for one in (first, second, first)] == [1, 2, 3]
    known.lines.ended(second)
    assert known.lines.refused(first) == 1
