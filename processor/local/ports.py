"""On which ports of the loopback do the servers listen?"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from processor.domain.errors import ConfigurationError

HOST = "127.0.0.1"
RANGE = range(15000, 32000)
"""Below the ports that systems give to outgoing connections: a client that knocks at a server that
is down could otherwise be given the server's own port, and keep it from coming back."""
TRIES = 50


@dataclass(frozen=True, slots=True)
class Ports:
    """One port each."""

    kafka: int
    controller: int
    postgres: int


def choose(folder: Path) -> Ports:
    """The ports of the last run where they are still free, others where not; remembered."""
    remembered = folder / "ports.json"
    before = json.loads(remembered.read_text("utf-8")) if remembered.exists() else {}
    with ExitStack() as held:
        ports = Ports(
            **{
                name: _hold(held, before.get(name, 0))
                for name in ("kafka", "controller", "postgres")
            }
        )
    remembered.write_text(json.dumps(asdict(ports)), "utf-8")
    return ports


def _hold(held: ExitStack, port: int) -> int:
    """A free port, held until all are chosen so that no two are the same."""
    wanted = [port] if port else []
    for candidate in wanted + [secrets.choice(RANGE) for _ in range(TRIES)]:
        listener = held.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()  # two sockets may be bound to one port, but only one may listen
        except OSError:
            continue
        return candidate
    raise ConfigurationError(f"no free port on {HOST} between {RANGE.start} and {RANGE.stop}")
