"""Are ids, keys and partitions what they have always been?

Every value here was made without our code: by coreutils' sha1sum and b2sum over the bytes spelt out
beside it, or published by others. A rolling upgrade depends on each.
"""

import uuid
from uuid import UUID

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_the_client
from hypothesis import given
from hypothesis import strategies as st

from processor.domain import ids
from processor.domain.ids import JobId
from processor.domain.submission import SubmissionRecord
from tests import records

JOB = JobId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))

# Published with Apache Kafka's Java client (UtilsTest.testMurmur2), as signed numbers.
MURMUR2 = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize("key", MURMUR2)
def test_murmur2_is_that_of_the_java_client(key: str) -> None:
    assert ids.murmur2(key.encode()) == MURMUR2[key] % 2**32


@given(st.binary(max_size=300))
def test_murmur2_is_that_of_other_clients(key: bytes) -> None:
    assert ids.murmur2(key) == murmur2_of_the_client(key) & 0xFFFFFFFF


def test_the_partition_of_an_entity_is_the_one_that_the_java_client_would_choose() -> None:
    partitions = {key: ids.partition_of(key, 12) for key in MURMUR2}
    assert partitions == {key: (number & 0x7FFFFFFF) % 12 for key, number in MURMUR2.items()}
    assert list(partitions.values()) == [0, 6, 8, 11, 5, 3]


def test_a_name_is_encoded_part_by_part_with_its_length() -> None:
    assert ids.encode_name("ab", None, "", 7, b"\0", "ü").hex(" ") == (
        "00 00 00 02 61 62 ff ff ff ff 00 00 00 00 00 00 00 01 37 00 00 00 01 00 00 00 00 02 c3 bc"
    )


def test_the_namespaces_never_change() -> None:
    assert [
        str(namespace)
        for namespace in (
            ids.DEDUPE_NAMESPACE,
            ids.EVENT_NAMESPACE,
            ids.DEAD_LETTER_NAMESPACE,
            ids.FOLLOW_UP_NAMESPACE,
            ids.UNDECODABLE_NAMESPACE,
            ids.BREAKER_NAMESPACE,
        )
    ] == [f"6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a0{number}" for number in range(1, 7)]


def test_uuid5_is_that_of_rfc_9562() -> None:
    made = ids.uuid5(uuid.NAMESPACE_DNS, b"www.example.com")
    assert made == UUID("2ed6657d-e927-568b-95e1-2665a8aea6a2")
    assert made == uuid.uuid5(uuid.NAMESPACE_DNS, "www.example.com")


def test_uuid7_is_that_of_rfc_9562() -> None:
    made = ids.uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)
    assert made == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def of_digest(sha1: str) -> UUID:
    """Make the UUIDv5 of a digest: its first half, but for version and variant."""
    return UUID(f"{sha1[:12]}5{sha1[13:16]}{int(sha1[16], 16) & 3 | 8:x}{sha1[17:32]}")


def test_the_id_of_a_dedupe_key() -> None:
    # namespace …01, 00000004 acme, 0000000d flight.landed, ffffffff, 00000001 k
    digest = of_digest("5719054c4553daa2cf07052baf2947bcd7516015")
    made = ids.job_of_dedupe_key("acme", "flight.landed", None, "k")
    assert made == digest == UUID("5719054c-4553-5aa2-8f07-052baf2947bc")


def test_the_id_of_a_record_that_cannot_be_decoded() -> None:
    # namespace …05, 00000002 c1, 00000008 jobs.low, 00000001 7, 00000002 42
    digest = of_digest("d6fe4afba9a5157cd9eec05e85849a3fa959d499")
    assert ids.job_of_undecodable("c1", "jobs.low", 7, 42) == digest


def test_the_id_of_a_follow_up() -> None:
    # namespace …04, 00000010 and the sixteen bytes of the job, 00000001 2, 00000001 5
    digest = of_digest("ae5bf63ca8a74fb296ad8f5d52c1cf511af0e086")
    assert ids.follow_up_of(JOB, 2, 5) == digest


def test_the_id_of_an_event() -> None:
    # namespace …02, 00000010 and the sixteen bytes of the job, 00000001 2, 00000001 3, 00000001 4
    digest = of_digest("f7649b55439da3f4d525a4d827f1866c40b3faa1")
    assert ids.event_id(JOB, 2, 3, 4) == digest


def test_the_id_of_a_dead_letter() -> None:
    # namespace …03, 00000010 and the sixteen bytes of the job, 00000001 2
    digest = of_digest("3a2da95cdf50e2d6786a09a99efd77a5b9195473")
    assert ids.dead_letter_id(JOB, 2) == digest


def test_the_id_of_the_news_of_a_breaker() -> None:
    # namespace …06, 00000001 7, 00000010 1357034400123456, 00000004 open
    digest = of_digest("f99dc57c9ef05e700ef6761ed066c276ebfc524c")
    assert ids.breaker_event_id(7, 1_357_034_400_123_456, "open") == digest


def test_the_lock_key_of_an_entity() -> None:
    # b2sum -l 64 of: 00000004 acme, 00000006 N14228; of: ffffffff, 00000006 N14228
    assert ids.entity_key("acme", "N14228") == 0x4F51B6DD6341E3C9
    assert ids.entity_key(None, "N14228") == 0x12B1691351591E2D


@given(records.submissions)
def test_a_lock_key_is_one_that_postgresql_takes(submission: SubmissionRecord) -> None:
    assert -(2**63) <= submission.entity_key < 2**63
    assert submission.entity_key == ids.entity_key(submission.tenant, submission.entity)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1), st.integers(1, 2**48 - 1))
def test_an_id_made_later_is_greater(milliseconds: int, randomness: int, later: int) -> None:
    earlier = ids.uuid7(milliseconds, randomness)
    assert (earlier.version, earlier.variant) == (7, uuid.RFC_4122)
    after = min(milliseconds + later, 2**48 - 1)
    assert after == milliseconds or ids.uuid7(after, 0) > earlier
