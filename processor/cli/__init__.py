"""What can be done from the command line, and how does a command end?"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import typer

from processor.domain.errors import ProcessorError
from processor.settings import describe

FAILED = 2
INTERRUPTED = 130


def _epilog() -> str:
    lines = [f"{name} ({default or 'not set'}): {text}" for name, default, text in describe()]
    return "Settings, from the environment:\n\n" + "\n\n".join(lines)


app = typer.Typer(
    name="processor",
    help="Jobs on Apache Kafka and PostgreSQL: one at a time per entity, in order, exactly once.",
    epilog=_epilog(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run one command; an error of ours is one line on stderr and exit 2, never a traceback."""
    _register()
    try:
        app()
    except ProcessorError as error:
        sys.stderr.write(f"processor: {error}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _register() -> None:
    """Name the commands; what each of them needs is imported when it runs."""
    from processor.cli.local import local
    from processor.cli.migrate import migrate
    from processor.cli.projector import projector
    from processor.cli.rebuild import rebuild
    from processor.cli.status import status
    from processor.cli.submit import submit
    from processor.cli.worker import worker

    if find_spec("processor.cli.demo") is not None:
        from processor.cli.demo import demo

        app.command()(demo)
    for command in (local, migrate, worker, projector, submit, status, rebuild):
        app.command()(command)
