"""Which broker and which database does a command work with?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from processor.settings import Settings

# What an embedded stack is for: one broker, and a worker's death seen soon.
_LOCAL = {"JOBS_REPLICATION": "1", "JOBS_SESSION_TIMEOUT": "6"}


def find_settings() -> Settings:
    """What the environment says; without `JOBS_KAFKA`, a running `processor local` says where.

    Raises `ConfigurationError` for a wrong variable; a missing one is told by whoever needs it.
    """
    settings = Settings.from_env(os.environ)
    if settings.kafka is not None:
        return settings
    from processor.local.stack import find

    stack = find(None if settings.local is None else Path(settings.local))
    if stack is None:
        return settings
    sys.stderr.write(f"using the stack in {stack.folder}: Kafka {stack.kafka}\n")
    found = {"JOBS_KAFKA": stack.kafka, "JOBS_DATABASE": stack.database}
    return Settings.from_env(_LOCAL | found | os.environ)
