"""How is a run fed with work through `processor submit`, also when that gives up in between?"""

from __future__ import annotations

import contextlib
import json
import threading
from typing import IO
from uuid import UUID, uuid4

from processor.domain.priority import LANES
from tests.commands import Commands

ENTITIES = 40
SLOW = 0.02
ENDINGS = {"effect": "complete", "plain": "complete", "fails": "HandlerFailed", "": "ParseError"}
"""What becomes of each kind of line; the nameless kind is one that does not parse."""


def kind_of(number: int) -> str:
    """Which kind of line that number is."""
    if number % 25 == 7:
        return "fails"
    if number % 25 == 13:
        return ""
    return "plain" if number % 5 == 1 else "effect"


def line_of(number: int) -> bytes:
    """A job of one of a few entities, in one of the lanes."""
    kind = kind_of(number)
    line = {
        "type": kind or "effect",
        "entity": f"entity-{number % ENTITIES}",
        "priority": LANES[number // ENTITIES % len(LANES)].label,
        "payload": {
            "number": number if kind else "seven",
            "seconds": SLOW if number % 50 == 0 else 0,
        },
    }
    return json.dumps(line).encode() + b"\n"


class Submitting:
    """`processor submit -`: what it was given, and the ids that it has told.

    Where it gives up, since no broker acknowledges, it is started again with the same batch and
    all lines, as its error says: then lanes hold records twice.
    """

    def __init__(self, run: Commands) -> None:
        self._run = run
        self._batch = uuid4()
        self.written = 0
        self.begun = 0
        """How often it was started."""
        self._begin()

    def _begin(self) -> None:
        self.acked: list[UUID] = []
        self.begun += 1
        self.popen = self._run.start("submit", "-", "--batch", str(self._batch))
        self._reader = threading.Thread(target=self._read, args=(self.popen.stdout, self.acked))
        self._reader.start()

    @staticmethod
    def _read(told: IO[bytes], acked: list[UUID]) -> None:
        acked.extend(UUID(line.decode().strip()) for line in told)

    def write(self, count: int) -> None:
        """Hand in so many lines more."""
        self.written += count
        self._hand_in(range(self.written - count, self.written))

    def go_on(self) -> None:
        """Start it again where it has given up."""
        while self.popen.poll() is not None:
            said = self._ended()
            assert self.popen.returncode == 2, said
            assert f"--batch {self._batch}: what is appended is not done twice" in said, said
            self._begin()
            self._hand_in(range(self.written))

    def end(self) -> None:
        """Close the pipe; everything handed in must be acknowledged, under an id of its own."""
        while True:
            self.go_on()
            self._close()
            if self.popen.wait() == 0:
                break
        said = self._ended()
        assert len(set(self.acked)) == self.written, said

    def kill(self) -> None:
        """End it, whatever it does."""
        assert self.popen.stderr is not None
        self.popen.kill()
        if not self.popen.stderr.closed:
            self._ended()

    def _hand_in(self, numbers: range) -> None:
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it is started again
            self.popen.stdin.write(b"".join(map(line_of, numbers)))
            self.popen.stdin.flush()

    def _close(self) -> None:
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()

    def _ended(self) -> str:
        """What it said last; afterwards nothing of it is left."""
        self._close()
        assert self.popen.stderr is not None
        said = self.popen.stderr.read().decode()
        self.popen.wait()
        self._reader.join()
        with self.popen:
            return said
