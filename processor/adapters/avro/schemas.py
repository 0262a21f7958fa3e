"""Which schemas are known, by record, by version and by the mark that their records bear?

Every version ever released lies in `schemas/`: beside the package in a checkout, inside it in a
wheel. All are loaded at start, so that any record of ours can be read without asking anybody.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

MARKER: Final = b"\xc3\x01"
"""The first two bytes of Avro's single-object encoding, version 1."""
MARK_BYTES: Final = 10

_FILE_NAME = re.compile(r"(?P<record>[A-Z][A-Za-z]*)\.(?P<version>[1-9][0-9]*)\.avsc")


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one record's schema."""

    record: str
    version: int
    mark: bytes
    """`C3 01` and the CRC-64-AVRO of the parsing canonical form, little-endian."""
    parsed: dict[str, Any]
    """As fastavro wants it."""


class Schemas:
    """All versions of all records."""

    def __init__(self, known: Iterable[Schema]) -> None:
        self._by_mark: dict[bytes, Schema] = {}
        self._by_record: dict[str, dict[int, Schema]] = {}
        for schema in known:
            self._by_mark[schema.mark] = schema
            self._by_record.setdefault(schema.record, {})[schema.version] = schema

    @property
    def records(self) -> dict[str, list[Schema]]:
        """Each record's versions, oldest first."""
        return {
            record: [versions[number] for number in sorted(versions)]
            for record, versions in self._by_record.items()
        }

    def marked(self, mark: bytes) -> Schema | None:
        """The schema whose records begin with these ten bytes."""
        return self._by_mark.get(mark)

    def newest(self, record: str) -> Schema:
        """The version that this release reads as its own."""
        versions = self._by_record[record]
        return versions[max(versions)]

    def version(self, record: str, number: int) -> Schema:
        """One version; raises `ConfigurationError` where there is none."""
        versions = self._by_record.get(record)
        if versions is None:
            known = ", ".join(sorted(self._by_record))
            raise ConfigurationError(f"{record!r} is no record; the records are {known}")
        if number not in versions:
            known = ", ".join(map(str, sorted(versions)))
            raise ConfigurationError(f"{record} has no version {number}; it has {known}")
        return versions[number]


def parse(record: str, version: int, text: str) -> Schema:
    """One schema from the text of its file."""
    definition = json.loads(text)
    code = fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO")
    parsed = parse_schema(definition)
    if not isinstance(parsed, dict):
        raise ConfigurationError(f"the schema {record}.{version} is no record")
    return Schema(record, version, MARKER + bytes.fromhex(code), parsed)


def schemas_folder(package: Traversable | None = None) -> Traversable:
    """Where the schemas lie: inside the package (a wheel) or beside it (a checkout)."""
    package = files("processor") if package is None else package
    inside = package.joinpath("schemas")
    if inside.is_dir():
        return inside
    if isinstance(package, Path):
        beside = package.parent / "schemas"
        if (beside / "Submission.1.avsc").is_file():
            return beside
    raise ConfigurationError(
        "the schemas are missing from the installed job-processor; install it again"
    )


def load(folder: Traversable | None = None) -> Schemas:
    """Read every schema of a folder, by default of the one that came with this package."""
    known = []
    for file in (folder or schemas_folder()).iterdir():
        name = _FILE_NAME.fullmatch(file.name)
        if name is not None:
            text = file.read_text(encoding="utf-8")
            known.append(parse(name["record"], int(name["version"]), text))
    return Schemas(known)
