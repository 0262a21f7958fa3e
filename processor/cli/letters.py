"""How are dead letters told to a person, and to a program?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.cli.tables import tell_table
from processor.cli.telling import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.domain.events import ErrorDetail
    from processor.ports.projection import LetterGroup
    from projections.queries import DeadLetter

LONGEST = 200
"""Characters of an error's message in one line."""


def line_of(letter: DeadLetter) -> str:
    """One letter in one line."""
    died = letter.died
    why = _short(died.errors[-1].error) if died.errors else str(died.reason)
    return f"{died.id}  {iso(died.at)}  {died.type or '(unreadable)'}  {died.entity}  {why}"


def tell_groups(groups: Sequence[LetterGroup]) -> None:
    """Groups as a table."""
    tell_table(
        ("letters", "overtaken", "type", "place", "release", "tenants", "first", "last"),
        [
            (
                group.letters,
                group.overtaken,
                group.type or "(unreadable)",
                group.place,
                group.release,
                _tenants(group),
                iso(group.first_at),
                iso(group.last_at),
            )
            for group in groups
        ],
    )


def _tenants(group: LetterGroup) -> str:
    more = group.tenant_count - len(group.tenants)
    return ", ".join(group.tenants) + (f" and {more:,} more" if more else "")


def describe(letter: DeadLetter) -> list[str]:
    """A readable account of one letter."""
    died = letter.died
    closed = "open" if letter.closed is None else letter.closed.name.lower()
    lane = died.lane.label if died.lane is not None else "no lane"
    facts = [f"job {died.job}", f"generation {died.generation}", f"entity {died.entity}", lane]
    if died.tenant is not None:
        facts.append(f"tenant {died.tenant}")
    if died.worker:
        facts.append(f"worker {died.worker}")
    lines = [
        f"{died.id} {died.type or '(unreadable)'} is {closed}, dead since {iso(died.at)}",
        ", ".join(facts),
        f"its record: {died.topic}[{died.partition}] at {died.offset}",
    ]
    for one in died.errors:
        place = f" at {one.error.place}" if one.error.place else ""
        lines.append(f"{iso(one.at)}  attempt {one.attempt}  {_short(one.error)}{place}")
        lines += [f"    {path}" for path in one.error.fields]
    return lines


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """Everything but the submission's bytes, times in ISO 8601 (UTC)."""
    died = letter.died
    return {
        "id": died.id,
        "job": died.job,
        "generation": died.generation,
        "died_at": iso(died.at),
        "closed": None if letter.closed is None else letter.closed.name.lower(),
        "tenant": died.tenant,
        "entity": died.entity,
        "type": died.type,
        "lane": None if died.lane is None else died.lane.label,
        "reason": died.reason,
        "place": died.place,
        "errors": [
            {
                "at": iso(one.at),
                "attempt": one.attempt,
                "reason": one.error.reason,
                "type": one.error.type,
                "message": one.error.message,
                "place": one.error.place,
                "fields": one.error.fields,
                "traceback": one.error.traceback,
            }
            for one in died.errors
        ],
        "release": died.release,
        "worker": died.worker,
        "topic": died.topic,
        "partition": died.partition,
        "offset": died.offset,
    }


def group_as_json(group: LetterGroup) -> dict[str, Any]:
    """One group, times in ISO 8601 (UTC)."""
    return {
        "type": group.type,
        "place": group.place,
        "letters": group.letters,
        "first_at": iso(group.first_at),
        "last_at": iso(group.last_at),
        "release": group.release,
        "tenants": group.tenants,
        "tenant_count": group.tenant_count,
        "overtaken": group.overtaken,
    }


def _short(error: ErrorDetail) -> str:
    message = (error.message.splitlines() or [""])[0][:LONGEST]
    return f"{error.reason}: {message}"
