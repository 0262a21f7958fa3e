"""Can two versions of one record read each other? Says each way in which they cannot."""

from collections.abc import Iterator
from io import BytesIO
from itertools import zip_longest
from typing import Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from processor.adapters.avro import Schema

SLICED = {"Submission": 4, "Outcome": 6, "Live": 4}
"""How many fields at the front of a record may be sliced."""

PRIMITIVES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True, False],
    "int": [0, -1, 2**31 - 1],
    "long": [0, 2**62],
    "double": [0.5],
    "string": ["", "ü"],
    "bytes": [b"", b"\0\xff"],
}


def faults(older: Schema, newer: Schema) -> list[str]:
    """Each fault once; none for two versions that read each other."""
    found = [*_moved(older, newer), *_lost(older.parsed, newer.parsed, older.record)]
    for writer, reader in ((older, newer), (newer, older)):
        for value in samples(writer.parsed, {}):
            fault = _unreadable(value, writer, reader)
            if fault is not None and fault not in found:
                found.append(fault)
    return found


def samples(type_: object, named: dict[str, Any]) -> list[Any]:
    """A few values of a type, in which each branch of each union occurs."""
    if isinstance(type_, list):
        return [value for branch in type_ for value in samples(branch, named)]
    if isinstance(type_, dict):
        named[type_.get("name", "")] = type_
        return _complex(type_, named)
    word = str(type_)
    return PRIMITIVES[word] if word in PRIMITIVES else samples(named[word], named)


def _complex(type_: dict[str, Any], named: dict[str, Any]) -> list[Any]:
    match type_["type"]:
        case "record":
            return _records(type_, named)
        case "array":
            return [[], samples(type_["items"], named)]
        case "fixed":
            return [bytes(range(type_["size"]))]
        case "enum":
            return list(type_["symbols"])
        case inner:
            return samples(inner, named)


def _records(type_: dict[str, Any], named: dict[str, Any]) -> list[Any]:
    columns = {field["name"]: samples(field["type"], named) for field in type_["fields"]}
    longest = max(map(len, columns.values()))
    return [
        {name: column[row % len(column)] for name, column in columns.items()}
        for row in range(longest)
    ]


def _unreadable(value: dict[str, Any], writer: Schema, reader: Schema) -> str | None:
    stream = BytesIO()
    schemaless_writer(stream, writer.parsed, value)
    stream.seek(0)
    way = f"version {reader.version} does not read version {writer.version}"
    try:
        read: Any = schemaless_reader(stream, writer.parsed, reader.parsed)
    except (SchemaResolutionError, ValueError, KeyError, TypeError) as fault:
        return f"{way}: {str(fault) or type(fault).__name__}"
    for name in value.keys() & read.keys():
        if not _contains(read[name], value[name]):
            return f"{way}: {name} becomes {read[name]!r} instead of {value[name]!r}"
    return None


def _contains(read: object, written: object) -> bool:
    """Whether what was read agrees with what was written wherever both say something."""
    if isinstance(read, dict) and isinstance(written, dict):
        return all(_contains(read[name], written[name]) for name in read.keys() & written.keys())
    if isinstance(read, list) and isinstance(written, list):
        return len(read) == len(written) and all(map(_contains, read, written))
    return bool(read == written)


def _moved(older: Schema, newer: Schema) -> Iterator[str]:
    count = SLICED.get(older.record, 0)
    pairs = zip_longest(older.parsed["fields"][:count], newer.parsed["fields"][:count])
    for before, after in pairs:
        if after is None or (before["name"], before["type"]) != (after["name"], after["type"]):
            yield f"{before['name']} is sliced and has moved or changed"


def _lost(older: object, newer: object, path: str) -> Iterator[str]:
    """The fields that the newer one has neither by name nor by alias, at any depth."""
    for inner_older, inner_newer in zip(_inner(older), _inner(newer), strict=False):
        yield from _lost(inner_older, inner_newer, path)
    if not (isinstance(older, dict) and isinstance(newer, dict) and "fields" in older):
        return
    after = {
        name: field
        for field in newer.get("fields", [])
        for name in (field["name"], *field.get("aliases", []))
    }
    for field in older["fields"]:
        place = f"{path}.{field['name']}"
        if field["name"] not in after:
            yield f"{place} was removed, or renamed without an alias"
        else:
            yield from _lost(field["type"], after[field["name"]]["type"], place)


def _inner(type_: object) -> list[Any]:
    if isinstance(type_, list):
        return [branch for branch in type_ if isinstance(branch, dict)]
    if isinstance(type_, dict) and "items" in type_:
        return [type_["items"]]
    return []
