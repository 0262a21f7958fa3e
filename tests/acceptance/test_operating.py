"""Does the command line do to real jobs what an operator wants of it?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from processor import (
    AlreadyFinished,
    Client,
    DeadLetterNotFound,
    Jobs,
    Request,
    Retry,
    State,
    Submission,
)
from processor.domain.ids import dead_letter_id
from processor.domain.priority import Priority
from processor.domain.selection import Selection
from processor.local.stack import Stack
from tests.commands import Commands, commands
from tests.inside import command, dead, told, when, working

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("operating")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


class Application:
    """Handlers that fail until a test mends them, and say in which order they ran."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.mended = False
        self.ran: list[UUID] = []
        self.running = asyncio.Event()
        self.jobs.register("skips", self.breaks, retry=Retry(attempts=1), breaker=None)
        self.jobs.register("blocks", self.breaks, retry=Retry(attempts=1, on_exhausted="block"))
        self.jobs.register("works", self.works)
        self.jobs.register("stays", self.stays)

    async def breaks(self, request: Request[None]) -> None:
        self.ran.append(request.job_id)
        if not self.mended:
            raise RuntimeError("the gate is closed")

    async def works(self, request: Request[None]) -> None:
        self.ran.append(request.job_id)

    async def stays(self, _request: Request[None]) -> None:
        self.running.set()
        await asyncio.Event().wait()


async def test_a_dead_letter_is_found_shown_and_replayed_and_the_second_hears_who_was_first(
    run: Commands,
) -> None:
    application, tenant = Application(), secrets.token_hex(4)
    async with working(run.settings, application.jobs) as client:
        job = await client.submit(Submission("skips", tenant=tenant, priority=Priority.LOW))
        await when(client, job, lambda status: status.state is State.FAILED)
        letter = str(dead_letter_id(job, 1))
        (shown,) = await told(run, "dead-letters", "show", letter)
        assert (shown["job"], shown["closed"], shown["reason"]) == (str(job), None, "HandlerFailed")
        (listed,) = await told(run, "dead-letters", "list", "--tenant", tenant)
        assert listed == shown
        line = await command(run, "dead-letters", "list", "--tenant", tenant)
        assert letter in line.out
        assert "HandlerFailed: the gate is closed" in line.out
        groups = await told(run, "dead-letters", "groups")
        assert ("skips", 1) in {(one["type"], one["letters"]) for one in groups}
        application.mended = True
        words = ("dead-letters", "replay", letter, "--by", "ada", "--because", "the gate is open")
        (first,) = await told(run, *words)
        assert (first["job"], first["generation"], first["ours"]) == (str(job), 2, True)
        again = await command(
            run, "dead-letters", "replay", letter, "--by", "bob", "--because", "x"
        )
        assert again.code == 0, again
        assert "; ada was first, " in again.out
        status = await when(client, job, lambda status: status.state is State.COMPLETE)
        assert (status.generation, status.current.lane) == (2, Priority.LOW)
        assert application.ran == [job, job]
        assert await told(run, "dead-letters", "list", "--tenant", tenant) == []


async def test_many_are_replayed_by_a_filter_and_discarded_by_another(run: Commands) -> None:
    application, tenant = Application(), secrets.token_hex(4)
    async with working(run.settings, application.jobs) as client:
        jobs = await client.submit([Submission("skips", tenant=tenant) for _ in range(40)])
        await dead(client, Selection(tenant=tenant), 40)
        choice = ("--tenant", tenant, "--because", "why")
        (plan,) = await told(run, "dead-letters", "replay", *choice)
        assert (plan["state"], plan["done"], plan["refused"]) == ("complete", 40, 0)
        await dead(client, Selection(tenant=tenant), 40, generation=2)
        unexpected = await command(run, "dead-letters", "discard", *choice)
        assert "say how many dead letters you expect to discard" in unexpected.refusal
        wrong = await command(run, "dead-letters", "discard", *choice, "--expect", "41")
        assert wrong.refusal == "40 dead letters are chosen, not 41: nothing was done"
        (plan,) = await told(run, "dead-letters", "discard", *choice, "--expect", "40")
        assert (plan["state"], plan["done"]) == ("complete", 40)
        status = await when(client, jobs[0], lambda one: one.current.discarded)
        assert (status.state, status.generation) == (State.FAILED, 2)
        audited = await told(run, "audit", "--since", "1h")
        subjects = [one["subject"] for one in audited if one["kind"] == "plan"][:2]
        assert subjects[0].endswith(f": discard 40 dead letters, tenant {tenant}")
        assert subjects[1].endswith(f": replay 40 dead letters, tenant {tenant}")


