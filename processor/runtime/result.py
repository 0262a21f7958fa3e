"""How is what a handler returned stored?"""

from __future__ import annotations

import json
from typing import Final, NoReturn

from pydantic_core import PydanticSerializationError, to_json

from processor.domain.errors import ResultInvalid
from processor.domain.limits import JSON_DEPTH, RESULT_BYTES

_NOTHING: Final = b"null"


def encode_result(result: object) -> bytes:
    """JSON of a result: of whatever pydantic can write; raises `ResultInvalid`."""
    if result is None:
        return _NOTHING
    try:
        encoded = to_json(result, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError, UnicodeError) as error:
        message = f"the result is not JSON: {error}"
        raise ResultInvalid(message) from None
    if len(encoded) > RESULT_BYTES:
        message = f"the result has {len(encoded):,} bytes; at most {RESULT_BYTES:,} are kept"
        raise ResultInvalid(message)
    if b"NaN" in encoded or b"Infinity" in encoded:
        _refuse_constants(encoded)
    if len(encoded) > JSON_DEPTH:
        _refuse_depth(encoded)
    return encoded


def _refuse_constants(encoded: bytes) -> None:
    def refuse(constant: str) -> NoReturn:
        message = f"the result is not JSON: it holds {constant}"
        raise ResultInvalid(message)

    json.loads(encoded, parse_constant=refuse)


def _refuse_depth(encoded: bytes) -> None:
    if encoded.count(b"[") + encoded.count(b"{") <= JSON_DEPTH:
        return
    depth = deepest = 0
    quoted = escaped = False
    for byte in encoded:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > JSON_DEPTH:
        message = f"the result is nested {deepest} deep; at most {JSON_DEPTH} are kept"
        raise ResultInvalid(message)
