"""Moved to processor.testing; stays until the last test has followed."""

from processor.testing.cluster import Acked, MemoryCluster
from processor.testing.member import Died, Gate, Hook, Member, this_process
from processor.testing.naming import CODEC, TIMELINE, TOPICS

__all__ = [
    "CODEC",
    "TIMELINE",
    "TOPICS",
    "Acked",
    "Died",
    "Gate",
    "Hook",
    "Member",
    "MemoryCluster",
    "this_process",
]
