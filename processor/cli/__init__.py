"""How does a command begin and end?

Nothing heavy is imported before `main` runs: an interruption while it loads ends as quietly as any.
"""

from __future__ import annotations

import os
import sys

from processor.domain.errors import ProcessorError

FAILED = 2
INTERRUPTED = 130


def main() -> None:
    """Run one command; an error of ours is one line on stderr and exit 2, never a traceback."""
    try:
        from processor.cli.commands import app

        app()
    except ProcessorError as error:
        from processor.cli.telling import plain

        sys.stderr.write(f"processor: {plain(str(error))}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
