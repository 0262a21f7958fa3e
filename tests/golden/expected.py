"""What do the golden bytes of every released version say?"""

from uuid import UUID

from processor.domain.breaker import BreakerChanged, BreakerState
from processor.domain.dead_letter import AttemptError, DeadLetterFact, DeadLetterKind, JobFailed
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Progressed,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import Live
from processor.domain.submission import Caller, Replay, SubmissionRecord, Trace

JOB = JobId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
PARENT = JobId(UUID("01890a5d-ac96-7000-8000-000000000001"))
BATCH = UUID("01890a5d-ac96-7000-8000-00000000000b")
DEAD_LETTER = UUID("01890a5d-ac96-5000-8000-00000000000d")
EVENT_ID = UUID("01890a5d-ac96-5000-8000-00000000000e")
AT = 1_357_034_400_123_456
TRACE = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1")
CALLER = Caller("ann", "s-1", "req-7", "192.0.2.1", "Mozilla/5.0 (Zürich)")
ERROR = ErrorDetail(
    Reason.PARSE_ERROR,
    "ValidationError",
    "two fields do not fit",
    "flights:landed:12",
    ("air_time", "legs.0.tail"),
    "Traceback …",
)

SUBMISSIONS = {
    "Submission.1": SubmissionRecord(
        job=JOB,
        type="flight.landed",
        payload=b'{"tail":"N14228","air_time":227}',
        entity="N14228",
        priority=Priority.HIGH,
        submitted_at=AT,
        generation=2,
        tenant="acme",
        dedupe_key="2013-01-01/UA1545",
        batch=BATCH,
        not_before=AT + 60_000_000,
        attempts=3,
        caller=CALLER,
        trace=TRACE,
        parent=PARENT,
        replay=Replay(DEAD_LETTER, "bob", "fixed the parser", in_place=True),
    ),
    "Submission.1.usual": SubmissionRecord(
        job=JOB,
        type="flight.landed",
        payload=b'{"tail":"N14228","air_time":227}',
        entity="N14228",
        priority=Priority.NORMAL,
        submitted_at=AT,
        batch=BATCH,
    ),
}
BODIES: dict[str, Durable] = {
    "Started.1": Started(AT, 2, 3, "worker-a", "2013.1", 7, Priority.LOW, TRACE),
    "Retrying.1": Retrying(AT, 2, ERROR, AT + 4_000_000),
    "Completed.1": Completed(AT, b'{"minutes":227}'),
    "Failed.1": Failed(AT, 5, Reason.HANDLER_FAILED, ERROR),
    "Cancelled.1": Cancelled(AT, "ann", "not needed"),
    "Discarded.1": Discarded(AT, "bob", "known, harmless"),
}
JOURNAL: dict[str, Outcome | Live] = {
    "Outcome.1": Outcome(
        job=JOB,
        generation=2,
        timeline=3,
        type="flight.landed",
        entity="N14228",
        tenant="acme",
        lane=Priority.LOW,
        partition=7,
        offset=336_776,
        events=(
            BODIES["Started.1"],
            Unknown("Snoozed", b"\xc3\x01\0\1\2\3\4\5\6\7later"),
            BODIES["Failed.1"],
        ),
        batch=BATCH,
        request_id="req-7",
        submission=b"the submission, whole",
        follow_ups=(b"one", b""),
    ),
    "Outcome.1.usual": Outcome(
        job=JOB,
        generation=1,
        timeline=1,
        type="flight.landed",
        entity="N14228",
        tenant=None,
        lane=Priority.NORMAL,
        partition=7,
        offset=336_776,
        events=(
            Started(AT, 1, 1, "worker-a", "2013.1", 7, Priority.NORMAL),
            Completed(AT + 5_000, b'{"minutes":227}'),
        ),
        batch=BATCH,
    ),
    "Live.1": Live(
        JOB,
        2,
        Started(AT, 2, 3, "worker-a", "2013.1", 7, Priority.LOW),
        Progressed(AT + 1, 12.5, "counted"),
    ),
}
DEAD_LETTERS = {
    "DeadLetter.1": DeadLetterFact(
        kind=DeadLetterKind.DIED,
        job=JOB,
        generation=2,
        at=AT,
        tenant="acme",
        entity="N14228",
        type="flight.landed",
        lane=Priority.CRITICAL,
        reason=Reason.WORKER_LOST,
        place="flights:landed:12",
        errors=(AttemptError(AT - 1, 1, ERROR), AttemptError(AT, 2, ERROR)),
        submission=b"the submission, whole",
        progress="50 %",
        caller=CALLER,
        trace=TRACE,
        release="2013.1",
        worker="worker-a",
        topic="jobs.critical",
        partition=7,
        offset=336_776,
        started_at=AT - 2,
        actor="",
        because="",
    ),
    "DeadLetter.1.replayed": DeadLetterFact(
        DeadLetterKind.REPLAYED, JOB, 2, AT, actor="bob", because="fixed the parser"
    ),
}
FAILURES = {
    "JobFailed.1": JobFailed(
        job=JOB,
        generation=2,
        type="flight.landed",
        tenant="acme",
        entity="N14228",
        reason=Reason.ATTEMPT_TIMEOUT,
        error=ERROR,
        attempts=5,
        dead_letter=DEAD_LETTER,
        batch=BATCH,
        request_id="req-7",
        trace=TRACE,
        at=AT,
        event_id=EVENT_ID,
    ),
}
BREAKERS = {
    "BreakerChanged.1": BreakerChanged(
        state=BreakerState.OPEN,
        type="flight.landed",
        release="2013.2",
        hold=7,
        because="10 jobs failed one after the other, the last with ValueError at flights:landed:12",
        by="the breaker",
        at=AT + 1,
        opened_at=AT,
    ),
}
