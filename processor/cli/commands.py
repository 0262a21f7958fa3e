"""Which commands are there, and what is told of them and of the settings?

What a command itself needs is imported when it runs.
"""

from __future__ import annotations

import typer

from processor.cli import dead_letters, plans
from processor.cli.api import api
from processor.cli.audit import audit
from processor.cli.bench import bench
from processor.cli.cancel import cancel
from processor.cli.chaos import chaos
from processor.cli.demo import demo
from processor.cli.doctor import doctor
from processor.cli.entity import entity
from processor.cli.explain import explain
from processor.cli.hold import hold, release
from processor.cli.local import local
from processor.cli.migrate import migrate
from processor.cli.overview import overview
from processor.cli.projector import projector
from processor.cli.rebuild import rebuild
from processor.cli.status import status
from processor.cli.submit import submit
from processor.cli.token import token
from processor.cli.words import Command
from processor.cli.worker import worker
from processor.cli.workers import workers
from processor.settings import describe

EXIT_CODES = """Exit codes: 0 it was done; 1 what was looked at is not as it should be (doctor, \
demo, chaos, rebuild, dead-letters rehearse); 2 it was refused or could not be done, and standard \
error says why in one line; 130 it was interrupted."""


def _settings() -> str:
    lines = [f"{name} ({default or 'not set'}): {text}" for name, default, text in describe()]
    return "Settings, from the environment:\n\n" + "\n\n".join(lines)


app = typer.Typer(
    name="processor",
    help="Jobs on Apache Kafka and PostgreSQL: one at a time per entity, in order, exactly once.",
    epilog=f"{EXIT_CODES}\n\n{_settings()}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    demo,
    bench,
    local,
    migrate,
    worker,
    projector,
    api,
    token,
    submit,
    status,
    explain,
    entity,
    overview,
    workers,
    doctor,
    cancel,
    hold,
    release,
    audit,
    rebuild,
    chaos,
)
for _command in _COMMANDS:
    app.command(cls=Command)(_command)
app.add_typer(dead_letters.app)
app.add_typer(plans.app)
