"""Which values can the records of the contract hold? Strategies for every one of them."""

from hypothesis import strategies as st

from processor.domain.breaker import BreakerChanged, BreakerState
from processor.domain.dead_letter import AttemptError, DeadLetterFact, DeadLetterKind, JobFailed
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    ErrorDetail,
    Failed,
    Progressed,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome, Success
from processor.domain.priority import Priority
from processor.domain.status import Live
from processor.domain.submission import Caller, Replay, SubmissionRecord, Trace

KNOWN_KINDS = {"Started", "Retrying", "Completed", "Failed", "Cancelled", "Discarded"}

texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(0, 300).map("x".__mul__),  # lengths of one, two and three bytes
    st.just("ü" * 4100),
)
names = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60),
    st.integers(0, 255).map("n".__mul__),
)
blobs = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([0, 62, 63, 64, 65, 8191, 8192, 70_000]).map(bytes),
)
times = st.one_of(
    st.integers(1_300_000_000_000_000, 2_200_000_000_000_000),
    st.integers(0, 253_402_300_799_999_999),
)
counts = st.one_of(st.integers(0, 70), st.integers(-1, 2**31 - 1))
offsets = st.one_of(st.integers(-1, 20_000), st.integers(0, 2**62))
lanes = st.sampled_from(Priority)
jobs = st.uuids().map(JobId)
reasons = st.sampled_from(Reason)

traces = st.builds(Trace, texts, texts)
callers = st.builds(Caller, *[st.none() | texts] * 5)
replays = st.builds(Replay, st.uuids(), texts, texts, st.booleans())
errors = st.builds(
    ErrorDetail, reasons, texts, texts, texts, st.lists(texts, max_size=3).map(tuple), texts
)

submissions = st.builds(
    SubmissionRecord,
    job=jobs,
    type=names,
    payload=blobs,
    entity=names,
    priority=lanes,
    submitted_at=times,
    generation=st.integers(1, 70) | st.integers(1, 32_767),
    tenant=st.none() | names,
    dedupe_key=st.none() | names,
    batch=st.none() | st.uuids(),
    not_before=st.none() | times,
    attempts=st.none() | st.integers(1, 2**31 - 1),
    caller=st.just(Caller()) | callers,
    trace=st.none() | traces,
    parent=st.none() | jobs,
    replay=st.none() | replays,
)
usual_submissions = st.builds(
    SubmissionRecord,
    job=jobs,
    type=names,
    payload=blobs,
    entity=names,
    priority=lanes,
    submitted_at=times,
    tenant=st.none() | names,
    dedupe_key=st.none() | names,
    batch=st.none() | st.uuids(),
    caller=st.just(Caller()) | callers,
    trace=st.none() | traces,
)

started = st.builds(Started, times, counts, counts, texts, texts, counts, lanes, st.none() | traces)
completed = st.builds(Completed, times, blobs)
unknown = st.builds(Unknown, texts.filter(lambda kind: kind not in KNOWN_KINDS), blobs)
events = st.one_of(
    started,
    completed,
    unknown,
    st.builds(Retrying, times, counts, errors, times),
    st.builds(Failed, times, counts, reasons, errors),
    st.builds(Cancelled, times, texts, texts),
    st.builds(Discarded, times, texts, texts),
)


small = st.integers(0, 8191)
recent = st.integers(2**48, 2**54 - 1)
"""Times of eight bytes."""
usual_traces = st.builds(Trace, names, names)
usual_started = st.builds(
    Started, times, small, small, names, names, small, lanes, st.none() | usual_traces
)
usual_events = st.tuples(usual_started, completed)


def _outcomes(
    happened: st.SearchStrategy[tuple[object, ...]],
    numbers: st.SearchStrategy[int],
    submission: st.SearchStrategy[bytes | None],
    follow_ups: st.SearchStrategy[tuple[bytes, ...]],
) -> st.SearchStrategy[Outcome]:
    return st.builds(
        Outcome,
        job=jobs,
        generation=numbers,
        timeline=numbers,
        type=names,
        entity=names,
        tenant=st.none() | names,
        lane=lanes,
        partition=numbers,
        offset=offsets,
        events=happened,
        batch=st.none() | st.uuids(),
        request_id=st.none() | names,
        submission=submission,
        follow_ups=follow_ups,
    )


outcomes = _outcomes(
    st.lists(events, max_size=5).map(tuple),
    counts,
    st.none() | blobs,
    st.lists(blobs, max_size=3).map(tuple),
)
usual_outcomes = _outcomes(usual_events, small, st.none(), st.just(()))

successes = st.builds(
    Success,
    record=submissions | usual_submissions,
    timeline=small | counts,
    lane=lanes,
    partition=small,
    offset=offsets,
    worker=names,
    release=names,
    started_at=times,
    attempt=small | counts,
    run=small,
    trace=st.none() | traces,
    completed_at=times,
    result=blobs,
)
usual_successes = st.builds(
    Success,
    record=usual_submissions,
    timeline=small,
    lane=lanes,
    partition=small,
    offset=offsets,
    worker=names,
    release=names,
    started_at=recent,
    attempt=small,
    run=small,
    trace=st.none() | usual_traces,
    completed_at=recent,
    result=blobs,
)

lives = st.builds(
    Live,
    jobs,
    counts,
    started,
    st.none() | st.builds(Progressed, times, st.floats(allow_nan=False), texts),
)
dead_letters = st.builds(
    DeadLetterFact,
    kind=st.sampled_from(DeadLetterKind),
    job=jobs,
    generation=counts,
    at=times,
    tenant=st.none() | texts,
    entity=texts,
    type=texts,
    lane=st.none() | lanes,
    reason=st.none() | reasons,
    place=texts,
    errors=st.lists(st.builds(AttemptError, times, counts, errors), max_size=3).map(tuple),
    submission=st.none() | blobs,
    progress=texts,
    caller=st.none() | callers,
    trace=st.none() | traces,
    release=texts,
    worker=texts,
    topic=texts,
    partition=counts,
    offset=offsets,
    started_at=st.none() | times,
    actor=texts,
    because=texts,
)
failures = st.builds(
    JobFailed,
    job=jobs,
    generation=counts,
    type=texts,
    tenant=st.none() | texts,
    entity=texts,
    reason=reasons,
    error=errors,
    attempts=counts,
    dead_letter=st.uuids(),
    batch=st.none() | st.uuids(),
    request_id=st.none() | texts,
    trace=st.none() | traces,
    at=times,
    event_id=st.uuids(),
)
breaker_changes = st.builds(
    BreakerChanged,
    state=st.sampled_from(BreakerState),
    type=texts,
    release=texts,
    hold=st.integers(1, 2**63 - 1),
    because=texts,
    by=texts,
    at=times,
    opened_at=times,
)
