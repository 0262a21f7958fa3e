"""What is everything in memory called, and how is it written?"""

from __future__ import annotations

from typing import Final

from processor.adapters.avro import AvroCodec
from processor.domain.topics import Topics

TOPICS: Final = Topics("jobs")
CODEC: Final = AvroCodec()
TIMELINE: Final = 1
"""Of the first database."""
