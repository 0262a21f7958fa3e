"""How do domain values become Avro, and Avro domain values? The codec, and what can be sliced."""

from processor.adapters.avro.codec import AvroCodec
from processor.adapters.avro.heads import OutcomeHead, job_and_generation, outcome_head
from processor.adapters.avro.schemas import Schema, Schemas, load, schemas_folder

__all__ = [
    "AvroCodec",
    "OutcomeHead",
    "Schema",
    "Schemas",
    "job_and_generation",
    "load",
    "outcome_head",
    "schemas_folder",
]
