"""Do the promises hold while everything is killed, frozen, cut off and restarted?

`processor chaos` as a process of its own, as a user starts it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from processor.chaos.invariants import invariants
from processor.local.stack import Stack
from tests.commands import Commands, variables_of

SEED = "7"
EACH_ONCE = "4"
"""With this one the four faults of the small run come once each."""


def wreak(
    folder: Path, seconds: float, *options: str, stack: Stack | None = None, seed: str = SEED
) -> tuple[str, list[dict[str, object]]]:
    """Run it to its end; what it told, and what it wrote down of what was done."""
    named = {} if stack is None else variables_of(stack, stack.database, "unused", 6)
    if stack is not None:
        named["JOBS_SESSION_TIMEOUT"] = "2"
    ended = Commands(named, folder)(
        *("chaos", "--seed", seed, "--log", "log", *options), seconds=seconds
    )
    assert ended.code == 0, f"{ended.out[-8000:]}\n{ended.err[-3000:]}"
    return ended.out, [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def done(log: Sequence[dict[str, object]], what: str) -> int:
    return sum(line["what"] == what for line in log)


@pytest.mark.timeout(180)
def test_a_small_chaos_of_kills_cuts_and_foreign_records_breaks_no_invariant(
    stack: Stack, tmp_path: Path
) -> None:
    chosen = ("--faults", "kill,projector,cut,foreign,repeatable-read", "--jobs", "200")
    told, log = wreak(tmp_path, 170, *chosen, "--workers", "2", stack=stack, seed=EACH_ONCE)
    assert "Every invariant holds." in told
    assert len(re.findall(r"^ ?\d+  \S", told, re.MULTILINE)) == len(invariants()) + 1
    assert done(log, "kill -9") >= 2
    faults = [str(line["what"]) for line in log if str(line["what"]).startswith("fault ")]
    assert sorted(faults) == ["fault cut", "fault foreign", "fault kill", "fault projector"]
    (folder,) = [line["folder"] for line in log if line["what"] == "processes write"]
    assert not Path(str(folder)).exists()


def test_a_fault_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    assert Commands({}, tmp_path)("chaos", "--faults", "kill,earthquake").refusal.startswith(
        "'earthquake' is no fault; choose of kill, projector,"
    )


@pytest.mark.long
@pytest.mark.timeout(1_500)
def test_every_fault_there_is_breaks_no_invariant(tmp_path: Path) -> None:
    _, log = wreak(tmp_path, 1_400, "--jobs", "10000")
    assert done(log, "standby promoted") == 1


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_that_loses_the_coordinator_alone_harms_nothing(tmp_path: Path) -> None:
    _, log = wreak(tmp_path, 500, "--jobs", "2000", "--faults", "coordinator")
    assert (done(log, "coordinator cut"), done(log, "coordinator back")) == (1, 1)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_two_hundred_kill_9_of_workers_and_projectors_break_no_invariant(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    _, log = wreak(tmp_path, 7_000, "--kills", "200")
    assert done(log, "kill -9") >= 200
    record_property("runs", done(log, "kill -9"))
    waits = [line["after"] for line in log if line["what"] == "worked elsewhere"]
    record_property("seconds_from_kill_to_work_elsewhere", waits)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_short_soak_at_a_share_of_the_ceiling_tells_of_memory_and_backlog(
    tmp_path: Path,
) -> None:
    told, _ = wreak(tmp_path, 800, "--minutes", "2", "--rate", "0.5", "--every", "20")
    assert re.search(r"memory of worker 1, .* within a tenth", told)
    assert re.search(r"unsettled: at most [\d,]+, at last [\d,]+, bounded", told)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_how_long_work_stands_still_is_measured_by_one_command(tmp_path: Path) -> None:
    ended = Commands({}, tmp_path)("chaos", "--measure", seconds=800)
    assert ended.code == 0, ended
    assert len(re.findall(r"s at the median", ended.out)) == 8
