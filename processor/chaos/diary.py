"""What was done to a run, and when? JSON lines, written at once, so that they outlive the run."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self


class Diary:
    """Writes a line for everything that was done; `with`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: Counter[str] = Counter()
        """How often what was done."""
        self.last = ""
        """In words, for whoever looks on."""
        self.is_clean = False
        """Whether all was well at the end."""
        self._began = time.monotonic()
        self._file = path.open("w", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self._began

    def write(self, what: str, **more: object) -> None:
        """Write down one thing with its time, and with what else there is to say of it."""
        self.done[what] += 1
        told = " ".join(f"{name}={value}" for name, value in more.items())
        self.last = f"{what} {told}".strip()
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(self.seconds, 3),
            "what": what,
            **more,
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
