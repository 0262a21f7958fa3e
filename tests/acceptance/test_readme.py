"""Is what the README says true, and does its code run?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from processor.cli.commands import EXIT_CODES
from processor.local.stack import Stack, find
from processor.runtime import telemetry
from processor.settings import Settings
from tests.diagram import life
from tests.written import written_tests

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]
FILES = ("app.py", "produce.py", "inside.py", "test_app.py", "conftest.py", "test_stack.py")
OVERRIDE = """
import pytest
from pathlib import Path
from processor.local.stack import Stack

@pytest.fixture(scope="session")
def jobs_stack():
    return Stack(Path({folder!r}), {kafka!r}, {database!r})

@pytest.fixture(scope="session")
def jobs_template():
    return {template!r}
"""
SECONDS = 90.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, code in zip(FILES, PYTHON, strict=True):
        (tmp_path / name).write_text(code)
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """A shell in which the README's own `processor local` runs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    data = folder / "local"
    shell = {**ours, "PATH": path, "JOBS_LOCAL": str(data)}
    local = subprocess.Popen(["bash", "-c", f"exec {SHELL[2]}"], cwd=folder, env=shell)
    deadline = time.monotonic() + SECONDS
    while find(data) is None:
        assert local.poll() is None, "processor local has ended"
        assert time.monotonic() < deadline, "processor local did not start"
    yield shell
    local.send_signal(signal.SIGINT)
    assert local.wait(SECONDS) == 0


def test_its_code_runs_as_it_stands(folder: Path, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        ["bash", "-ec", SHELL[3]],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            assert shell.stdout is not None
            told = "".join(_until("ParseError:", shell.stdout))
            inside = subprocess.run(
                [sys.executable, "inside.py"],
                cwd=folder,
                env=environment | _exported(environment),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=True,
            )
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
    assert "{'minutes': 227}" in told, told
    assert "failed ParseError" in told, told
    assert "flight.landed is failed: ParseError" in told
    assert "{'minutes': 5}" in inside.stdout.splitlines()


def test_its_tests_pass_as_they_stand(folder: Path, stack: Stack, jobs_template: str) -> None:
    with (folder / "conftest.py").open("a") as conftest:  # it starts no second broker
        conftest.write(
            OVERRIDE.format(
                folder=str(stack.folder),
                kafka=stack.kafka,
                database=stack.database,
                template=jobs_template,
            )
        )
    done = subprocess.run(  # pytest alone, without a plugin for coroutines
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def _exported(environment: dict[str, str]) -> dict[str, str]:
    told = subprocess.run(
        ["processor", "local", "--env"], env=environment, capture_output=True, text=True, check=True
    )
    return dict(re.findall(r"export (\w+)=(\S+)", told.stdout))


def _until(word: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if word in line and "failed" in line and "flight.landed" not in line:
            return


def test_its_picture_is_drawn_from_the_transition_table() -> None:
    (drawn,) = (code for language, code in BLOCKS if language == "mermaid")
    assert drawn.strip() == life()


def test_every_test_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", README))
    assert named
    assert named <= written_tests()


def test_every_metric_is_named() -> None:
    instruments = re.findall(r"^\| (job\.\w+) \|", telemetry.__doc__ or "", flags=re.MULTILINE)
    assert len(instruments) == 15
    assert set(re.findall(r"`(job\.\w+)`", README)) - {"job.py"} == set(instruments)


def test_its_exit_codes_are_those_that_help_tells() -> None:
    told = README.replace("`", "")
    assert EXIT_CODES.removesuffix(".") in told


def test_its_table_of_settings_is_whole() -> None:
    for setting in fields(Settings):
        row = f"| `{setting.metadata['variable']}` |"
        (line,) = [line for line in README.splitlines() if line.startswith(row)]
        assert line.endswith(f"| {setting.metadata['text']} |")
