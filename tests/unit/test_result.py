"""How is what a handler returned stored?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel

from processor.domain.errors import ResultInvalid
from processor.domain.limits import JSON_DEPTH, RESULT_BYTES
from processor.runtime.result import encode_result


class Flight(BaseModel):
    tail: str
    delay: float | None = None


@dataclass
class Landing:
    at: datetime


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 0


def refusal(result: object) -> str:
    with pytest.raises(ResultInvalid) as raised:
        encode_result(result)
    return str(raised.value)


@pytest.mark.parametrize(
    ("result", "stored"),
    [
        (None, b"null"),
        ({"a": [1, None, True]}, b'{"a":[1,null,true]}'),
        (Flight(tail="N1"), b'{"tail":"N1","delay":null}'),
        (Landing(datetime(2013, 1, 1, tzinfo=UTC)), b'{"at":"2013-01-01T00:00:00Z"}'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        ("NaN and [[[", b'"NaN and [[["'),
        ("x" * (RESULT_BYTES - 2), b'"' + b"x" * (RESULT_BYTES - 2) + b'"'),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_result_is_whatever_pydantic_can_write(result: object, stored: bytes) -> None:
    assert encode_result(result) == stored


def test_a_result_over_the_limit_is_refused_with_its_size() -> None:
    assert refusal("x" * RESULT_BYTES) == (
        "the result has 262,146 bytes; at most 262,144 are kept: store it where it belongs and"
        " return where that is"
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_named_also_within_a_model(number: float) -> None:
    said = refusal({"so": number})
    assert said.startswith("the result is not JSON: it holds ")
    assert said.removeprefix("the result is not JSON: it holds ") in {
        "NaN",
        "Infinity",
        "-Infinity",
    }
    assert refusal(Flight(tail="NaN", delay=number)) == said


def test_a_result_may_be_as_deep_as_the_limit_and_no_deeper() -> None:
    encode_result(nested(JSON_DEPTH))
    assert refusal(nested(JSON_DEPTH + 1)) == "the result is nested deeper than 64 levels"


@pytest.mark.parametrize("result", [object(), "\ud800", b"\xff", {(1, 2): object()}])
def test_what_is_not_json_is_refused_in_one_line(result: object) -> None:
    said = refusal(result)
    assert said.startswith("the result is not JSON: ")
    assert "\n" not in said


def test_a_result_that_holds_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert refusal(circle).startswith("the result is not JSON: ")
