"""Where does the next phase attach? Every note that says so, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTE = re.compile(r"# TODO\(phase 5, EventBus\): (\w+ .*)")
ANY_NOTE = re.compile(r"#\s*(?:TODO|FIXME|XXX|HACK)")

PLACES = {
    "processor/adapters/event_kinds.py": "connect the other domain events here",
    "processor/bootstrap/producing.py": "connect the subscribers of our own here",
    "processor/runtime/publisher.py": "connect the other ends (complete, cancelled) here",
    "projections/history.py": "connect JobReplayed and DeadLetterDiscarded here",
}


def lines() -> list[tuple[str, str]]:
    return [
        (path.relative_to(ROOT).as_posix(), line)
        for folder in ("processor", "projections")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text().splitlines()
    ]


def test_the_notes_of_the_next_phase_stand_where_it_attaches_and_say_what_to_connect() -> None:
    found = [(file, note[1]) for file, line in lines() if (note := NOTE.search(line))]
    assert sorted(file for file, _ in found) == sorted(PLACES)
    assert [said for file, said in found if not said.startswith(PLACES[file])] == []


def test_nothing_else_is_left_to_be_done() -> None:
    assert [
        where for where in lines() if ANY_NOTE.search(where[1]) and not NOTE.search(where[1])
    ] == []
