"""How large may things be?

Checked before sending or before COMMIT: what passed here always fits a dead letter and its replay.
"""

from __future__ import annotations

from typing import Final

PAYLOAD_BYTES: Final = 512 * 1024
RESULT_BYTES: Final = 256 * 1024
ERROR_BYTES: Final = 16 * 1024
ERRORS_KEPT: Final = 20
FOLLOW_UPS: Final = 1_000
FOLLOW_UP_BYTES: Final = 1024 * 1024
NAME_BYTES: Final = 255
JSON_DEPTH: Final = 64
RECORD_BYTES: Final = 4 * 1024 * 1024
"""`max.message.bytes` of every topic."""
OUTCOME_BYTES: Final = RECORD_BYTES - 64 * 1024
"""An encoded outcome: a record's limit less the log's own overhead."""
TEXT_BYTES: Final = 1024
"""A caller's user agent or a note on progress, which are no names and often longer."""
LAST_MOMENT: Final = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds since the epoch: beyond it neither Python nor SQL has a
date, and before the epoch no time of ours lies."""
