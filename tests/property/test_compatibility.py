"""Can every version of a record read every other, and would we see it if not?"""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given

from processor.adapters.avro import AvroCodec, Schema, Schemas, load, schemas_folder
from processor.adapters.avro.outcomes import outcome_fields
from processor.adapters.avro.schemas import parse
from processor.adapters.avro.single_object import SingleObject
from processor.domain.events import Unknown
from processor.domain.outcome import Outcome, Success
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Undecodable, UnknownSchema
from tests import records
from tests.compatibility import faults, samples
from tests.property.test_hostile_bytes import good, spoilt

Change = Callable[[dict[str, Any]], object]
RELEASED = load()
EVENT = json.dumps(
    {
        "type": "record",
        "name": "Snoozed",
        "namespace": "jobs",
        "fields": [{"name": "at", "type": "long"}],
    }
)


def next_version(record: str, change: Change) -> Schema:
    """Make a version 2 that was never released."""
    definition = json.loads((schemas_folder() / f"{record}.1.avsc").read_text(encoding="utf-8"))
    change(definition)
    return parse(record, 2, json.dumps(definition))


def add(field: dict[str, Any], place: int | None = None) -> Change:
    def change(definition: dict[str, Any]) -> None:
        fields = definition["fields"]
        fields.insert(len(fields) if place is None else place, field)

    return change


def drop(name: str) -> Change:
    def change(definition: dict[str, Any]) -> None:
        definition["fields"] = [one for one in definition["fields"] if one["name"] != name]

    return change


def alter(field_name: str, **said: str) -> Change:
    def change(definition: dict[str, Any]) -> None:
        for field in definition["fields"]:
            if field["name"] == field_name:
                field.update(said)

    return change


DEFAULTED = {"name": "region", "type": ["null", "string"], "default": None}
GOOD_CHANGES = {
    "a field with a default": ("Submission", add(DEFAULTED)),
    "other words about a field": ("DeadLetter", alter("place", doc="said otherwise")),
    "a field within an outcome": ("Outcome", add({"name": "cost", "type": "int", "default": 0})),
}
BAD_CHANGES = {
    "a field without a default": ("Submission", add({"name": "region", "type": "string"})),
    "a field before those that are sliced": ("Outcome", add(DEFAULTED, place=1)),
    "a removed field": ("JobFailed", drop("attempts")),
    "a removed field that had a default": ("DeadLetter", drop("because")),
    "a renamed field": ("Started", alter("run", name="start")),
    "a renamed field with a default": ("Submission", alter("attempts", name="tries")),
    "another type": ("Completed", alter("result", type="long")),
    "a narrower type": ("Failed", alter("at", type="int")),
    "another record": ("Live", lambda definition: definition.update(name="Alive")),
    "a removed inner field": (
        "Retrying",
        lambda definition: definition["fields"][-1]["type"]["fields"].pop(),
    ),
}


def test_every_two_versions_of_a_record_read_each_other() -> None:
    pairs = [
        pair
        for versions in RELEASED.records.values()
        for pair in combinations_with_replacement(versions, 2)
    ]
    assert len(pairs) >= len(RELEASED.records)
    found = {(old.record, old.version, new.version): faults(old, new) for old, new in pairs}
    assert {pair: fault for pair, fault in found.items() if fault} == {}


def test_the_samples_take_every_branch_of_every_union() -> None:
    seen = samples(RELEASED.newest("Submission").parsed, {})
    for name in ("tenant", "batch", "trace", "caller", "replay"):
        assert {one[name] is None for one in seen} == {True, False}


@pytest.mark.parametrize("change", GOOD_CHANGES)
def test_a_change_by_the_rules_passes_the_check(change: str) -> None:
    record, made = GOOD_CHANGES[change]
    assert faults(RELEASED.newest(record), next_version(record, made)) == []


