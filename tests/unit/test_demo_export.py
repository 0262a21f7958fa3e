"""Is the export read as it is, holes included?"""

from itertools import islice

from processor.demo.export import ALL, Row, rows
from processor.domain.priority import LANES


def test_the_file_holds_all_flights_and_their_holes() -> None:
    flights = airless = tailless = 0
    aircraft = set()
    for row in rows():
        flights += 1
        airless += row.air_time is None
        tailless += row.tailnum is None
        aircraft.add(row.tailnum)
    assert (flights, airless, tailless) == (ALL, 9_430, 2_512)
    assert len(aircraft - {None}) == 4_043


def test_of_the_first_five_thousand_fifty_have_no_air_time() -> None:
    first = list(rows(5_000))
    assert len(first) == 5_000
    assert sum(row.air_time is None for row in first) == 50


def test_the_first_line_is_the_first_flight() -> None:
    assert list(rows(1)) == [
        Row("2013-01-01T10:00:00Z", "UA", 1545, "N14228", "EWR", "IAH", 227, 1400)
    ]


def test_the_file_is_read_only_as_far_as_asked() -> None:
    reading = rows()
    assert len(list(islice(reading, 3))) == 3
    assert next(reading).flight == next(islice(rows(), 3, None)).flight


def test_an_aircraft_keeps_to_one_lane_and_every_lane_has_its_share() -> None:
    lanes: dict[str | None, set[int]] = {}
    counts = dict.fromkeys(LANES, 0)
    for row in rows(5_000):
        lanes.setdefault(row.tailnum, set()).add(row.lane)
        counts[row.lane] += 1
    assert {len(found) for found in lanes.values()} == {1}
    assert min(counts.values()) > 1_000
