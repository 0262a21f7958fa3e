"""How is what a handler returned stored?"""

from __future__ import annotations

from typing import Final

from processor.domain.errors import ResultInvalid
from processor.domain.limits import JSON_DEPTH, RESULT_BYTES
from processor.runtime.json_text import NotJson, constant_in, deeper_than, json_text

_NOTHING: Final = b"null"


def encode_result(result: object) -> bytes:
    """JSON of a result: of whatever pydantic can write; raises `ResultInvalid`."""
    if result is None:
        return _NOTHING
    try:
        encoded = json_text(result)
    except NotJson as wrong:
        raise ResultInvalid(f"the result is not JSON: {wrong}") from None
    if len(encoded) > RESULT_BYTES:
        raise ResultInvalid(
            f"the result has {len(encoded):,} bytes; at most {RESULT_BYTES:,} are kept:"
            " store it where it belongs and return where that is"
        )
    if constant := constant_in(encoded):
        raise ResultInvalid(f"the result is not JSON: it holds {constant}")
    if deeper_than(JSON_DEPTH, encoded):
        raise ResultInvalid(f"the result is nested deeper than {JSON_DEPTH} levels")
    return encoded
