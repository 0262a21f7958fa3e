"""How is one record written and read in Avro's single-object encoding?"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from processor.adapters.avro.schemas import MARK_BYTES, MARKER, Schema, Schemas
from processor.ports.codec import Undecodable, UnknownSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRIPPED_OVER: Final = (EOFError, IndexError, OverflowError, SchemaResolutionError, ValueError)
"""What fastavro raises on bytes that are no record (`OverflowError` where it is not compiled)."""


class SingleObject:
    """Reads every version as the newest; writes one version per record, by default the newest."""

    def __init__(self, schemas: Schemas, written: Mapping[str, int] | None = None) -> None:
        self._schemas = schemas
        self._newest = {record: schemas.newest(record) for record in schemas.records}
        self._written = self._newest | {
            record: schemas.version(record, number) for record, number in (written or {}).items()
        }

    def schema_written(self, record: str) -> Schema:
        """The version in which a record is written."""
        return self._written[record]

    def write(self, record: str, values: Mapping[str, Any]) -> bytes:
        """The bytes of one record; raises `ValueError` or `TypeError` for what does not fit."""
        schema = self._written[record]
        stream = BytesIO()
        stream.write(schema.mark)
        schemaless_writer(stream, schema.parsed, values)
        return stream.getvalue()

    def record_of(self, value: bytes) -> str:
        """The name of the record that the bytes are marked as; raises `Undecodable`."""
        return self._schema_of(value).record

    def read(self, record: str, value: bytes) -> dict[str, Any]:
        """The fields of one record, as the newest version has them; raises `Undecodable`."""
        schema = self._schema_of(value)
        if schema.record != record:
            raise Undecodable(f"the record is marked {schema.record}, not {record}")
        newest = self._newest[record]
        stream = BytesIO(value)
        stream.seek(MARK_BYTES)
        try:
            reader = None if schema is newest else newest.parsed
            fields = schemaless_reader(stream, schema.parsed, reader)
        except _TRIPPED_OVER as fault:
            raise Undecodable(f"the bytes are no {record}: {_said(fault)}") from fault
        surplus = len(value) - stream.tell()
        if surplus:
            raise Undecodable(f"the bytes are no {record}: {surplus} too many")
        if not isinstance(fields, dict):
            raise Undecodable(f"the bytes are no {record}")
        return fields

    def _schema_of(self, value: bytes) -> Schema:
        mark = value[:MARK_BYTES]
        schema = self._schemas.marked(mark)
        if schema is not None:
            return schema
        if len(mark) < MARK_BYTES or not mark.startswith(MARKER):
            raise Undecodable("the bytes bear no mark of ours")
        raise UnknownSchema(mark[len(MARKER) :])


def _said(fault: Exception) -> str:
    return str(fault) or type(fault).__name__
