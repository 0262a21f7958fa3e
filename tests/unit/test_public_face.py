"""Is everything that is promised to be importable there, and nothing loaded before it is used?"""

from __future__ import annotations

import subprocess
import sys

import pytest

import processor

HEAVY = {"aiokafka", "asyncpg", "sqlalchemy", "alembic", "fastavro", "typer", "rich", "uvloop"}


def loaded_by(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after this."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return HEAVY & set(told.stdout.split())


def test_every_public_name_is_there() -> None:
    for name in processor.__all__:
        assert getattr(processor, name).__name__ == name
    assert dir(processor) == processor.__all__ == sorted(processor.__all__)


def test_a_name_that_is_not_public_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'processor' has no attribute 'Manager'"):
        _ = processor.Manager


def test_every_error_is_one_of_ours() -> None:
    named = [getattr(processor, name) for name in processor.__all__]
    errors = [one for one in named if isinstance(one, type) and issubclass(one, Exception)]
    assert len(errors) == 17
    assert all(issubclass(error, processor.ProcessorError) for error in errors)


def test_describing_jobs_loads_no_broker_and_no_database() -> None:
    assert loaded_by("from processor import Jobs, Priority, Request, Retry, Submission") == set()


def test_a_producer_loads_no_object_mapper() -> None:
    loaded = loaded_by("from processor import Client")
    assert loaded & {"sqlalchemy", "alembic", "typer"} == set()


def test_help_is_told_without_loading_what_commands_need() -> None:
    code = "import sys; sys.argv = ['processor', '--help']\nfrom processor.cli import main\n"
    told = f"{code}try:\n    main()\nexcept SystemExit: pass"
    assert loaded_by(told) - {"typer", "rich"} == set()
