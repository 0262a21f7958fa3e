"""How much may one request ask for?"""

from __future__ import annotations

from typing import Final

from processor.domain.limits import JSON_DEPTH

BODY_BYTES: Final = 4 * 1024 * 1024
BATCH: Final = 1_000
"""Submissions of one request: more are more requests."""
DEPTH: Final = JSON_DEPTH + 4
"""Levels of a body: a payload's own, and those of what it is wrapped in."""
STREAMS: Final = 200
"""Streams of events that are open at once."""
STREAMS_EACH: Final = 50
"""And of one subject."""
WAIT_SECONDS: Final = 60.0
"""The longest that one request waits for a job's end."""
PAGE: Final = 500
"""Rows of one answer, at most."""
REASON: Final = 1_000
"""Characters of a reason."""
STREAM_SECONDS: Final = 3_600.0
"""A stream ends then; its reader comes back by itself and misses nothing."""
