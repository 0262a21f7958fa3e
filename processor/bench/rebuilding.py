"""How long does it take to rebuild the history of many jobs, with the command that everybody has?

What a worker would have left is appended and projected first. Measured from the start of
`processor rebuild` to its end, and so with the comparison of both sets of tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.bench.draining import RATE
from processor.bench.metering import Meter, until_ended
from processor.bench.profiling import profiled
from processor.bench.projecting import EACH, lay_out
from processor.bench.question import Round
from processor.bench.watching import PROJECTED, counting, until

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.question import Wanted

SECONDS: Final = "s"


async def rebuild(ground: Ground, wanted: Wanted) -> Round:
    """One round."""
    async with ground.place() as place:
        await lay_out(ground, place, wanted.jobs)
        await place.children.start("projector", "projector")
        look = counting(place.connection, PROJECTED)
        await until(ground, place, "projecting", look, EACH * wanted.jobs)
        ground.show.step("rebuilding")
        rebuilder = await place.children.start("rebuild", "rebuild")
        meter = Meter(place.machine.beside(rebuild=[rebuilder.pid]))
        async with profiled(rebuilder.pid, wanted.profile):
            taken = await until_ended([rebuilder], meter)
        figures = {SECONDS: taken.seconds, RATE: wanted.jobs / taken.seconds}
        return Round.of(wanted.jobs, figures, taken, wanted.jobs)
