"""How are jobs, events, dead letters and entities named?"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from aiokafka.partitioner import murmur2 as kafkas_murmur2
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.ids import (
    DEDUPE_NAMESPACE,
    JobId,
    dead_letter_id,
    encode_name,
    entity_key,
    event_id,
    follow_up_of,
    job_of_dedupe_key,
    job_of_undecodable,
    murmur2,
    partition_of,
    uuid5,
    uuid7,
)

JOB = JobId(uuid.UUID(int=7))
parts = st.lists(st.one_of(st.none(), st.text(), st.binary(), st.integers(0, 9)), max_size=4)


@given(st.text())
def test_a_name_gets_the_id_that_the_standard_library_gives_it(name: str) -> None:
    assert uuid5(DEDUPE_NAMESPACE, name.encode()) == uuid.uuid5(DEDUPE_NAMESPACE, name)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_a_time_ordered_id_is_of_version_seven_and_begins_with_its_time(
    milliseconds: int, randomness: int
) -> None:
    identity = uuid7(milliseconds, randomness)
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    assert int.from_bytes(identity.bytes[:6]) == milliseconds
    low, high = identity.int & 0x3FFF_FFFF_FFFF_FFFF, identity.int >> 64 & 0xFFF
    assert high << 62 | low == randomness


def test_later_ids_sort_after_earlier_ones() -> None:
    now = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert uuid7(now, 2**74 - 1) < uuid7(now + 1, 0)


def as_bytes(part: str | bytes | int | None) -> bytes | None:
    if part is None or isinstance(part, bytes):
        return part
    return str(part).encode()


@given(parts, parts)
def test_two_names_are_encoded_alike_only_if_their_parts_are(
    one: list[str | bytes | int | None], other: list[str | bytes | int | None]
) -> None:
    same = [*map(as_bytes, one)] == [*map(as_bytes, other)]
    assert (encode_name(*one) == encode_name(*other)) == same


def test_a_dedupe_key_is_scoped_by_tenant_type_and_the_entity_as_given() -> None:
    scopes = [
        ("acme", "t", "e", "k"),
        (None, "t", "e", "k"),
        ("", "t", "e", "k"),
        ("acme", "te", "", "k"),
        ("acme", "t", None, "ek"),
        ("acme", "t", "e", "k2"),
    ]
    assert len({job_of_dedupe_key(*scope) for scope in scopes}) == len(scopes)
    assert job_of_dedupe_key(*scopes[0]) == job_of_dedupe_key("acme", "t", "e", "k")


def test_every_kind_of_id_has_a_namespace_of_its_own() -> None:
    ids = {
        follow_up_of(JOB, 1, 0),
        dead_letter_id(JOB, 1),
        event_id(JOB, 1, 0, 0),
        job_of_undecodable("c", "t", 1, 0),
        follow_up_of(JOB, 1, 1),
        dead_letter_id(JOB, 2),
        event_id(JOB, 1, 1, 0),
        event_id(JOB, 1, 0, 1),
        job_of_undecodable("c", "t", 0, 1),
    }
    assert len(ids) == 9
    assert {one.version for one in ids} == {5}


@given(st.one_of(st.none(), st.text()), st.text())
def test_an_entitys_key_fits_an_advisory_lock_and_tells_tenants_apart(
    tenant: str | None, entity: str
) -> None:
    assert -(2**63) <= entity_key(tenant, entity) < 2**63
    assert entity_key(tenant, entity) != entity_key(f"{tenant}x", entity)


@given(st.binary(max_size=40))
def test_our_hash_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == kafkas_murmur2(key) & 0xFFFFFFFF


@pytest.mark.parametrize("partitions", [1, 12])
@given(entity=st.text())
def test_an_entity_always_goes_to_the_same_one_of_the_partitions(
    partitions: int, entity: str
) -> None:
    assert partition_of(entity, partitions) == partition_of(entity, partitions)
    assert 0 <= partition_of(entity, partitions) < partitions
