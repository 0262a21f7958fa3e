"""On which ports of the loopback do the servers listen, and how do these stay theirs?

A server that is down for a moment must get its port back: its address is known to others. So a
port is held for as long as the stack lives, twice. The UDP port of the same number, which nobody
uses, tells other stacks: no two sockets are ever bound to one. And on Linux a TCP socket that is
bound and does not listen keeps the system from giving the port to an outgoing connection or to who
asks for any; a server that sets SO_REUSEADDR, as both of ours do, may listen beside it.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from processor.domain.errors import ConfigurationError

HOST = "127.0.0.1"
RANGE = range(15000, 32000)
"""Below the ports that systems usually give to outgoing connections."""
TRIES = 50
PATIENCE = 5.0
"""Seconds that servers of a former life, whose supervisor was killed, are given to end."""
GLANCE = 0.05


@dataclass(frozen=True, slots=True)
class Ports:
    """One port each."""

    kafka: int
    controller: int
    postgres: int


@contextmanager
def reserved(folder: Path) -> Iterator[Ports]:
    """The ports of the last run where they are free, others where not; remembered, and held.

    Raises ConfigurationError when none is free.
    """
    remembered = folder / "ports.json"
    before = json.loads(remembered.read_text("utf-8")) if remembered.exists() else {}
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as held:
        ports = Ports(
            **{
                name: _again(held, before.get(name), deadline) or _any(held)
                for name in ("kafka", "controller", "postgres")
            }
        )
        remembered.write_text(json.dumps(asdict(ports)), "utf-8")
        yield ports


def _again(held: ExitStack, port: int | None, deadline: float) -> int | None:
    """The port, held, once it is free; None when it is not in time."""
    while port is not None and not _hold(held, port):
        if time.monotonic() >= deadline:
            return None
        time.sleep(GLANCE)
    return port


def _any(held: ExitStack) -> int:
    for candidate in (secrets.choice(RANGE) for _ in range(TRIES)):
        if _hold(held, candidate):
            return candidate
    raise ConfigurationError(f"no free port on {HOST} between {RANGE.start} and {RANGE.stop}")


def _hold(held: ExitStack, port: int) -> bool:
    """Whether the port is free; then it is held."""
    with ExitStack() as ours:
        try:
            ours.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((HOST, port))
            if sys.platform == "linux":
                _bind(ours.enter_context(socket.socket()), port)
            with socket.socket() as listener:
                _bind(listener, port)
                listener.listen()  # many may be bound beside each other, but only one may listen
        except OSError:
            return False
        held.push(ours.pop_all())
        return True


def _bind(holder: socket.socket, port: int) -> None:
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, port))
