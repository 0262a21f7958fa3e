"""How does a run go: where, with which processes, and what is done to it while it works?"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from processor.bootstrap.migrating import migrate
from processor.bootstrap.producing import connected
from processor.chaos.asking import Asking
from processor.chaos.checking import prepare
from processor.chaos.copying import Copying
from processor.chaos.diary import Diary
from processor.chaos.feeding import Feeding
from processor.chaos.handlers import NAMES
from processor.chaos.line import Line
from processor.chaos.looking import Looks
from processor.chaos.mixture import Mixture
from processor.chaos.report import Report
from processor.chaos.scene import Scene
from processor.chaos.servers import servers
from processor.chaos.wanted import ISOLATION, Wanted
from processor.chaos.working import Run
from processor.settings import Settings
from processor.staging.children import Children
from processor.staging.place import made, variables

if TYPE_CHECKING:
    from processor.chaos.servers import Servers
    from processor.local.jars import Progress
    from processor.staging.place import Place

KIND = "chaos"
SESSION_SECONDS = 3.0
Say = Callable[[str], None]


def settings_of(environment: Mapping[str, str], session: float = SESSION_SECONDS) -> Settings:
    """What `JOBS_*` say, a lost worker seen soon; raises `ConfigurationError`."""
    settings = replace(Settings.from_env(environment), release=KIND)
    if not environment.get("JOBS_SESSION_TIMEOUT"):
        settings = replace(settings, session_timeout=session)
    if settings.kafka is not None or settings.database is not None:
        settings.need_kafka()
        settings.need_database()
    return settings


async def wreak(
    wanted: Wanted, settings: Settings, say: Say, progress: Progress | None = None
) -> Report:
    """Run once; `settings` without a broker ask for servers of the run's own.

    Every process that was started has ended then. Raises `ProcessorError` where one ended by
    itself, or did not end when it was asked to.
    """
    with Diary(wanted.log) as diary:
        diary.write("begun", seed=wanted.seed, faults=list(wanted.faults))
        async with staged(wanted, settings, diary, progress) as scene:
            settings = scene.settings
            looks = Looks(Copying(settings.need_kafka(), settings.topics))
            run = Run(wanted, scene, looks, say)
            await run.work()
            await run.come_to_rest()
            found = await looks.last(scene)
            report = Report(wanted, diary, looks, found, run)
            diary.is_clean = report.holds
        diary.write("ended", violations=report.violations)
        return report


@asynccontextmanager
async def staged(
    wanted: Wanted, settings: Settings, diary: Diary, progress: Progress | None = None
) -> AsyncIterator[Scene]:
    """A place with the tables and a client, and nothing that works yet."""
    async with AsyncExitStack() as held:
        own, settings = await _servers(settings, held, progress)
        place = await held.enter_async_context(made(settings, KIND))
        await _prepare(place, wanted)
        folder = held.enter_context(_folder(diary))
        children = await held.enter_async_context(
            Children(folder, variables(place.settings), folder)
        )
        client = await held.enter_async_context(connected(place.settings))
        asking = Asking(place.settings.need_database())
        held.callback(asking.close)
        chance = random.Random(f"faults {wanted.seed}")  # noqa: S311 - seeded on purpose
        feeding = Feeding(
            client,
            Mixture(wanted.seed),
            asking,
            folder / "acked",
            random.Random(wanted.seed),  # noqa: S311 - the same
        )
        yield Scene(
            place.settings,
            Line(children, asking, folder),
            feeding,
            diary,
            chance,
            own,
            spared=place.connection.get_server_pid(),
        )


async def _servers(
    settings: Settings, held: AsyncExitStack, progress: Progress | None
) -> tuple[Servers | None, Settings]:
    if settings.kafka is not None:
        return None, settings
    own = await held.enter_async_context(servers(progress))
    named = replace(settings, kafka=own.kafka, database=own.database.url, replication=1)
    return own, named


async def _prepare(place: Place, wanted: Wanted) -> None:
    await migrate(place.settings)
    await prepare(place.connection, spoilt=wanted.spoilt)
    if ISOLATION in wanted.faults:
        await place.connection.execute(
            f'ALTER DATABASE "{place.settings.namespace}"'
            " SET default_transaction_isolation = 'repeatable read'"
        )


@contextlib.contextmanager
def _folder(diary: Diary) -> Iterator[Path]:
    """Where the processes work and write; kept when something goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix="processor-chaos-"))
    (folder / NAMES).mkdir()
    diary.write("processes write", folder=str(folder))
    yield folder
    if diary.is_clean:
        shutil.rmtree(folder, ignore_errors=True)
