"""Is everything said of a payload that does not fit, and nothing of the payload?"""

from __future__ import annotations

import json
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, Base64Bytes, BaseModel, ByteSize, Field
from pydantic_core import PydanticCustomError

from processor.domain.errors import ParseError
from processor.domain.limits import ERROR_BYTES
from processor.runtime.failing import detail_of
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request

SECRET = "zebra"


class Color(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel, extra="forbid"):
    kind: Literal["dog"]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def quotes(value: str) -> str:
    raise ValueError(f"{value} will not do")


def asserts(value: str) -> str:
    assert not value, value
    return value


def says_itself(value: str) -> str:
    raise PydanticCustomError("missing_animal", "no such animal: {animal}", {"animal": value})


def says_it_in_its_words(value: str) -> str:
    said: Any = f"no such animal: {value}"
    raise PydanticCustomError("missing_animal", said)


def looks_up(value: str) -> str:
    return {"cat": "meow"}[value]


def said_of(kind: Any, payload: object) -> ParseError:  # noqa: ANN401 - any annotation
    async def handler(request: Request[Any]) -> None: ...

    handler.__annotations__["request"] = Request[kind]
    with pytest.raises(ParseError) as refused:
        Jobs().register("a", handler).parse(json.dumps(payload).encode())
    return refused.value


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        (int, SECRET, "Input should be a valid integer, unable to parse string as an integer"),
        (Annotated[int, Field(le=9)], 77, "Input should be less than or equal to 9"),
        (Annotated[str, Field(max_length=3)], SECRET, "String should have at most 3 characters"),
        (Annotated[str, Field(pattern="^a$")], SECRET, "String should match pattern '^a$'"),
        (Color, SECRET, "Input should be 'red'"),
        (Literal["a", "b"], SECRET, "Input should be 'a' or 'b'"),
        (UUID, SECRET, "uuid_parsing"),
        (date, SECRET, "date_from_datetime_parsing"),
        (datetime, SECRET, "datetime_from_date_parsing"),
        (Base64Bytes, SECRET, "base64_decode"),
        (ByteSize, f"7 {SECRET}", "byte_size_unit"),
        (Pet, {"kind": SECRET}, "union_tag_invalid"),
        (Pet, {"name": SECRET}, "Unable to extract tag using discriminator 'kind'"),
        (Annotated[str, AfterValidator(quotes)], SECRET, "value_error"),
        (Annotated[str, AfterValidator(asserts)], SECRET, "assertion_error"),
        (Annotated[str, AfterValidator(says_itself)], SECRET, "missing_animal"),
        (Annotated[str, AfterValidator(says_it_in_its_words)], SECRET, "missing_animal"),
    ],
)
def test_words_are_of_the_model_and_never_of_the_payload(
    kind: Any,  # noqa: ANN401 - any annotation
    payload: object,
    said: str,
) -> None:
    refused = said_of(kind, payload)
    assert str(refused) == f"the payload: {said}"
    assert refused.fields == ("",)


def test_a_validator_that_breaks_is_a_payload_that_does_not_fit_and_its_place_is_told() -> None:
    refused = said_of(dict[str, list[Annotated[str, AfterValidator(looks_up)]]], {"a": [SECRET]})
    said, _, place = str(refused).partition(" at ")
    assert said == "the payload: its validation raised KeyError"
    assert place.startswith("test_parsing:looks_up:")
    assert SECRET not in repr(detail_of(refused))


@pytest.mark.parametrize(
    ("kind", "payload", "paths"),
    [
        (list[dict[str, int]], [{}, {"a": 1, "b": SECRET}], ("1.b",)),
        (int | Cat, SECRET, ("int", "Cat")),
        (list[Cat], [{}], ("0.kind",)),
        (Pet, {"kind": "dog", "wags": SECRET}, ("dog.wags",)),
    ],
)
def test_paths_are_names_and_numbers(
    kind: Any,  # noqa: ANN401 - any annotation
    payload: object,
    paths: tuple[str, ...],
) -> None:
    refused = said_of(kind, payload)
    assert refused.fields == paths
    assert SECRET not in repr(refused)


def test_an_error_keeps_within_its_limit_however_long_the_payload_s_own_names_are() -> None:
    payload = {f"{number}-{'x' * 4_000}": SECRET for number in range(100)}
    detail = detail_of(said_of(dict[str, int], payload))
    said = [detail.type, detail.message, detail.place, *detail.fields, detail.traceback]
    assert sum(len(text.encode()) for text in said) <= ERROR_BYTES
    assert [path.partition("-")[0] for path in detail.fields][:9] == [str(n) for n in range(9)]
