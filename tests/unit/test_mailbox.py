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


def test_what_a_lane_would_send_is_what_it_sends() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 3, 1, "moved up")
    boxes.put(BOB, 3, 2, "low")
    boxes.put(ANN, 0, 3, "critical")
    assert [boxes.next_of(0), boxes.next_of(3)] == ["critical", "low"]
    assert [boxes.take(3), boxes.take(0)] == ["low", "critical"]
    boxes.lead(BOB, 1, "head")
    boxes.release(BOB)
    assert boxes.next_of(1) == "head" == boxes.take(1)


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


def test_a_head_given_back_is_led_again() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 0, 8, "urgent")
    boxes.lead(ANN, 2, "head")
    assert boxes.take(2) == "head"
    boxes.give_back(ANN, 2, 9, "head", leads=True)
    assert boxes.ready == [0, 0, 1, 0]
    assert boxes.take(2) == "head"


def test_of_an_entity_that_nobody_knows_nothing_is_withdrawn() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    assert boxes.withdraw(ANN) == []


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


def test_a_held_entity_sends_nothing_until_it_is_free() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.put(ANN, 2, 1, "behind")
    boxes.hold(ANN)
    assert boxes.ready == [0, 0, 0, 0]
    boxes.free(ANN)
    assert boxes.take(2) == "behind"


def test_an_entity_that_is_set_aside_sends_not_even_its_head_until_it_resumes() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.lead(ANN, 2, "head")
    boxes.set_aside(ANN)
    assert boxes.ready == [0, 0, 0, 0]
    boxes.resume(ANN)
    boxes.resume(BOB)
    assert boxes.take(2) == "head"


def test_what_is_withdrawn_comes_in_order_and_the_first_few_stay() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    for place, job in enumerate("abc"):
        boxes.put(ANN, 2, place, job)
    boxes.put(ANN, 3, 3, "d")
    assert boxes.withdraw(ANN, 2, keep=1) == ["b", "c"]
    assert sorted(boxes.withdraw(ANN)) == ["a", "d"]
    assert len(boxes) == 0


def test_one_waiting_job_is_removed_a_head_as_well_and_what_does_not_wait_is_not() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    first, second, third, head = jobs = ("first", "second", "third", "head")
    assert not boxes.remove(ANN, first)
    assert not boxes.is_held(ANN)
    boxes.put(ANN, 2, 0, first)
    boxes.put(ANN, 2, 1, second)
    boxes.put(ANN, 3, 2, third)
    boxes.lead(ANN, 1, head)
    assert boxes.is_held(ANN)
    assert not boxes.is_out(ANN)
    assert all(boxes.remove(ANN, job) for job in jobs[1:])
    assert not boxes.remove(ANN, second)
    boxes.free(ANN)
    assert boxes.take(2) == first


def test_a_head_is_dropped_with_the_rest_that_nobody_wants() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    boxes.lead(ANN, 2, "head")
    assert boxes.drop(lambda _: True) == ["head"]
    assert boxes.ready == [0, 0, 0, 0]


def test_it_is_told_who_waits_here_a_head_as_well() -> None:
    boxes: Mailboxes[str] = Mailboxes()
    assert not boxes.holds(ANN, "first")
    boxes.put(ANN, 2, 0, "first")
    boxes.put(ANN, 2, 1, "second")
    boxes.lead(ANN, 1, "head")
    assert all(boxes.holds(ANN, job) for job in ("first", "second", "head"))
    assert not boxes.holds(ANN, "third")
    boxes.free(ANN)
    assert boxes.take(1) == "head"
    assert not boxes.holds(ANN, "head")
