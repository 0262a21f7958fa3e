"""What can be set, by which environment variable, and to what?

`Settings` is an argument wherever it is needed; the environment is read once, by whoever starts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from processor.domain.errors import ConfigurationError
from processor.domain.limits import NAME_BYTES
from processor.domain.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")
_PORTS = range(1, 65_536)


_DIGITS = 12
"""Of a number: none of ours has more, and Python refuses thousands."""
_SHOWN = 60
"""Letters of a wrong value that an error repeats."""


def _shown(text: str) -> str:
    """A wrong value as an error repeats it: without a password, and not for ever."""
    asked, at, place = text.rpartition("@")
    told = f"…@{place}" if at and asked else text
    return repr(told if len(told) <= _SHOWN else f"{told[:_SHOWN]}…")


def _whole(text: str) -> int:
    """A whole number in few digits; else -1."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else -1


def _broker(text: str) -> str:
    addresses = [address.strip() for address in text.split(",")]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not (_HOST.fullmatch(host) and port.isascii() and port.isdigit()):
            raise ValueError(f"{_shown(address)} is no host:port")
        if _whole(port) not in _PORTS:
            raise ValueError(f"{_shown(port)} is no port")
    return ",".join(addresses)


def _database(text: str) -> str:
    # The value may hold a password: it is never repeated in an error.
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URL") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("it does not begin with postgresql://")
    if not parts.hostname or port == 0 or not parts.path.strip("/"):
        raise ValueError("it names no host, no port or no database")
    return text


def _release(text: str) -> str:
    if len(text.encode(errors="replace")) > NAME_BYTES or not text.isprintable():
        raise ValueError(f"{_shown(text)} is not at most {NAME_BYTES} bytes of plain text")
    return text


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not made of a-z, 0-9 and - after a letter")
    return text


def _address(text: str) -> str:
    if not _HOST.fullmatch(text) and not _ADDRESS.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no host")
    return text


def _count(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = _whole(text)
        if not lowest <= number <= highest:
            raise ValueError(f"{_shown(text)} is no whole number from {lowest:,} to {highest:,}")
        return number

    return parse


def _seconds(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:
            raise ValueError(
                f"{_shown(text)} is no number of seconds from {lowest:g} to {highest:,g}"
            )
        return number

    return parse


def _setting(
    variable: str, default: T, parse: Callable[[str], object], text: str, *, shown: bool = True
) -> T:
    """A field of `Settings` that knows its variable; typed as its value, as dataclasses want it."""
    known = {"variable": variable, "parse": parse, "text": text}
    made: Any = field(default=default, repr=shown, metadata=known)
    value: T = made
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set; `describe` lists it."""

    kafka: str | None = _setting(
        "JOBS_KAFKA", None, _broker, "the broker, as host:port, or several with commas"
    )
    database: str | None = _setting(
        "JOBS_DATABASE",
        None,
        _database,
        "the database, as postgresql://user:password@host:port/name; a producer needs none",
        shown=False,
    )
    namespace: str = _setting(
        "JOBS_NAMESPACE", "jobs", _namespace, "what the topics' names begin with"
    )
    partitions: int = _setting(
        "JOBS_PARTITIONS", 12, _count(1, 1_000), "partitions of every topic; pinned by `migrate`"
    )
    replication: int = _setting(
        "JOBS_REPLICATION", 3, _count(1, 9), "copies of every record; below 3 durability is waived"
    )
    release: str = _setting(
        "JOBS_RELEASE",
        "unnamed",
        _release,
        "the release of your application, as the history shows it",
    )
    slots: int = _setting(
        "JOBS_SLOTS", 32, _count(1, 10_000), "handlers that run at once in a worker"
    )
    connections: int = _setting(
        "JOBS_CONNECTIONS", 16, _count(2, 1_000), "database connections of a worker"
    )
    look_ahead: int = _setting(
        "JOBS_LOOK_AHEAD",
        500,
        _count(1, 100_000),
        "jobs read but not settled, for each partition and lane",
    )
    session_timeout: float = _setting(
        "JOBS_SESSION_TIMEOUT",
        45.0,
        _seconds(1, 1_800),
        "seconds of silence after which the group takes a worker for lost",
    )
    drain_timeout: float = _setting(
        "JOBS_DRAIN_TIMEOUT",
        30.0,
        _seconds(0, 3_600),
        "seconds that running handlers have to end when a worker stops or loses a partition",
    )
    handler_grace: float = _setting(
        "JOBS_HANDLER_GRACE",
        86_400.0,
        _seconds(0, 31_536_000),
        "seconds that a job waits for a handler of its type before it fails",
    )
    subscriber_timeout: float = _setting(
        "JOBS_SUBSCRIBER_TIMEOUT",
        300.0,
        _seconds(1, 86_400),
        "seconds that a subscriber may take for one event before others of its group get it",
    )
    api_host: str = _setting(
        "JOBS_API_HOST",
        "127.0.0.1",
        _address,
        "where `processor api` listens; beyond a loopback address it needs tokens",
    )
    api_port: int = _setting("JOBS_API_PORT", 8080, _count(0, 65_535), "and on which port")
    api_tokens: str | None = _setting(
        "JOBS_API_TOKENS", None, str, "the file that says who may do what over HTTP"
    )
    local: str | None = _setting(
        "JOBS_LOCAL", None, str, "the data folder of `processor local`, instead of one in your home"
    )

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables; an empty one counts as not set.

        Raises `ConfigurationError` that names the wrong one and how to mend it.
        """
        found: dict[str, Any] = {}
        for one in fields(cls):
            text = environment.get(one.metadata["variable"], "").strip()
            if not text:
                continue
            try:
                found[one.name] = one.metadata["parse"](text)
            except ValueError as wrong:
                variable, meant = one.metadata["variable"], one.metadata["text"]
                raise ConfigurationError(f"{variable} is wrong: {wrong}; it is {meant}") from None
        return cls(**found)

    @property
    def topics(self) -> Topics:
        """The names of this namespace's topics."""
        return Topics(self.namespace)

    def need_kafka(self) -> str:
        """The broker's address; raises `ConfigurationError` where none is set."""
        if self.kafka is None:
            raise ConfigurationError(
                "JOBS_KAFKA is not set: set it to the broker's host:port, or run `processor local`"
            )
        return self.kafka

    def need_database(self) -> str:
        """The database's URL; raises `ConfigurationError` where none is set."""
        if self.database is None:
            raise ConfigurationError(
                "JOBS_DATABASE is not set: set it to postgresql://user:password@host:port/name,"
                " or run `processor local`"
            )
        return self.database


def describe() -> list[tuple[str, str, str]]:
    """Every variable with its default and its meaning, for the README and `--help`."""
    return [
        (
            one.metadata["variable"],
            ""
            if one.default is None
            else f"{one.default:g}"
            if isinstance(one.default, float)
            else str(one.default),
            one.metadata["text"],
        )
        for one in fields(Settings)
    ]
