"""What does `processor projector` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processor.settings import Settings


def projector() -> None:
    """Fold the topics into the history and the dead letters, until Ctrl-C.

    A second one stands by and takes over when the first has gone.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    run(_project(settings), quiet=False)


async def _project(settings: Settings) -> None:
    from processor.bootstrap.projecting import projecting
    from processor.cli.running import asked_to_stop

    async with projecting(settings):
        await asked_to_stop()
