"""How much CPU and memory does each process take, with all that it started?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    import asyncpg

    from processor.settings import Settings

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """The servers' processes, as far as they run on this machine."""

    servers: Mapping[str, int]

    @classmethod
    async def of(cls, settings: Settings, connection: asyncpg.Connection[Any]) -> Self:
        """Find them by the connection to the one and the port of the other."""
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        found = {"Postgres": _postmaster(backend), "broker": _listening(settings.need_kafka())}
        return cls({name: process for name, process in found.items() if process is not None})

    def beside(self, **others: Iterable[int]) -> Family:
        """The servers and other processes, by name."""
        return Family(
            {name: [one] for name, one in self.servers.items()}
            | {name: list(ids) for name, ids in others.items()}
        )


class Family:
    """Processes by name, each with all that it started."""

    def __init__(self, roots: Mapping[str, Iterable[int]]) -> None:
        self._roots = {name: [psutil.Process(one) for one in ids] for name, ids in roots.items()}

    def spent(self) -> dict[str, float]:
        """CPU seconds so far."""
        return {name: sum(map(_spent, roots)) for name, roots in self._roots.items()}

    def memory(self) -> dict[str, float]:
        """MiB now; what processes share is counted once where the system tells."""
        return {
            name: sum(_memory(one) for root in roots for one in _tree(root)) / MEBIBYTE
            for name, roots in self._roots.items()
        }


def _tree(root: psutil.Process) -> list[psutil.Process]:
    if root.pid == os.getpid():
        return [root]  # everything else that runs here is a child of it
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _spent(root: psutil.Process) -> float:
    """Of the children that have ended the system keeps the sum with their parent."""
    total = 0.0
    for one in _tree(root):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        inherits = one == root and root.pid != os.getpid()
        total += sum(times[:4]) if inherits else sum(times[:2])
    return total


def _memory(process: psutil.Process) -> float:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return float(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0.0
    return float(getattr(full, "pss", full.rss))


def _postmaster(backend: int) -> int | None:
    try:
        parent = psutil.Process(backend).parent()
    except psutil.NoSuchProcess:
        return None
    # Another machine's number may be anybody's here.
    return parent.pid if parent is not None and "postgres" in parent.name() else None


def _listening(address: str) -> int | None:
    port = int(address.split(",", 1)[0].rpartition(":")[2])
    listening = (
        one.pid
        for one in psutil.net_connections(kind="tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] == port
    )
    return next(listening, None)
