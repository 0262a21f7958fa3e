"""How does a command that operates tell who, why, when, and what came of it?"""

from __future__ import annotations

import getpass
import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from processor.domain.errors import ConfigurationError
from processor.domain.instants import date_of, microseconds

By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who asks; else the user of this system.")
]
Because = Annotated[
    str | None, typer.Option("--because", metavar="TEXT", help="Why; it is kept beside the name.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
JsonLines = Annotated[bool, typer.Option("--json", help="As JSON, a line each, for programs.")]


def who(by: str | None) -> str:
    """The name that is written down."""
    if by is not None:
        return _text("--by", by)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def why(because: str | None) -> str:
    """The reason, which nobody may leave out."""
    if because is None:
        raise ConfigurationError("say why, for whoever looks later: --because TEXT")
    return _text("--because", because)


def id_of(text: str, what: str) -> UUID:
    """An id as it was typed."""
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no {what} id: an id has 32 hexadecimal digits"
        ) from None


def instant(text: str | None) -> int | None:
    """A time in ISO 8601 with its zone, to come; in microseconds since the epoch."""
    if text is None:
        return None
    when = zoned(text, "write it as 2030-01-31T12:00Z")
    if when <= datetime.now(UTC):
        raise ConfigurationError(f"{text} is over; name a time to come")
    return microseconds(when)


def zoned(text: str, otherwise: str) -> datetime:
    """A time in ISO 8601 with its zone; `otherwise` says how to write what is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time: {otherwise}") from None
    if when.tzinfo is None:
        raise ConfigurationError(f"{text!r} has no time zone: write it as {text}Z or {text}+01:00")
    return when


def iso(at: int | None) -> str | None:
    """A time as people and programs read it."""
    if at is None:
        return None
    return date_of(at).isoformat().replace("+00:00", "Z")


def tell(*lines: str) -> None:
    """Lines to standard output; what somebody named can neither break one nor move the cursor."""
    for line in lines:
        sys.stdout.write(plain(line) + "\n")


def plain(text: str) -> str:
    """Text in which whatever is no printable letter is spelt out."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def tell_json(value: dict[str, Any], *, indent: int | None = None) -> None:
    """One value to standard output, as JSON."""
    from pydantic_core import to_json

    sys.stdout.write(to_json(value, indent=indent, bytes_mode="base64").decode() + "\n")


def _text(option: str, text: str) -> str:
    if not text.strip():
        raise ConfigurationError(f"{option} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{option} is not valid Unicode") from None
    return text
