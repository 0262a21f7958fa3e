"""Does a job keep its rules whatever comes, in whatever order?"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from processor.domain.errors import IllegalTransition
from processor.domain.events import ErrorDetail, Progressed, Queued, Reason
from processor.domain.job import (
    ENDED,
    Cancel,
    Command,
    Discard,
    Fail,
    Job,
    Start,
    State,
    Succeed,
    decide,
    evolve,
    next_attempt,
)
from processor.domain.outcome import Success
from processor.domain.priority import Priority
from tests import records

ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "no")

MAY = {
    "start": {"scheduled", "queued", "processing", "retrying"},
    "succeed": {"processing"},
    "retry": {"processing"},
    "fail": {"scheduled", "queued", "processing", "retrying"},
    "cancel": {"scheduled", "queued", "processing", "retrying"},
    "discard": {"failed"},
    "progress": {"processing"},
    "replay": {"failed"},
}
"""A second telling of the rules, by word of the design and not by the table under test."""


class JobMachine(RuleBasedStateMachine):
    """A job beside a model that only counts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.job: Job
        self.state = ""
        self.attempts = self.runs = 0
        self.generation = 1
        self.discarded = False

    @initialize(later=st.booleans())
    def submit(self, *, later: bool) -> None:
        self.job = evolve(None, self.queued(later=later))
        self.state = "scheduled" if later else "queued"

    def queued(self, *, later: bool = False) -> Queued:
        at = 10 if later else None
        return Queued(0, self.generation, Priority.LOW, 0, 0, "t", "e", not_before=at)

    def command(self, word: str, command: Command) -> bool:
        try:
            event = decide(command, self.job)
        except IllegalTransition:
            assert self.state not in MAY[word] or (word == "discard" and self.discarded)
            return False
        assert self.state in MAY[word]
        self.job = evolve(self.job, event)
        return True

    @rule(counted=st.booleans())
    def start(self, *, counted: bool) -> None:
        if self.command("start", Start(self.now, "w", "r", 0, counted=counted)):
            self.state = "processing"
            self.runs += 1
            self.attempts += counted or not self.attempts

    @rule()
    def succeed(self) -> None:
        if self.command("succeed", Succeed(self.now, b"1")):
            self.state = "complete"

    @rule()
    def retry(self) -> None:
        if self.command("retry", Fail(self.now, ERROR, retry_at=self.now + 5)):
            self.state = "retrying"

    @rule()
    def fail(self) -> None:
        if self.command("fail", Fail(self.now, ERROR)):
            self.state = "failed"

    @rule()
    def cancel(self) -> None:
        if self.command("cancel", Cancel(self.now, "ann")):
            self.state = "cancelled"

    @rule()
    def discard(self) -> None:
        if self.command("discard", Discard(self.now, "ann")):
            self.discarded = True

    @rule()
    def replay(self) -> None:
        self.generation += 1
        try:
            self.job = evolve(self.job, self.queued())
        except IllegalTransition:
            assert self.state not in MAY["replay"]
            self.generation -= 1
            return
        assert self.state in MAY["replay"]
        self.state = "queued"
        self.attempts = self.runs = 0
        self.discarded = False

    @rule()
    def progress(self) -> None:
        try:
            self.job = evolve(self.job, Progressed(self.now, 10.0))
        except IllegalTransition:
            assert self.state not in MAY["progress"]

    @rule()
    def wait(self) -> None:
        self.now += 1

    @invariant()
    def the_job_is_what_the_model_says(self) -> None:
        if not self.state:
            return
        told = (self.job.state, self.job.attempt, self.job.run, self.job.generation)
        assert told == (self.state, self.attempts, self.runs, self.generation)
        assert self.job.discarded is self.discarded
        assert (self.job.ended_at is not None) == (self.job.state in ENDED)
        assert (self.job.result is not None) == (self.job.state is State.COMPLETE)
        assert (self.job.due_at is not None) == (self.job.state is State.RETRYING)
        assert self.job.attempt <= self.job.run or not self.job.run


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@given(records.successes, st.integers(0, 100), st.sampled_from([State.QUEUED, State.SCHEDULED]))
def test_a_success_is_what_deciding_and_evolving_a_queued_job_comes_to(
    success: Success, attempts: int, state: State
) -> None:
    generation, lane = success.record.generation, success.lane
    job = Job(state, generation, lane, attempt=attempts, run=success.run - 1)
    start = Start(
        success.started_at,
        success.worker,
        success.release,
        success.partition,
        trace=success.trace,
    )
    started = decide(start, job)
    completed = decide(Succeed(success.completed_at, success.result), evolve(job, started))
    success = replace(success, attempt=next_attempt(attempts, counted=True))
    assert success.at_length().events == (started, completed)
