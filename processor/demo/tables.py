"""Which tables do the flights' handlers write, and what stands in them?

They are an application's own, in the same database as the ledger: only so can one transaction
hold a job's effect and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from processor.demo.expectation import Aircraft

if TYPE_CHECKING:
    import asyncpg

# The flights have no key on purpose: a second effect of one job must be able to show.
CREATE: Final = """
CREATE SCHEMA flights;
CREATE TABLE flights.flight (
    job uuid NOT NULL,
    time_hour timestamptz NOT NULL,
    carrier text NOT NULL,
    flight int NOT NULL,
    tailnum text NOT NULL,
    origin text NOT NULL,
    dest text NOT NULL,
    air_time int NOT NULL,
    distance int NOT NULL
);
CREATE TABLE flights.aircraft (
    tailnum text PRIMARY KEY,
    flights int NOT NULL,
    minutes int NOT NULL,
    miles int NOT NULL,
    last_destination text NOT NULL,
    trail text NOT NULL
) WITH (fillfactor = 50);
"""

# One round trip: the flight, and what it adds to its aircraft.
LAND: Final = """
WITH landed AS (
    INSERT INTO flights.flight VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
INSERT INTO flights.aircraft AS aircraft VALUES ($5, 1, $8, $9, $7, md5($10))
ON CONFLICT (tailnum) DO UPDATE SET
    flights = aircraft.flights + 1,
    minutes = aircraft.minutes + excluded.minutes,
    miles = aircraft.miles + excluded.miles,
    last_destination = excluded.last_destination,
    trail = md5(aircraft.trail || $10)
RETURNING flights, minutes
"""


async def aircraft(connection: asyncpg.Connection[Any]) -> dict[str, Aircraft]:
    """Every aircraft's row, by tail number."""
    found = await connection.fetch(
        "SELECT tailnum, flights, minutes, miles, last_destination, trail FROM flights.aircraft"
    )
    return {tailnum: Aircraft(*values) for tailnum, *values in found}


async def flights(connection: asyncpg.Connection[Any]) -> tuple[int, int]:
    """How many rows of flights there are, and of how many different jobs."""
    found = await connection.fetchrow("SELECT count(*), count(DISTINCT job) FROM flights.flight")
    assert found is not None  # noqa: S101 - an aggregate always has its row
    return found[0], found[1]
