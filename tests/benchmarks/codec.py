"""What does the contract cost a job? Run as `python -m tests.benchmarks.codec`.

Prints the microseconds of CPU of each hot operation, through fastavro and by hand, on the usual
record and on a full one.
"""

import timeit
from collections.abc import Callable
from dataclasses import replace
from time import process_time

from processor.adapters.avro import AvroCodec, load
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submissions import submission_fields, submission_of
from processor.domain.outcome import Success
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from tests.golden import expected

CALLS = 20_000
TIME = 1_800_000_000_000_000
REPEATS = 7


def microseconds(operation: Callable[[], object]) -> float:
    """Return the best of several rounds: the others measure the neighbours."""
    rounds = timeit.repeat(operation, timer=process_time, number=CALLS, repeat=REPEATS)
    return min(rounds) / CALLS * 1e6


def row(name: str, by_fastavro: Callable[[], object], by_hand: Callable[[], object]) -> None:
    slow, fast = microseconds(by_fastavro), microseconds(by_hand)
    print(f"{name:<28}{slow:>12.1f}{fast:>12.1f}")  # noqa: T201 - a report on the terminal


def submission_rows(name: str, record: SubmissionRecord, codec: AvroCodec) -> None:
    form = SingleObject(load())
    value = codec.encode_submission(record)
    row(
        f"read a submission, {name}",
        lambda: submission_of(form.read("Submission", value)),
        lambda: codec.decode_submission(value),
    )
    row(
        f"write a submission, {name}",
        lambda: form.write("Submission", submission_fields(record)),
        lambda: codec.encode_submission(record),
    )


def success_row(name: str, success: Success, codec: AvroCodec) -> None:
    row(
        f"write a success, {name}",
        lambda: codec.encode_outcome(success.at_length()),
        lambda: codec.encode_success(success),
    )


def main() -> None:
    codec = AvroCodec()
    usual = expected.SUBMISSIONS["Submission.1.usual"]
    full = replace(
        usual,
        tenant="acme",
        dedupe_key="2013-01-01/UA1545",
        caller=expected.CALLER,
        trace=expected.TRACE,
    )
    success = Success(
        usual, 1, Priority.HIGH, 3, 70_000, "host/1/0199", "r1", TIME, 1, 1, None, TIME + 900, b"7"
    )
    traced = replace(success, record=full, trace=expected.TRACE)
    print(f"{'µs':<28}{'fastavro':>12}{'by hand':>12}")  # noqa: T201 - a report on the terminal
    submission_rows("usual", usual, codec)
    submission_rows("full", full, codec)
    success_row("usual", success, codec)
    success_row("traced", traced, codec)


if __name__ == "__main__":
    main()
