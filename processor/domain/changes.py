"""How does an edited payload differ from the one that died?

A difference is a list of changes, each at a path as `ParseError` names them (`legs.0.tail`; empty:
the whole). JSON is compared by what it says: 1, 1.0 and true are three things, the order of an
object's members is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One place of a payload, before and after, as JSON texts; None where nothing stands there."""

    path: str
    before: str | None
    after: str | None


def difference(before: bytes, after: bytes) -> tuple[Change, ...]:
    """What turns one JSON text into the other, in the order of the paths' appearance.

    What is no JSON differs as a whole.
    """
    try:
        told = _changes("", json.loads(before), json.loads(after))
        return tuple(told)
    except (ValueError, RecursionError):
        if before == after:
            return ()
        return (Change("", before.decode(errors="replace"), after.decode(errors="replace")),)


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:  # noqa: ANN401 - any JSON
    pairs = _members(before, after)
    if pairs is None:
        if (old := _text(before)) != (new := _text(after)):
            yield Change(path, old, new)
        return
    for name, old, new in pairs:
        yield from _changes(f"{path}.{name}" if path else str(name), old, new)


def _members(before: Any, after: Any) -> list[tuple[object, Any, Any]] | None:  # noqa: ANN401
    """What stands under the same name in both; None where the two are no like containers."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        return [(name, before.get(name, _ABSENT), after.get(name, _ABSENT)) for name in names]
    if isinstance(before, list) and isinstance(after, list):
        return [
            (
                number,
                before[number] if number < len(before) else _ABSENT,
                after[number] if number < len(after) else _ABSENT,
            )
            for number in range(max(len(before), len(after)))
        ]
    return None


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    return None if value is _ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)
