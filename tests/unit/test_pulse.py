"""Is a worker dead?"""

from __future__ import annotations

from uuid import UUID

from processor.domain.pulse import Pulses

ANN, BOB = UUID(int=1), UUID(int=2)
EARLY = -1.0


def watched(*reads: tuple[float, dict[UUID, int]]) -> Pulses:
    pulses = Pulses()
    for now, beats in reads:
        pulses.observe(beats, now)
    return pulses


def test_nobody_is_dead_before_the_first_read() -> None:
    assert not Pulses().dead(ANN, 1_000, EARLY)


def test_a_worker_that_left_for_good_is_dead_at_once() -> None:
    assert watched((0, {BOB: 1})).dead(ANN, 0, EARLY)
    assert watched((0, {ANN: 1}), (1, {BOB: 1})).dead(ANN, 1, EARLY)


def test_an_owner_that_may_have_come_since_the_last_read_lives() -> None:
    pulses = watched((0, {BOB: 1}))
    assert not pulses.dead(ANN, 0.5, 0.1)
    pulses.observe({BOB: 1}, 1.0, 0.05)
    assert not pulses.dead(ANN, 1.0, 0.1), "that read began before"
    pulses.observe({BOB: 1}, 1.0, 0.9)
    assert pulses.dead(ANN, 1.0, 0.1), "it has left again"


def test_a_worker_that_beats_lives() -> None:
    pulses = watched(*((second, {ANN: second}) for second in range(10)))
    assert not pulses.dead(ANN, 9, EARLY)


def test_a_worker_is_dead_after_three_seconds_with_three_reads_without_a_beat() -> None:
    pulses = watched((0, {ANN: 5}), (1, {ANN: 5}), (2, {ANN: 5}), (3, {ANN: 5}))
    assert not pulses.dead(ANN, 2.9, EARLY)
    assert pulses.dead(ANN, 3, EARLY)


def test_three_seconds_without_three_reads_prove_nothing() -> None:
    assert not watched((0, {ANN: 5}), (3, {ANN: 5}), (4, {ANN: 5})).dead(ANN, 4, EARLY)


def test_three_reads_within_less_than_three_seconds_prove_nothing() -> None:
    pulses = watched((0, {ANN: 5}), (0.1, {ANN: 5}), (0.2, {ANN: 5}), (0.3, {ANN: 5}))
    assert not pulses.dead(ANN, 0.3, EARLY)


def test_a_pause_of_the_database_kills_nobody() -> None:
    pulses = watched((0, {ANN: 5, BOB: 5}))
    assert not pulses.dead(ANN, 3_600, EARLY), "nothing could be read for an hour"
    pulses.observe({ANN: 5, BOB: 5}, 3_600)
    assert not pulses.dead(ANN, 3_600, EARLY)
    pulses.observe({ANN: 6, BOB: 5}, 3_601)
    pulses.observe({ANN: 7, BOB: 5}, 3_602)
    assert not pulses.dead(ANN, 3_602, EARLY)
    assert pulses.dead(BOB, 3_602, EARLY), "but who does not come back is dead"


def test_a_beat_of_any_other_number_is_a_sign_of_life() -> None:
    pulses = watched((0, {ANN: 5}), (1, {ANN: 5}), (2, {ANN: 5}), (3, {ANN: 0}))
    assert not pulses.dead(ANN, 3, EARLY)


def test_another_patience_may_be_given() -> None:
    pulses = Pulses(0.5)
    for now in (0.0, 0.2, 0.4, 0.6):
        pulses.observe({ANN: 1}, now)
    assert pulses.dead(ANN, 0.6, EARLY)


def test_a_sign_of_life_is_a_beat_that_moved_after_the_moment() -> None:
    pulses = watched((0, {ANN: 5}), (1, {ANN: 6}), (2, {ANN: 6}))
    assert pulses.has_beaten_since(ANN, 0.5)
    assert not pulses.has_beaten_since(ANN, 1.5)
    assert not pulses.has_beaten_since(BOB, 0)
