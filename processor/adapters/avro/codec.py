"""Which bytes stand for which domain value? The port `Codec` over Avro."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from processor.adapters.avro import submission_by_hand, success_by_hand
from processor.adapters.avro.breakers import breaker_changed_fields, breaker_changed_of
from processor.adapters.avro.dead_letters import (
    dead_letter_fields,
    dead_letter_of,
    job_failed_fields,
    job_failed_of,
)
from processor.adapters.avro.outcomes import live_fields, live_of, outcome_fields, outcome_of
from processor.adapters.avro.schemas import Schemas, load
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submissions import submission_fields, submission_of
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processor.domain.breaker import BreakerChanged
    from processor.domain.dead_letter import DeadLetterFact, JobFailed
    from processor.domain.outcome import Outcome, Success
    from processor.domain.status import Live
    from processor.domain.submission import SubmissionRecord


class AvroCodec:
    """Avro single-object encoding of every record.

    `written` sets the version that is written, per record; what is not named is written in its
    newest. Reads the schema files when made: make it once, before the loop runs.
    """

    def __init__(
        self, written: Mapping[str, int] | None = None, schemas: Schemas | None = None
    ) -> None:
        form = SingleObject(load() if schemas is None else schemas, written)
        self._form = form
        self._submission_by_hand = form.schema_written("Submission").mark == submission_by_hand.MARK
        self._success_by_hand = (
            form.schema_written("Outcome").mark == success_by_hand.MARK
            and form.schema_written("Started").mark == success_by_hand.STARTED_MARK
            and form.schema_written("Completed").mark == success_by_hand.COMPLETED_MARK
        )

    def encode_submission(self, record: SubmissionRecord) -> bytes:
        """A lane's record."""
        if self._submission_by_hand:
            try:
                return submission_by_hand.encode(record)
            except submission_by_hand.UNUSUAL:
                pass  # the general way writes it, or says what is wrong
        return self._form.write("Submission", submission_fields(record))

    def decode_submission(self, value: bytes) -> SubmissionRecord:
        """A lane's record; raises `Undecodable`."""
        if value.startswith(submission_by_hand.MARK):
            try:
                return submission_by_hand.decode(value)
            except submission_by_hand.UNUSUAL:
                pass  # the general way reads it, or says what is wrong
        fields = self._form.read("Submission", value)
        with _values_of_ours("Submission"):
            return submission_of(fields)

    def encode_outcome(self, outcome: Outcome) -> bytes:
        """What the ledger stores and the journal carries."""
        return self._form.write("Outcome", outcome_fields(self._form, outcome))

    def encode_success(self, success: Success) -> bytes:
        """The bytes of the same outcome at length."""
        if self._success_by_hand:
            try:
                return success_by_hand.encode(success)
            except success_by_hand.UNUSUAL:
                pass  # the general way writes it, or says what is wrong
        return self.encode_outcome(success.at_length())

    def encode_live(self, live: Live) -> bytes:
        """What a running job tells, for the journal."""
        return self._form.write("Live", live_fields(self._form, live))

    def decode_journal(self, value: bytes) -> Outcome | Live:
        """A record of the journal; raises `Undecodable`."""
        if self._form.record_of(value) == "Live":
            fields = self._form.read("Live", value)
            with _values_of_ours("Live"):
                return live_of(self._form, fields)
        fields = self._form.read("Outcome", value)
        with _values_of_ours("Outcome"):
            return outcome_of(self._form, fields)

    def encode_dead_letter(self, fact: DeadLetterFact) -> bytes:
        """A fact about a dead letter."""
        return self._form.write("DeadLetter", dead_letter_fields(fact))

    def decode_dead_letter(self, value: bytes) -> DeadLetterFact:
        """A fact about a dead letter; raises `Undecodable`."""
        fields = self._form.read("DeadLetter", value)
        with _values_of_ours("DeadLetter"):
            return dead_letter_of(fields)

    def encode_job_failed(self, event: JobFailed) -> bytes:
        """The EventBus's news of a failure."""
        return self._form.write("JobFailed", job_failed_fields(event))

    def decode_job_failed(self, value: bytes) -> JobFailed:
        """The EventBus's news of a failure; raises `Undecodable`."""
        fields = self._form.read("JobFailed", value)
        with _values_of_ours("JobFailed"):
            return job_failed_of(fields)

    def encode_breaker_changed(self, event: BreakerChanged) -> bytes:
        """The EventBus's news of a breaker."""
        return self._form.write("BreakerChanged", breaker_changed_fields(event))

    def decode_breaker_changed(self, value: bytes) -> BreakerChanged:
        """The EventBus's news of a breaker; raises `Undecodable`."""
        fields = self._form.read("BreakerChanged", value)
        with _values_of_ours("BreakerChanged"):
            return breaker_changed_of(fields)


@contextmanager
def _values_of_ours(record: str) -> Iterator[None]:
    try:
        yield
    except ValueError as fault:
        raise Undecodable(f"the bytes are no {record}: {fault}") from fault
