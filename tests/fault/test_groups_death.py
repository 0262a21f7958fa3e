"""Is every promise kept when a worker dies in the middle of a group, or a call of it fails?

The same scenario as for single jobs, whose handlers share their transactions: without savepoints
while nothing is known of them, behind savepoints, and in turn.
"""

from __future__ import annotations

import pytest

from processor.runtime import sharing
from processor.testing.cluster import MemoryCluster
from processor.testing.virtual_time import play
from tests.blocking import blocking_calls_fail
from tests.fault.test_runtime_death import (
    SAMPLE,
    a_mixture,
    calls_of_an_undisturbed_run,
    die_and_go_on,
    fail_and_go_on,
)
from tests.invariants import recording

__all__ = ["blocking_calls_fail"]

ENTITIES = 5
STEP = SAMPLE + 4
SAMPLED = pytest.mark.parametrize(
    "every",
    [pytest.param(STEP, id="sample"), pytest.param(1, id="all", marks=pytest.mark.long)],
)
WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
BOLDNESS = pytest.mark.parametrize("bold", [False, True], ids=["savepoints", "optimistic"])


@pytest.fixture(autouse=True)
def boldness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types go without savepoints always, or never."""
    bold = request.node.callspec.params["bold"]
    monkeypatch.setattr(sharing, "BOLD_BELOW", 2.0 if bold else 0.0)


def calls_of_groups(every: int) -> list[int]:
    """Which calls of a run concern a transaction: every so manieth."""
    calls = calls_of_an_undisturbed_run(groups)
    concern = [number for number, name in enumerate(calls) if name.startswith("transaction")]
    assert len(concern) > 100
    return concern[::every]


def groups() -> MemoryCluster:
    return a_mixture(recording("grouped"), ENTITIES)


@BOLDNESS
def test_jobs_share_transactions_in_an_undisturbed_run(bold: bool) -> None:  # noqa: FBT001
    calls = calls_of_an_undisturbed_run(groups)
    began, kept = calls.count("transactions.begin_group"), calls.count("transaction.keep")
    assert began > 3
    assert kept < began / 2 if bold else kept > began / 2  # behind savepoints, what ran again


@BOLDNESS
@SAMPLED
@WHEN
@pytest.mark.parametrize("beside", [False, True], ids=["successor", "beside"])
def test_a_worker_may_die_at_any_call_of_a_group(
    bold: bool,  # noqa: FBT001 - for the fixture
    after: bool,  # noqa: FBT001
    beside: bool,  # noqa: FBT001
    every: int,
) -> None:
    for call in calls_of_groups(every):
        play(die_and_go_on(call, after=after, beside=beside, made=groups))


@BOLDNESS
@SAMPLED
@WHEN
def test_any_call_of_a_group_may_fail(bold: bool, after: bool, every: int) -> None:  # noqa: FBT001
    for call in calls_of_groups(every):
        play(fail_and_go_on(call, after=after, made=groups))
