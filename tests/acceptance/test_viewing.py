"""Do the views tell what stands: an entity's line, the workers, the whole at a glance?"""

from __future__ import annotations

import pytest

from processor import Client, Jobs, Reject, Request, Retry, State, Submission
from processor.cli.workers import ranges
from processor.domain.ids import dead_letter_id
from tests.commands import Commands
from tests.inside import command, told, when, working

pytestmark = pytest.mark.timeout(240)


def application() -> Jobs:
    jobs = Jobs()

    async def rejects(request: Request[None]) -> None:
        raise Reject("it cannot be")

    async def works(request: Request[None]) -> None:
        """Return at once."""

    jobs.register("blocks", rejects, retry=Retry(on_exhausted="block"))
    jobs.register("works", works)
    return jobs


async def test_the_views_tell_what_blocks_an_entity_and_who_works(ready: Commands) -> None:
    partitions = ready.settings.partitions
    async with working(ready.settings, application()) as client:
        await command(ready, "hold", "entity", "E", "--by", "ada", "--because", "the gate is shut")
        first = await client.submit(Submission("blocks", entity="F"))
        await when(client, first, lambda status: status.state is State.FAILED)
        behind = [await client.submit(Submission("works", entity="F")) for _ in range(3)]
        await when(client, behind[-1], lambda status: status.waits_for)
        (seen,) = await told(ready, "entity", "F", "--limit", "2")
        assert (seen["head"]["job"], seen["head"]["state"]) == (str(first), "blocking")
        assert [one["job"] for one in seen["waiting"]] == [str(one) for one in behind[:2]]
        assert seen["by_state"] == {"blocking": 1, "queued": 3}
        said = (await command(ready, "entity", "F", "--limit", "2")).out.splitlines()
        assert said[0].startswith(f"F waits for job {first}, blocking since ")
        assert said[0].endswith(f"; replay or discard dead letter {dead_letter_id(first, 1)}")
        assert said[-1] == "and 1 more"
        (held,) = await told(ready, "entity", "E")
        assert held["holds"] == [
            {"kind": "entity", "value": "E", "by": "ada", "because": "the gate is shut"}
        ]

        (workers,) = await told(ready, "workers")
        (worker,) = workers["workers"]
        assert worker["partitions"] == list(range(partitions))
        assert set(worker["worker"]["types"]) == {"blocks", "works"}
        assert workers["without_owner"] == []

        (whole,) = await told(ready, "overview")
        assert [lane["lane"] for lane in whole["lanes"]] == ["critical", "high", "normal", "low"]
        assert (whole["blocked"], len(whole["held"])) == (1, 1)
        (group,) = whole["dead_letters"]
        assert (group["type"], group["letters"]) == ("blocks", 1)
        shown = (await command(ready, "overview")).out
        assert "1 for an operator" in shown
        assert "entity E is held until it is released, since" in shown


async def test_a_flood_without_workers_is_seen_in_its_lane(ready: Commands) -> None:
    async with Client.connect(ready.settings) as client:
        await client.submit([Submission("works") for _ in range(1_000)])
        (whole,) = await told(ready, "overview")
    waiting = {lane["lane"]: lane["waiting"] for lane in whole["lanes"]}
    assert waiting == {"critical": 0, "high": 0, "normal": 1_000, "low": 0}
    oldest = {lane["lane"]: lane["oldest"] for lane in whole["lanes"]}
    assert oldest["normal"] is not None
    assert oldest["low"] is None
    assert whole["workers"]["without_owner"] == list(range(ready.settings.partitions))
    said = (await command(ready, "workers")).out.splitlines()
    assert said == [
        "no worker is known",
        f"without an owner: partitions 0-{ready.settings.partitions - 1}",
    ]


def test_numbers_in_a_row_are_told_as_one() -> None:
    assert ranges([0, 1, 2, 3, 7, 9, 10]) == "0-3, 7, 9-10"
    assert not ranges([])
