"""Does every embedded broker get an id that Kafka's own tool can read?"""

from __future__ import annotations

from uuid import UUID

from processor.local.kafka import cluster_id

LEADING_DASH = UUID(int=0xF8 << 120 | 1)
"""Base64 of it begins with a dash, which a command line takes for an option."""


def test_no_cluster_id_begins_with_a_dash() -> None:
    usual = UUID(int=1)
    made = iter((LEADING_DASH, usual))
    assert cluster_id(lambda: next(made)) == "AAAAAAAAAAAAAAAAAAAAAQ"
