"""What does `processor migrate` do?"""

from __future__ import annotations

from processor.cli.telling import Json, tell, tell_json


def migrate(json: Json = False) -> None:
    """Create the topics and the tables that are missing; harmless when nothing is."""
    from processor.bootstrap.migrating import migrate as bring_up
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    created = run(bring_up(settings))
    if json:
        tell_json({"topics_created": created, "tables": "up to date"}, indent=2)
        return
    tell(
        f"topics created: {', '.join(created) or 'none, all were there'}",
        "tables: up to date",
    )