async def test_the_client_replays_a_blocking_job_in_its_place_and_discards(run: Commands) -> None:
    application, entity = Application(), secrets.token_hex(4)
    async with working(run.settings, application.jobs) as client:
        job = await client.submit(Submission("blocks", entity=entity))
        behind = await client.submit([Submission("works", entity=entity) for _ in range(3)])
        await when(client, job, lambda status: status.state is State.FAILED)
        first = dead_letter_id(job, 1)
        assert await client.replay(first, by="ada", because="once more") == job
        assert (await client.status(job)).generation == 2
        await when(client, job, lambda status: status.state is State.FAILED)
        assert application.ran == [job, job]
        with pytest.raises(AlreadyFinished, match="was replayed by ada"):
            await client.discard(first, by="bob")
        await when(client, job, lambda one: (one.generation, one.state) == (2, State.FAILED))
        assert (await client.dead_letters.by_id(first)).closed is not None
        assert await client.discard(dead_letter_id(job, 2), by="ada", because="enough") == job
        for one in behind:
            await client.result(one, timeout=60)
        assert application.ran == [job, job, *behind]


async def test_a_running_job_and_one_that_nobody_has_seen_are_cancelled(run: Commands) -> None:
    application, entity = Application(), secrets.token_hex(4)
    async with working(run.settings, application.jobs) as client:
        job = await client.submit(Submission("stays", entity=entity))
        behind = await client.submit(Submission("works", entity=entity))
        await application.running.wait()
        await when(client, job, lambda status: status.state is State.PROCESSING)
        words = ("cancel", str(job), "--because", "not wanted")
        (found,) = await told(run, *words)
        assert (found["was"], found["now"], found["ours"]) == ("processing", "cancelled", True)
        assert await client.result(behind, timeout=60) is None
        again = await command(run, *words)
        assert again.out == f"{job} is cancelled and stays so\n"
        done = await client.cancel(behind)
        assert (done.was, done.now, done.ours) == (State.COMPLETE, State.COMPLETE, False)
    async with Client.connect(run.settings) as client:
        unseen = await client.submit(Submission("works"))
        assert (await client.cancel(unseen, by="ada")).was is State.QUEUED
    async with working(run.settings, application.jobs) as client:
        status = await when(client, unseen, lambda one: one.state is not State.QUEUED)
        assert status.state is State.CANCELLED
        await client.result(await client.submit(Submission("works")), timeout=60)
    assert unseen not in application.ran


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dead-letters", "replay", "--because", "x"], "say which dead letters to replay: either"),
        (["dead-letters", "discard", str(uuid4()), "--type", "a", "--because", "x"], "say which"),
        (["dead-letters", "replay", str(uuid4())], "say why, for whoever looks later: --because"),
        (["dead-letters", "replay", "7", "--because", "x"], "'7' is no dead letter id: an id has"),
        (["dead-letters", "show", "7"], "'7' is no dead letter id: an id has 32 hexadecimal"),
        (
            ["dead-letters", "replay", "--type", "a", "--because", "x", "--priority", "urgent"],
            "'urgent' is no priority; use one of critical, high, normal, low",
        ),
        (["cancel", "7", "--because", "x"], "'7' is no job id: an id has 32 hexadecimal digits"),
        (["cancel", str(uuid4())], "say why, for whoever looks later: --because TEXT"),
        (["cancel", str(uuid4()), "--because", " "], "--because is empty"),
        (["hold", "color", "red", "--because", "x"], "'color' cannot be held; hold one of type, "),
        (["hold", "lane", "urgent", "--because", "x"], "'urgent' is no priority; use one of"),
        (["hold", "type", "", "--because", "x"], "which type is meant is not said: it is empty"),
        (["hold", "type", "a", "--because", "x", "--until", "noon"], "'noon' is no time: write"),
        (
            ["hold", "type", "a", "--because", "x", "--until", "2100-01-01T00:00"],
            "'2100-01-01T00:00' has no time zone: write it as 2100-01-01T00:00Z or",
        ),
        (["hold", "type", "a", "--because", "x", "--until", "2013-01-01Z"], "'2013-01-01Z' is no"),
        (
            ["hold", "type", "a", "--because", "x", "--until", "2013-01-01T00:00Z"],
            "2013-01-01T00:00Z is over; name a time to come",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(run: Commands, words: list[str], said: str) -> None:
    assert run(*words).refusal.startswith(said)


def test_without_a_database_or_for_what_nobody_knows_there_is_one_line(run: Commands) -> None:
    letter, why = str(uuid4()), ("--because", "x")
    for words in (
        ["dead-letters", "list"],
        ["dead-letters", "replay", letter, *why],
        ["cancel", letter, *why],
        ["hold", "type", "a", *why],
        ["release", "type", "a", *why],
    ):
        assert run(*words, JOBS_DATABASE=None).refusal.startswith("JOBS_DATABASE is not set: ")
        away = run(*words, JOBS_DATABASE="postgresql://u:secret@127.0.0.1:9/x").refusal
        assert "127.0.0.1:9" in away
        assert "secret" not in away
    unknown = f"no dead letter has the id {letter}"
    assert run("dead-letters", "replay", letter, *why).refusal == unknown
    assert run("dead-letters", "show", letter).refusal == unknown


async def test_the_client_says_what_it_needs_and_what_it_does_not_know(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        with pytest.raises(DeadLetterNotFound):
            await client.replay(uuid4())
