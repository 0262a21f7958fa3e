"""Payloads that do not fit their models, each with something that must be seen nowhere."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Base64Bytes, BaseModel, ByteSize, Field, HttpUrl
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from processor import Jobs, Request

SECRET = "canary-5f2e"
NUMBER = 86_753_098_675_309


class Color(Enum):
    RED = "red"


class Leg(BaseModel):
    tail: str
    minutes: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel, extra="forbid"):
    kind: Literal["dog"]


@dataclass
class Point:
    x: int


class Row(TypedDict):
    x: int


def quotes(value: str) -> str:
    raise ValueError(f"{value!r} will not do")


def asserts(value: str) -> str:
    assert value == "", f"{value} is not empty"
    return value


def has_its_own_kind(value: str) -> str:
    raise PydanticCustomError("unknown_airport", "there is no {airport}", {"airport": value})


def looks_up(value: str) -> str:
    return {"EWR": "Newark"}[value]


class Flight(BaseModel, extra="forbid"):
    number: int = 0
    small: Annotated[int, Field(le=9)] = 0
    short: Annotated[str, Field(max_length=3)] = ""
    few: Annotated[list[str], Field(max_length=1)] = []
    legs: list[Leg] = []
    open: dict[str, int] = {}
    either: int | Leg = 0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    color: Color | None = None
    word: Literal["on", "off"] = "on"
    at: datetime | None = None
    day: date | None = None
    id: UUID | None = None
    host: IPv4Address | None = None
    link: HttpUrl | None = None
    price: Decimal = Decimal(0)
    size: ByteSize | None = None
    data: Base64Bytes = b""
    quoted: Annotated[str, AfterValidator(quotes)] = ""
    asserted: Annotated[str, AfterValidator(asserts)] = ""
    airport: Annotated[str, AfterValidator(has_its_own_kind)] = ""
    city: Annotated[str, AfterValidator(looks_up)] = ""


CASES: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "a flight": (
        "flight",
        {
            "number": SECRET,
            "small": NUMBER,
            "short": SECRET,
            "few": [SECRET, SECRET],
            "legs": [
                {"tail": "N1", "minutes": 1},
                {"tail": NUMBER, "minutes": {SECRET: SECRET}},
                SECRET,
            ],
            "open": {"its key": SECRET},
            "either": {"tail": SECRET, "minutes": SECRET},
            "pet": {"kind": SECRET, "lives": SECRET},
            "color": SECRET,
            "word": SECRET,
            "at": SECRET,
            "day": SECRET,
            "id": SECRET,
            "host": SECRET,
            "link": SECRET,
            "price": SECRET,
            "size": f"7 {SECRET}",
            "data": SECRET,
            "quoted": SECRET,
            "asserted": SECRET,
            "airport": SECRET,
            "new": {"nobody": [SECRET]},
        },
        (
            "number",
            "small",
            "short",
            "few",
            "legs.1.tail",
            "legs.1.minutes",
            "legs.2",
            "open.its key",
            "either.int",
            "either.Leg.minutes",
            "pet",
            "color",
            "word",
            "at",
            "day",
            "id",
            "host",
            "link",
            "price",
            "size",
            "data",
            "quoted",
            "asserted",
            "airport",
            "new",
        ),
    ),
    "a validator that breaks": ("flight", {"city": SECRET}, ()),
    "no object": ("flight", [SECRET, NUMBER], ("",)),
    "no number": ("number", SECRET, ("",)),
    "a number too long": ("number", f"{NUMBER}" * 350, ("",)),
    "a point": ("point", {"x": SECRET}, ("x",)),
    "a row": ("row", {"x": [SECRET]}, ("x",)),
    "in a thread": ("thread", {"x": SECRET}, ("x",)),
}
"""The type, the payload, and the paths that the error names."""

FOREIGN: dict[str, tuple[str, bytes]] = {
    "no json": ("anything", f'{{"number": "{SECRET}", {SECRET}'.encode()),
    "no text": ("anything", b'"' + SECRET.encode() + b'\xff"'),
    "a number of 5,000 digits": ("number", f"{NUMBER}".encode() * 360),
    "far too deep": ("anything", b"[" * 5_000 + SECRET.encode()),
}
"""The type, and bytes that no client of ours would send as a payload."""


def misfitting(called: list[object]) -> Jobs:
    """Handlers that note what they are called with, which should be nothing."""
    jobs = Jobs()

    @jobs.handler("flight")
    async def flight(request: Request[Flight]) -> None:
        called.append(request)

    @jobs.handler("number")
    async def number(request: Request[int]) -> None:
        called.append(request)

    @jobs.handler("point")
    async def point(request: Request[Point]) -> None:
        called.append(request)

    @jobs.handler("row")
    async def row(request: Request[Row]) -> None:
        called.append(request)

    @jobs.handler("thread")
    def thread(request: Request[Point]) -> None:
        called.append(request)

    @jobs.handler("anything")
    async def anything(request: Request[Any]) -> None:
        called.append(request)

    return jobs
