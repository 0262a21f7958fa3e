"""What does `processor migrate` do?"""

from __future__ import annotations

import sys


def migrate() -> None:
    """Create the topics and the tables that are missing; harmless when nothing is."""
    from processor.bootstrap.migrating import migrate as bring_up
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    created = run(bring_up(settings))
    sys.stdout.write(f"topics created: {', '.join(created) or 'none, all were there'}\n")
    sys.stdout.write("tables: up to date\n")
