"""How do domain values become the bytes that topics and tables hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processor.domain.breaker import BreakerChanged
    from processor.domain.dead_letter import DeadLetterFact, JobFailed
    from processor.domain.outcome import Outcome, Success
    from processor.domain.status import Live
    from processor.domain.submission import SubmissionRecord


class Undecodable(Exception):  # noqa: N818 - says what the bytes are
    """The bytes are no record of ours, or a corrupt one."""


class UnknownSchema(Undecodable):
    """The bytes are marked by a schema that this release does not carry: not corruption."""

    def __init__(self, fingerprint: bytes) -> None:
        super().__init__(f"no schema with the fingerprint {fingerprint.hex()} is known")
        self.fingerprint = fingerprint


class Codec(Protocol):
    """Avro single-object encoding of every record; each decode raises `Undecodable`."""

    def encode_submission(self, record: SubmissionRecord) -> bytes: ...
    def decode_submission(self, value: bytes) -> SubmissionRecord: ...
    def encode_outcome(self, outcome: Outcome) -> bytes: ...
    def encode_success(self, success: Success) -> bytes:
        """The bytes of the same outcome at length."""
        ...

    def encode_live(self, live: Live) -> bytes: ...

    def decode_journal(self, value: bytes) -> Outcome | Live:
        """Decode a record of the journal, which holds outcomes and ephemeral ones."""
        ...

    def encode_dead_letter(self, fact: DeadLetterFact) -> bytes: ...
    def decode_dead_letter(self, value: bytes) -> DeadLetterFact: ...
    def encode_job_failed(self, event: JobFailed) -> bytes: ...
    def decode_job_failed(self, value: bytes) -> JobFailed: ...
    def encode_breaker_changed(self, event: BreakerChanged) -> bytes: ...
    def decode_breaker_changed(self, value: bytes) -> BreakerChanged: ...
