"""How is the README's picture of a job's life drawn from the rules?"""

from __future__ import annotations

from processor.domain.events import Queued
from processor.domain.job import TRANSITIONS, State


def life() -> str:
    """A Mermaid state diagram with every step of the transition table."""
    steps: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in TRANSITIONS.items():
        named = event.__name__.lower()
        steps.setdefault((before or "[*]", after), []).append(named)
        if before is None and event is Queued:
            steps.setdefault(("[*]", State.SCHEDULED), []).append("queued, not before a time")
    lines = [
        f"    {before} --> {after} : {', '.join(events)}"
        for (before, after), events in steps.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])