@pytest.mark.parametrize("change", BAD_CHANGES)
def test_a_change_against_the_rules_is_found(change: str) -> None:
    record, made = BAD_CHANGES[change]
    assert faults(RELEASED.newest(record), next_version(record, made)) != []


def test_reordered_symbols_of_an_enum_are_read_by_name_and_a_new_one_is_found() -> None:
    def enum(*symbols: str) -> Schema:
        kind = {"type": "enum", "name": "Kind", "symbols": symbols}
        fields = [{"name": "kind", "type": kind}]
        return parse("Made", 1, json.dumps({"type": "record", "name": "Made", "fields": fields}))

    assert faults(enum("A", "B"), enum("B", "A")) == []
    assert faults(enum("A", "B"), enum("A", "B", "C")) != []


def both(record: str) -> Schemas:
    known = [schema for versions in RELEASED.records.values() for schema in versions]
    return Schemas([*known, next_version(record, add(DEFAULTED))])


@given(records.submissions | records.usual_submissions)
def test_a_reader_deployed_first_reads_both_versions_and_writes_the_older(
    submission: SubmissionRecord,
) -> None:
    older, newer = AvroCodec(), AvroCodec(schemas=both("Submission"))
    lagging = AvroCodec({"Submission": 1}, both("Submission"))
    written = newer.encode_submission(submission)
    assert lagging.encode_submission(submission) == older.encode_submission(submission)
    assert written != older.encode_submission(submission)
    for reader in (newer, lagging):
        assert reader.decode_submission(older.encode_submission(submission)) == submission
        assert reader.decode_submission(written) == submission
    with pytest.raises(UnknownSchema):
        older.decode_submission(written)


@given(records.submissions)
def test_an_older_version_is_read_with_the_defaults_of_the_newest(
    submission: SubmissionRecord,
) -> None:
    older = AvroCodec().encode_submission(submission)
    assert SingleObject(both("Submission")).read("Submission", older)["region"] is None


LATER = AvroCodec(
    schemas=Schemas(
        [
            *[schema for versions in RELEASED.records.values() for schema in versions],
            *[next_version(record, add(DEFAULTED)) for record in RELEASED.records],
        ]
    )
)


@given(spoilt(good))
def test_a_spoilt_record_of_an_older_version_is_undecodable_at_worst(value: bytes) -> None:
    for read in (
        LATER.decode_submission,
        LATER.decode_journal,
        LATER.decode_dead_letter,
        LATER.decode_job_failed,
    ):
        with suppress(Undecodable):
            read(value)


@given(records.usual_outcomes)
def test_a_known_kind_in_an_unknown_version_is_not_passed_over(outcome: Outcome) -> None:
    newer = AvroCodec(schemas=both("Completed"))
    written = newer.encode_outcome(outcome)
    assert newer.decode_journal(written) == outcome
    with pytest.raises(UnknownSchema):
        AvroCodec().decode_journal(written)


@given(records.usual_successes)
def test_a_success_too_is_written_in_the_version_that_is_set(success: Success) -> None:
    newer = AvroCodec(schemas=both("Completed"))
    assert newer.encode_success(success) == newer.encode_outcome(success.at_length())
    assert newer.encode_success(success) != AvroCodec().encode_success(success)


@given(records.usual_outcomes, records.times)
def test_an_old_reader_passes_on_a_new_kind_of_event(outcome: Outcome, at: int) -> None:
    known = [schema for versions in RELEASED.records.values() for schema in versions]
    later = SingleObject(Schemas([*known, parse("Snoozed", 1, EVENT)]))
    body = later.write("Snoozed", {"at": at})
    fields = outcome_fields(later, outcome)
    fields["events"].insert(1, {"kind": "Snoozed", "body": body})
    written = later.write("Outcome", {**fields, "upto": len(fields["events"])})
    old = AvroCodec()
    read = old.decode_journal(written)
    assert isinstance(read, Outcome)
    assert read.events[1] == Unknown("Snoozed", body)
    assert old.encode_outcome(read) == written
