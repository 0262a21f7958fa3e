"""How do domain values become Avro, and Avro domain values?"""

from processor.adapters.avro.codec import AvroCodec
from processor.adapters.avro.schemas import Schema, Schemas, load, schemas_folder

__all__ = ["AvroCodec", "Schema", "Schemas", "load", "schemas_folder"]
