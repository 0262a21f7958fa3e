"""Whose job is next, when each entity may have only one at a time?"""

from __future__ import annotations

from processor.domain.mailbox import Mailboxes

ANN, BOB = 1, 2


def test_an_entity_has_one_job_out_at_a_time() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 1, "first")
    boxes.put(ANN, 2, 2, "second")
    assert boxes.ready == [0, 0, 1, 0]
    assert boxes.take(2) == "first"
    assert boxes.ready == [0, 0, 0, 0]
    boxes.release(ANN)
    assert boxes.ready == [0, 0, 1, 0]
    assert boxes.take(2) == "second"
    boxes.release(ANN)
    assert len(boxes) == 0


def test_a_higher_lane_goes_first_also_when_it_came_later() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 3, 3, "low")
    boxes.put(ANN, 0, 4, "critical")
    boxes.put(ANN, 2, 5, "normal")
    assert boxes.ready == [1, 0, 0, 0]
    assert boxes.take(0) == "critical"
    boxes.release(ANN)
    assert boxes.take(2) == "normal"
    boxes.release(ANN)
    assert boxes.take(3) == "low"


def test_entities_of_a_lane_take_turns() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    for job in ("a1", "a2"):
        boxes.put(ANN, 2, 6, job)
    boxes.put(BOB, 2, 7, "b1")
    assert boxes.take(2) == "a1"
    boxes.release(ANN)
    assert boxes.take(2) == "b1"
    assert boxes.take(2) == "a2"


def test_a_job_given_back_is_the_next_of_its_entity() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 8, "first")
    boxes.put(ANN, 2, 9, "second")
    assert boxes.take(2) == "first"
    boxes.give_back(ANN, 2, 1, "first", leads=False)
    assert boxes.take(2) == "first"


def test_a_job_given_back_waits_behind_a_head_that_came_meanwhile() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 8, "first")
    assert boxes.take(2) == "first"
    boxes.lead(ANN, 1, "head")
    boxes.give_back(ANN, 2, 8, "first", leads=False)
    assert boxes.take(1) == "head"
    boxes.release(ANN)
    assert boxes.ready == [0, 0, 0, 0]
    boxes.free(ANN)
    assert boxes.take(2) == "first"


def test_what_is_dropped_is_returned_and_what_is_out_stays_out() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    for job in ("out", "unwanted", "kept"):
        boxes.put(ANN, 2, 10, job)
    boxes.put(BOB, 1, 11, "unwanted too")
    assert boxes.take(2) == "out"
    assert boxes.drop(lambda job: "unwanted" in job) == ["unwanted", "unwanted too"]
    assert boxes.ready == [0, 0, 0, 0]
    assert (boxes.waiting(ANN, 2), boxes.waiting(BOB, 1), len(boxes)) == (1, 0, 1)
    boxes.release(ANN)
    assert boxes.take(2) == "kept"


def test_an_entity_stands_for_its_next_job_when_its_best_is_dropped() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 0, 12, "unwanted")
    boxes.put(ANN, 3, 13, "kept")
    boxes.drop(lambda job: job == "unwanted")
    assert boxes.ready == [0, 0, 0, 1]
    assert boxes.take(3) == "kept"


def test_an_entity_that_was_dropped_whole_may_come_again() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 14, "old")
    boxes.drop(lambda _: True)
    assert (len(boxes), boxes.ready) == (0, [0, 0, 0, 0])
    boxes.put(ANN, 2, 15, "new")
    assert boxes.take(2) == "new"


def test_what_was_read_later_but_stands_before_goes_first() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 8, "eighth")
    boxes.put(ANN, 2, 5, "fifth")
    assert boxes.take(2) == "fifth"


def test_nothing_of_a_held_entity_goes_but_its_head() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 0, 1, "critical")
    boxes.hold(ANN)
    assert boxes.ready == [0, 0, 0, 0]
    boxes.lead(ANN, 3, "head")
    assert boxes.take(3) == "head"
    boxes.release(ANN)
    assert boxes.ready == [0, 0, 0, 0]
    boxes.free(ANN)
    assert boxes.take(0) == "critical"


def test_what_waits_nowhere_cannot_be_removed() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    assert not boxes.remove(ANN, "strange")
    assert boxes.withdraw(ANN) == []
    boxes.free(ANN)
