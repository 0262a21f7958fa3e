"""Does the demo's comparison find what went wrong?"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest

from processor.demo.expectation import Aircraft, Expectation, Found, differences, expect
from processor.demo.export import Row, rows

FLIGHTS = 2_000
JOBS = [UUID(int=place) for place in range(FLIGHTS)]


@pytest.fixture(scope="module")
def flights() -> list[Row]:
    return list(rows(FLIGHTS))


def worked(flights: Sequence[Row]) -> Found:
    """Return what a run leaves behind that worked the flights once each, in this order."""
    expectation = expect(flights)
    return Found(
        aircraft=expectation.aircraft,
        rows=expectation.fit,
        jobs=expectation.fit,
        dead={JOBS[place] for place in expectation.unfit},
        ends={"complete": expectation.fit, "failed": len(expectation.unfit)},
        histories=expectation.flights,
    )


def two_landings_of_one_aircraft(flights: Sequence[Row]) -> tuple[int, int]:
    """Return the places of the last two flights of an aircraft that went to different places."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(flights):
        if row.tailnum is not None and row.air_time is not None:
            places.setdefault(row.tailnum, []).append(place)
    return next(
        (first, second)
        for of_one in places.values()
        for first, second in list(pairwise(of_one))[-1:]
        if flights[first].dest != flights[second].dest
    )


def swapped(flights: Sequence[Row], first: int, second: int) -> list[Row]:
    order = list(flights)
    order[first], order[second] = order[second], order[first]
    return order


def test_totals_and_last_destination_are_those_of_a_hand_calculation() -> None:
    def flight(dest: str, air_time: int | None, tailnum: str | None = "N1") -> Row:
        return Row("2013-01-01T10:00:00Z", "UA", 1, tailnum, "EWR", dest, air_time, 100)

    found = expect([flight("IAH", 10), flight("MIA", None), flight("BOS", 5), flight("A", 1, None)])
    assert (found.flights, found.fit, found.unfit) == (4, 2, {1, 3})
    assert replace(found.aircraft["N1"], trail="") == Aircraft(2, 15, 200, "BOS")


def test_the_first_five_thousand_leave_fifty_dead_letters() -> None:
    expectation = expect(rows(5_000))
    assert len(expectation.unfit) == 50
    assert sum(expectation.lanes.values()) == 5_000


def test_the_whole_file_leaves_one_dead_letter_for_each_hole() -> None:
    expectation = expect(rows())
    assert (expectation.flights, len(expectation.unfit)) == (336_776, 9_430)
    assert len(expectation.aircraft) == 4_037, "six of 4,043 never had an air time"


def test_work_done_once_and_in_order_agrees(flights: list[Row]) -> None:
    assert differences(expect(flights), worked(flights), JOBS) == []


def test_two_landings_of_one_aircraft_in_the_wrong_order_are_found(flights: list[Row]) -> None:
    first, second = two_landings_of_one_aircraft(flights)
    found = differences(expect(flights), worked(swapped(flights, first, second)), JOBS)
    tailnum = flights[first].tailnum
    assert [line.partition(":")[0] for line in found] == [
        f"aircraft {tailnum}, last_destination",
        f"aircraft {tailnum}, trail",
    ]


def test_a_wrong_order_that_another_landing_hides_is_found_by_the_trail() -> None:
    def flight(dest: str) -> Row:
        return Row("2013-01-01T10:00:00Z", "UA", 1, "N1", "EWR", dest, 10, 100)

    order = [flight("IAH"), flight("MIA"), flight("BOS")]
    (line,) = differences(expect(order), worked(swapped(order, 0, 1)), JOBS[:3])
    assert line.startswith("aircraft N1, trail: ")


def test_a_flight_worked_twice_is_found(flights: list[Row]) -> None:
    twice = worked([*flights, flights[0]])
    found = differences(expect(flights), replace(twice, jobs=twice.jobs - 1), JOBS)
    tailnum = flights[0].tailnum
    assert any(line.startswith("rows of flights: ") for line in found)
    assert any(line.startswith(f"aircraft {tailnum}, flights: ") for line in found)


def test_a_lost_flight_is_found(flights: list[Row]) -> None:
    found = differences(expect(flights), worked(flights[:-1]), JOBS)
    assert any(line.startswith("ends in the ledger: ") for line in found)
    assert any(line.startswith("rows of flights: ") for line in found)


@pytest.mark.parametrize(
    ("kind", "change"),
    [("missing", lambda dead: dead - {min(dead)}), ("not expected", lambda dead: dead | {JOBS[0]})],
)
def test_the_dead_letters_must_be_those_of_the_file(
    flights: list[Row], kind: str, change: object
) -> None:
    assert callable(change)
    agreeing = worked(flights)
    (line,) = differences(expect(flights), replace(agreeing, dead=change(set(agreeing.dead))), JOBS)
    assert line.startswith(f"dead letter {kind}: ")


def test_an_aircraft_without_its_row_is_found(flights: list[Row]) -> None:
    agreeing = worked(flights)
    tailnum = min(agreeing.aircraft)
    fewer = {name: row for name, row in agreeing.aircraft.items() if name != tailnum}
    found = differences(expect(flights), replace(agreeing, aircraft=fewer), JOBS)
    assert f"aircraft {tailnum}: missing" in found


def test_nothing_worked_differs_in_everything(flights: list[Row]) -> None:
    expectation = expect(flights)
    nothing = Found(aircraft={}, rows=0, jobs=0, dead=set(), ends={}, histories=0)
    found = differences(expectation, nothing, JOBS)
    assert len(found) >= len(expectation.aircraft) + len(expectation.unfit)
    assert differences(Expectation(), nothing, []) == []
