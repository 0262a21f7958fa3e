"""How is a hold told to a person?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.holds import HoldMode
from processor.runtime.instants import clock

if TYPE_CHECKING:
    from processor.ports.holds import Hold


def sentence(hold: Hold) -> str:
    """What is held, until when, since when, by whom and why; of a breaker's its next probe too."""
    what = f"{hold.kind} {hold.value} is held"
    if hold.is_breakers:
        workers = f" for workers of release {hold.release}" if hold.release else ""
        until = f"{workers} until a probe succeeds"
    elif hold.rate is not None and hold.mode is HoldMode.RELEASING:
        until = f", and let out at {hold.rate:,} jobs a second"
    elif hold.until is None:
        until = " until it is released"
    else:
        until = f" until {clock(hold.until)}"
    said = f"{what}{until}, since {clock(hold.since)} by {hold.by}: {hold.why}"
    return f"{said}; {_probe(hold)}" if hold.is_breakers else said


def _probe(hold: Hold) -> str:
    failed = f", {hold.failed_probes:,} failed" if hold.failed_probes else ""
    if hold.probe_by is not None and not hold.probe_due:
        return f"a probe runs at worker {str(hold.probe_by)[:8]}{failed}"
    if hold.probe_due or hold.probe_at is None:
        return f"the next job that a worker meets is a probe{failed}"
    return f"the next probe may start at {clock(hold.probe_at)}{failed}"
