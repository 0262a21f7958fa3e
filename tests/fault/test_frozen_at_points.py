"""Does a worker that is frozen past its session just where it hurts harm nothing once it wakes?"""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.chaos.checking import broken
from processor.chaos.copying import Copying
from processor.chaos.diary import Diary
from processor.chaos.looking import Looks
from processor.chaos.running import settings_of, staged
from processor.chaos.scene import Scene
from processor.chaos.wanted import Wanted
from processor.chaos.working import Run, beside
from processor.local.stack import Stack
from processor.staging.children import Child
from tests import freezing
from tests.commands import variables_of

ROOT = Path(__file__).parents[2]
SESSION_SECONDS = "2"
BACKLOG = 300


async def frozen(scene: Scene) -> Child:
    """The worker that has stopped at its point."""
    mark = scene.line.folder / freezing.FROZEN

    async def is_there() -> bool:
        return mark.exists() and bool(mark.read_text())

    await scene.line.must(is_there, "a worker stops at its point")
    return next(one for one in scene.line.workers if one.pid == int(mark.read_text()))


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("point", freezing.POINTS)
async def test_a_worker_frozen_at_a_named_point_past_its_session_breaks_no_invariant(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    variables = variables_of(stack, stack.database, "unused", 6)
    settings = settings_of(variables | {"JOBS_SESSION_TIMEOUT": SESSION_SECONDS})
    wanted = Wanted(7, tmp_path / "log", faults=("freeze",))
    with Diary(wanted.log) as diary:
        async with staged(wanted, settings, diary) as scene:
            line, looks = scene.line, Looks(Copying(stack.kafka, scene.settings.topics))
            (line.folder / "freezing.py").write_text(freezing.APPLICATION)
            line.application = "freezing:jobs"
            for _ in range(2):
                await line.worker(**{freezing.VARIABLE: point})
            await line.projector()
            async with (
                beside(scene.feeding.keep(BACKLOG)),
                beside(scene.feeding.operate()),
                beside(looks.go_on(scene)),
            ):
                await line.has_worked(*line.workers)
                (line.folder / freezing.MAY).touch()
                if point == freezing.POINTS[-1]:
                    await line.worker(**{freezing.VARIABLE: point})
                victim = await frozen(scene)
                held = await line.held_by(victim)
                assert held is not None
                await line.worked_elsewhere(held)
                victim.wake()
                await line.has_worked(victim)
            run = Run(wanted, scene, looks, print)
            await run.come_to_rest()
            assert run.stood_still == []
            assert looks.violations == {}
            assert broken(await looks.last(scene)) == []
            diary.is_clean = True
