"""Is a value JSON, and how deep is it?

What pydantic can write is JSON for us, models and dataclasses included; NaN and Infinity, which
JSON does not have, are found although a model would write them as null.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_CONSTANT: Final = re.compile(rb"-?Infinity|NaN")
_ROUND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class NotJson(ValueError):  # noqa: N818 - a sentence that becomes another error's
    """The value cannot be written as JSON; says why."""


def json_text(value: object) -> bytes:
    """The value as JSON, in which `constant_in` may still find what JSON does not have."""
    try:
        text = to_json(value, inf_nan_mode="constants")
        if b"null" in text:
            # A model writes its NaN as null, as if there were no value: look once more.
            plain = to_jsonable_python(value, inf_nan_mode="constants")
            text = to_json(plain, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as wrong:
        raise NotJson(_sentence(wrong)) from None
    return text


def constant_in(text: bytes) -> str | None:
    """The first NaN or Infinity outside the strings, by its name."""
    if b"NaN" not in text and b"Infinity" not in text:
        return None
    found = _CONSTANT.search(_STRINGS.sub(b"", text))
    return found and found[0].decode()


def deeper_than(levels: int, text: bytes) -> bool:
    """Whether objects and arrays are nested in more levels than that."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _STRINGS.sub(b"", text).translate(_ROUND, _NO_BRACKETS)
    for _ in range(levels):  # peel the innermost pairs off, once for each level that is allowed
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _sentence(wrong: Exception) -> str:
    return str(wrong).removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
