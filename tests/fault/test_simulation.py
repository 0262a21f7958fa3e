"""Is every promise kept in runs that chance has planned?

A seed that breaks one is printed with the shortest run that still does; `SIMULATION.seed(seed)`
repeats it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.many_runs import broken
from tests.mutants import MUTANTS
from tests.proofs import Record
from tests.simulated import SIMULATION

QUICK = 100
MANY = 10_000


@pytest.mark.parametrize("first", range(0, QUICK, 50))
def test_every_promise_holds_whatever_chance_plans(first: int, record_property: Record) -> None:
    record_property("runs", 50)
    broken = SIMULATION.first_violation(range(first, first + 50))
    assert broken is None, str(broken)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_every_promise_holds_in_ten_thousand_runs(
    capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    def tell(how_far: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{how_far}")
            sys.stdout.flush()

    seeds = range(QUICK, MANY)
    found = broken(seeds, tell)
    record_property("runs", len(seeds))  # only now: one that is stopped has not run them
    assert not found, f"seeds {found} break a promise:\n{SIMULATION.first_violation(found[:1])}"


@pytest.mark.parametrize("seed", [42, 68, 80, 274, 300, 302, 330, 356])
def test_a_generation_brought_back_behind_its_own_replay_keeps_nobody_waiting(seed: int) -> None:
    run = MUTANTS["the rule of the lower generation"].simulation().seed(seed)
    assert not run.violations, str(run)


@pytest.mark.parametrize("seed", [2096, 3501, 7339])
def test_a_run_that_once_broke_a_promise_breaks_none(seed: int) -> None:
    run = SIMULATION.seed(seed)
    assert not run.violations, str(run)


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    # Each call of a port and its time: of a run with a failover, and of one with zombies.
    seeds = (5, 8, 13)
    told = "from tests.simulated import SIMULATION as s; print(*(s.seed(n).calls for n in {}))"
    other = subprocess.run(
        [sys.executable, "-c", told.format(seeds)],
        env={**os.environ, "PYTHONHASHSEED": "12"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.split()[-len(seeds) :] == [SIMULATION.seed(seed).calls for seed in seeds]
