"""Would what a handler sends end the transaction that it runs in, or change it for others?

A raw COMMIT would keep a handler's writes whatever becomes of its job, a raw ROLLBACK would drop
them from a job that completes. So neither is sent. What no look at the text finds, the setting that
begin_job left in the transaction tells at its end.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_WORDS: Final = ("commit", "rollback", "abort", "end", "transaction")
"""Without one of them nothing ends; few statements have one."""
_HIDDEN: Final = re.compile(
    r"""
    \b[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])(?P<dollar>\$(?:[^\W\d]\w*)?\$).*?(?P=dollar)
    | --[^\n]*
    | /\*
    """,
    re.VERBOSE | re.DOTALL,
)
"""Text, names, the beginning of a comment: nothing in them is a statement."""
_MAY_SET: Final = re.compile(r"(?:^|[;/\n])\s*(?:set|reset|discard)\b|set_config", re.IGNORECASE)
"""What no statement that changes a setting is without; an UPDATE in one line is."""
_SETTING: Final = re.compile(r"(?:^|;)\s*(SET|RESET|DISCARD)\b|\b(SET_CONFIG)\s*\(")
_COMMENT: Final = re.compile(r"/\*|\*/")
_SHORT: Final = 4_096
_ROUTINE: Final = re.compile(r"\bBEGIN\s+ATOMIC\b")


def ending_in(query: str) -> str | None:
    """The word of the first statement that would end the transaction; None where none would."""
    return _remembered(query) if len(query) <= _SHORT else _ending_in(query)


def _ending_in(query: str) -> str | None:
    lowered = query.lower()
    if not any(word in lowered for word in _WORDS):
        return None
    bare = _bare(query).upper()
    endings = (_ending(statement.split()[:3]) for statement in bare.split(";"))
    found = next((word for word in endings if word is not None), None)
    return None if found == "END" and _ROUTINE.search(bare) else found


_remembered: Final = lru_cache(maxsize=1_024)(_ending_in)
"""Handlers send the same statements again and again."""


def setting_in(query: str) -> str | None:
    """The word by which a statement would change a setting; None where none would.

    What a function does that a statement calls does not show.
    """
    if _MAY_SET.search(query) is None:
        return None
    found = _SETTING.search(_bare(query).upper())
    return None if found is None else found[1] or found[2]


def _ending(words: list[str]) -> str | None:
    match words:
        case ["PREPARE", "TRANSACTION", *_]:
            return "PREPARE TRANSACTION"
        case ["ROLLBACK", *more] if "TO" not in more:
            return "ROLLBACK"
        case ["COMMIT" | "ABORT" | "END" as word, *_]:
            return word
        case _:
            return None


def _bare(query: str) -> str:
    parts: list[str] = []
    at = 0
    while found := _HIDDEN.search(query, at):
        parts.append(query[at : found.start()])
        at = _after_comment(query, found.end()) if found[0] == "/*" else found.end()
    return " ".join((*parts, query[at:]))


def _after_comment(query: str, at: int) -> int:
    """Where a comment ends, with those inside it."""
    depth = 1
    for mark in _COMMENT.finditer(query, at):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(query)
