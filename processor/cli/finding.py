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
    found = settings_of_local(None)
    if not found:
        return settings
    sys.stderr.write(f"using the local stack: Kafka {found['JOBS_KAFKA']}\n")
    return Settings.from_env(found | os.environ)


def settings_of_local(folder: Path | None) -> dict[str, str]:
    """The variables that name a running `processor local`, by default that of JOBS_LOCAL."""
    from processor.local.stack import find

    named = Settings.from_env(os.environ).local
    stack = find(folder or (None if named is None else Path(named)))
    if stack is None:
        return {}
    return {"JOBS_KAFKA": stack.kafka, "JOBS_DATABASE": stack.database, **_LOCAL}
