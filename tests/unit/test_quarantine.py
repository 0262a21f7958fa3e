"""Who is a suspect, who is convicted, and when is it over?"""

from __future__ import annotations

import pytest

from processor.domain.events import Reason
from processor.domain.priority import LANES, Priority
from processor.domain.quarantine import (
    DEATHS_TO_CONVICT,
    DEATHS_TO_SUSPECT,
    IN_FLIGHT,
    READ_AHEAD,
    Found,
    Quarantine,
    Suspect,
)
from processor.runtime.admission import verdict

HIGH, LOW = Priority.HIGH, Priority.LOW
REACHED = (0, 50, 0, 30)
POSITIONS = (0, 40, 10, 30)
ENDS = (10, 90, 10, 40)


def found(unclean: int, *suspects: Suspect) -> Quarantine:
    return Quarantine(Found(unclean, REACHED, suspects), POSITIONS, ENDS)


def test_after_one_death_nobody_is_a_suspect() -> None:
    quarantine = found(1)
    assert not any(quarantine.suspects(lane, offset) for lane in LANES for offset in range(100))


@pytest.mark.parametrize("unclean", [DEATHS_TO_SUSPECT, 7])
def test_from_the_second_death_on_what_was_read_is_suspected_lane_by_lane(unclean: int) -> None:
    quarantine = found(unclean)
    assert quarantine.suspects(HIGH, 49)
    assert not quarantine.suspects(HIGH, 50)
    assert quarantine.suspects(LOW, 29)
    assert not quarantine.suspects(LOW, 30)
    assert not quarantine.suspects(Priority.CRITICAL, 0)
    assert [quarantine.until(lane) for lane in LANES] == list(REACHED)


def test_a_row_of_the_waiting_room_is_suspected_by_a_mark_alone() -> None:
    quarantine = found(2, Suspect(HIGH, 7))
    assert quarantine.suspects(HIGH, 7, waits=True)
    assert not quarantine.suspects(HIGH, 8, waits=True)
    assert quarantine.suspects(HIGH, 8)


def test_a_mark_above_what_was_read_is_a_suspect_too() -> None:
    assert found(2, Suspect(HIGH, 70)).suspects(HIGH, 70)


def test_the_third_death_convicts_until_a_pardon() -> None:
    quarantine = found(5, Suspect(HIGH, 7, DEATHS_TO_CONVICT), Suspect(LOW, 7, 2))
    assert quarantine.convicted(HIGH, 7) == Suspect(HIGH, 7, 3)
    assert quarantine.convicted(LOW, 7) is None
    assert quarantine.convicted(HIGH, 8) is None
    quarantine.pardon(HIGH, 7)
    quarantine.pardon(HIGH, 7)
    assert quarantine.convicted(HIGH, 7) is None


def test_little_is_read_ahead_and_suspects_that_wait_keep_nobody_out() -> None:
    assert found(1).bound(HIGH, 7, 1_000) == READ_AHEAD
    assert found(1).bound(HIGH, 7, 10) == 10
    assert found(2).bound(HIGH, 7, 1_000) == READ_AHEAD + 43
    assert found(2).bound(HIGH, 70, 1_000) == READ_AHEAD


def test_how_far_is_read_is_noted_once_and_with_every_lane() -> None:
    quarantine = found(1)
    assert quarantine.reach(HIGH, 50) is None
    assert quarantine.reach(HIGH, 51) == (0, 51, 0, 30)
    assert quarantine.reach(HIGH, 51) is None
    assert quarantine.reach(LOW, 99) == (0, 51, 0, 99)


def test_it_is_over_when_all_positions_have_passed_what_could_have_been_in_flight() -> None:
    first, second = found(1), found(2)
    assert first.has_passed(ENDS)
    assert not first.has_passed(REACHED), "one death: nobody noted how far was read"
    assert second.has_passed(REACHED)
    assert not second.has_passed((0, 49, 0, 30))


def test_it_is_not_over_while_a_mark_of_our_own_stands() -> None:
    quarantine = found(1)
    quarantine.marked += 1
    assert not quarantine.has_passed(ENDS)
    quarantine.marked -= 1
    assert quarantine.has_passed(ENDS)


@pytest.mark.parametrize(
    ("while_decoding", "said"), [(3, "decoding this record"), (2, "running this job")]
)
def test_the_verdict_says_what_the_workers_died_of(while_decoding: int, said: str) -> None:
    error = verdict(Suspect(HIGH, 7, 3, while_decoding))
    assert (error.reason, error.type) == (Reason.WORKER_LOST, "WorkerLost")
    assert error.message == f"3 workers died, each while {said} as its only suspect"
    assert (error.place, error.traceback) == ("", "")


def test_a_first_death_is_over_once_what_it_could_have_had_in_flight_is_passed() -> None:
    far = (10, IN_FLIGHT + 1_000, 10, 40)
    quarantine = Quarantine(Found(1, REACHED), POSITIONS, far)
    assert not quarantine.has_passed((10, 40 + IN_FLIGHT - 1, 10, 40))
    assert quarantine.has_passed((10, 40 + IN_FLIGHT, 10, 40)), "however much waits in the log"
