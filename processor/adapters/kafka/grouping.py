"""With which settings does a consumer of ours belong to a group?"""

from __future__ import annotations

from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from processor.adapters.kafka.connection import CLIENT_ID


def of_group(
    address: str,
    group: str,
    *,
    session: float,
    heartbeat: float,
    rebalance: float,
    poll: float,
) -> dict[str, Any]:
    """What all members have in common; times are in seconds. Nothing is committed by itself."""
    return {
        "bootstrap_servers": address,
        "client_id": CLIENT_ID,
        "group_id": group,
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "enable_auto_commit": False,
        "session_timeout_ms": int(session * 1000),
        "heartbeat_interval_ms": int(heartbeat * 1000),
        "rebalance_timeout_ms": int(rebalance * 1000),
        "max_poll_interval_ms": int(poll * 1000),
        # A join waits as long as its slowest member; a time-out below that would repeat it.
        "request_timeout_ms": int((rebalance + 30.0) * 1000),
        "metadata_max_age_ms": 60_000,
    }
