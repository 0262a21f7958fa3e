"""What is a flight, and what happens when one has landed?

The application of the demo, as anybody would write one: a model, a handler, a registry.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from processor import Jobs, Request, Submission
from processor.demo.export import Row
from processor.demo.tables import LAND

jobs = Jobs()


class Flight(BaseModel):
    """A flight that has taken place: one without air time or tail number does not fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_hour: AwareDatetime
    carrier: str
    flight: int
    tailnum: str
    origin: str
    dest: str
    air_time: int
    distance: int


# Without a breaker: the cancelled flights of a stormy day come one after the other, and none fits.
@jobs.handler("flight.landed", breaker=None)
async def landed(request: Request[Flight]) -> dict[str, int]:
    """Write the flight down, and what it adds to its aircraft, in the job's own transaction."""
    flight = request.payload
    connection = await request.connection()
    flights, minutes = await connection.fetchrow(
        LAND,
        request.job_id,
        flight.time_hour,
        flight.carrier,
        flight.flight,
        flight.tailnum,
        flight.origin,
        flight.dest,
        flight.air_time,
        flight.distance,
        f"{flight.time_hour:%Y-%m-%dT%H:%M:%SZ} {flight.carrier}{flight.flight}"
        f" {flight.origin}-{flight.dest} {flight.air_time} {flight.distance}",
    )
    return {"flights": flights, "minutes": minutes}


def submission(row: Row) -> Submission:
    """The job of one line of the file, whether it will fit or not."""
    return Submission("flight.landed", row.payload, entity=row.tailnum, priority=row.lane)
