"""Who asks, and what may they ask for?

A token file is TOML: a table `[[token]]` for each, with the SHA-256 of the token, never the token.
`processor token SUBJECT` makes both. Tokens are long and random, so that a fast hash is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from processor.domain.errors import ConfigurationError
from processor.domain.limits import NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EVERYWHERE: Final = "*"
"""The tenant of whoever sees the jobs of every tenant, and of none."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset({"sha256", "subject", "tenant", "scopes", "expires"})


class Scope(StrEnum):
    """What somebody may do."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks."""

    subject: str
    """Stands as the actor in the audit."""
    tenant: str | None
    """Whose jobs these are; None: jobs without a tenant."""
    everywhere: bool
    """Sees the jobs of every tenant, and the whole: lanes, workers, holds."""
    scopes: frozenset[Scope]
    expires: datetime | None = None

    def sees(self, tenant: str | None) -> bool:
        """Whether a job of that tenant is there for them."""
        return self.everywhere or tenant == self.tenant


LOCAL: Final = Bearer("local", None, everywhere=True, scopes=frozenset(Scope))
"""Whoever reaches a loopback address for which no tokens are named."""


class Tokens:
    """The tokens of one file."""

    def __init__(self, by_hash: Sequence[tuple[str, Bearer]]) -> None:
        self._by_hash = tuple(by_hash)

    def bearer(self, token: str, now: datetime) -> Bearer | None:
        """Who has this token; None for one that is unknown or has expired.

        Every hash is compared to its end, whichever fits: the time tells nothing.
        """
        given = hash_of(token)
        found: Bearer | None = None
        for known, bearer in self._by_hash:
            if hmac.compare_digest(known, given):
                found = bearer
        if found is None or (found.expires is not None and found.expires <= now):
            return None
        return found


def hash_of(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def read_tokens(file: Path) -> Tokens:
    """The tokens of a file; raises `ConfigurationError` that says what is wrong in it."""
    try:
        found = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{file} is no TOML: {error}") from None
    entries = found.get("token")
    if set(found) != {"token"} or not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{file} has no [[token]]; `processor token NAME` makes one")
    read = []
    for number, entry in enumerate(entries, 1):
        try:
            read.append(_entry(entry))
        except ValueError as wrong:
            raise ConfigurationError(f"{file}: token {number} is wrong: {wrong}") from None
    if len({known for known, _ in read}) != len(read):
        raise ConfigurationError(f"{file} has one token twice")
    return Tokens(read)


def make_token(
    subject: str, tenant: str | None, scopes: Sequence[Scope], expires: datetime | None
) -> tuple[str, str]:
    """A new token, and its entry in the file; raises `ConfigurationError`."""
    token = secrets.token_urlsafe(32)
    known = hash_of(token)
    fields: dict[str, object] = {"sha256": known, "subject": subject, "scopes": [*scopes]}
    if tenant is not None:
        fields["tenant"] = tenant
    if expires is not None:
        fields["expires"] = expires
    try:
        _entry(fields)
    except ValueError as wrong:
        raise ConfigurationError(f"no such token can be: {wrong}") from None
    lines = ["[[token]]", f'sha256 = "{known}"', f"subject = {_quoted(subject)}"]
    if tenant is not None:
        lines.append(f"tenant = {_quoted(tenant)}")
    lines.append(f"scopes = [{', '.join(_quoted(one) for one in scopes)}]")
    if expires is not None:
        lines.append(f"expires = {expires.isoformat()}")
    return token, "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _entry(entry: Mapping[str, Any]) -> tuple[str, Bearer]:
    if not isinstance(entry, dict):
        raise ValueError("it is no table")  # noqa: TRY004 - one kind of wrong
    if unknown := sorted(entry.keys() - _KEYS):
        raise ValueError(f"there is no {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    known = entry.get("sha256")
    if not isinstance(known, str) or not _HASH.fullmatch(known):
        raise ValueError("its sha256 is not 64 hexadecimal digits in small letters")
    subject = _name(entry.get("subject"), "subject")
    tenant = None if entry.get("tenant") is None else _name(entry["tenant"], "tenant")
    everywhere = tenant == EVERYWHERE
    return known, Bearer(
        subject,
        None if everywhere else tenant,
        everywhere=everywhere,
        scopes=_scopes(entry.get("scopes")),
        expires=_expires(entry.get("expires")),
    )


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"its {what} is no text that can be printed")
    if len(value.encode()) > NAME_BYTES:
        raise ValueError(f"its {what} has more than {NAME_BYTES} bytes")
    return value


def _scopes(value: object) -> frozenset[Scope]:
    words = ", ".join(Scope)
    if not isinstance(value, list) or not value:
        raise ValueError(f"its scopes are no list of some of {words}")
    try:
        return frozenset(Scope(one) for one in value)
    except (ValueError, TypeError):
        raise ValueError(f"its scopes are not of {words}") from None


def _expires(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ValueError("its expires is no time, as 2030-01-31T12:00:00Z")  # noqa: TRY004 - the same
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
