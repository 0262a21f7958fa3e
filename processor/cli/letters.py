"""How are dead letters told to a person, and to a program?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.cli.telling import iso

if TYPE_CHECKING:
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


def line_of_group(group: LetterGroup) -> str:
    """One group in one line."""
    place = f" at {group.place}" if group.place else ""
    return (
        f"{group.letters:>8,}  {group.type or '(unreadable)'}{place}"
        f"  from {iso(group.first_at)} to {iso(group.last_at)}"
    )


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
    }


def _short(error: ErrorDetail) -> str:
    message = (error.message.splitlines() or [""])[0][:LONGEST]
    return f"{error.reason}: {message}"
