"""What does `processor projector` do?"""

from __future__ import annotations


def projector() -> None:
    """Fold the topics into the history and the dead letters, until Ctrl-C.

    A second one stands by and takes over when the first has gone.
    """
    from processor.bootstrap.projecting import projecting
    from processor.cli.finding import find_settings
    from processor.cli.running import run, serve

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    run(serve(projecting(settings)), quiet=False)
