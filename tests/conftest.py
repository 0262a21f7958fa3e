"""On which broker and database do the tests run?

`--stack local` (the default) starts the embedded stack when the first test asks for it;
`--stack containers` starts the same two servers through testcontainers.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

import psutil
import pytest
from hypothesis import HealthCheck, settings

from processor.local.stack import LocalStack, Stack
from processor.testing.embedded import embedded, own_database, own_namespace
from tests import proofs
from tests.hazards import HAZARDS
from tests.processes import files, processes
from tests.stacks import containers, engine_missing

pytest_plugins = ["processor.testing.fixtures"]

USUAL = "not long"
"""The tests that run when nobody asks for others."""

NOT_RUN = "not run on --stack containers"

# A busy machine is no fault of an example: no test here asserts a time.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="where tests find Kafka and PostgreSQL: started by themselves, or in containers",
    )
    parser.addoption(
        "--seed", type=int, help="of the one fuzzed input that is to be tried again, alone"
    )
    parser.addoption(
        "--hazard", choices=HAZARDS, metavar="H1…H49", help="only the tests that produce it"
    )
    parser.addoption("--screenshots", metavar="FOLDER", help="where pictures of the pages are put")
    parser.addoption(
        "--proofs", action="store_true", help="keep how often each proof ran; see tests/proofs.py"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--hazard` the tests of that one alone."""
    if name := config.getoption("--hazard"):
        wanted = HAZARDS[name].tests
        others = [one for one in items if getattr(one, "originalname", "") not in wanted]
        config.hook.pytest_deselected(items=others)
        items[:] = [one for one in items if one not in others]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The usual tests share two processes; whoever picks some of them by name has one."""
    option = config.option
    if option.keyword or option.lf or option.markexpr != USUAL:
        return 0
    named = files(config.args, config.invocation_params.dir)
    return processes(named, os.cpu_count() or 1, psutil.virtual_memory().available)


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Skips are easily overlooked: say plainly when the containers were not there."""
    if config.getoption("--proofs"):
        keep_figures(terminalreporter, config.invocation_params.args)
    skipped = terminalreporter.getreports("skipped")
    missed = [report for report in skipped if NOT_RUN in str(report.longrepr)]
    if missed:
        terminalreporter.write_sep("!", f"{len(missed)} tests were {NOT_RUN}: no container engine")


def keep_figures(reporter: pytest.TerminalReporter, arguments: Sequence[object]) -> None:
    """Of this session, into `proofs.json` and the README."""
    reports = [*reporter.getreports("passed"), *reporter.getreports("failed")]
    told = [
        (
            report.location[2].partition("[")[0],
            int(dict(report.user_properties).get("runs", 1)),
            report.passed,
        )
        for report in reports
        if report.when == "call"
    ]
    proofs.keep(proofs.count([*map(str, arguments)], told))


@pytest.fixture(scope="session")
def local_stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """The embedded stack with its handles: kill, stop, start, frozen.

    They block: inside a coroutine call them through `asyncio.to_thread`.
    """
    if request.config.getoption("--stack") != "local":
        pytest.skip("kills and restarts servers, which only --stack local can")
    with embedded() as started:
        yield started


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A broker and a database, the same for the whole session."""
    if request.config.getoption("--stack") == "local":
        local: LocalStack = request.getfixturevalue("local_stack")
        yield local.stack
        return
    if reason := engine_missing():
        pytest.skip(f"{NOT_RUN}: it needs a container engine, {reason}")
    with containers(tmp_path_factory.mktemp("containers")) as started:
        yield started


@pytest.fixture
def namespace() -> str:
    """A namespace of topics and groups that no other test has."""
    return own_namespace()


@pytest.fixture(scope="session")
def jobs_stack(stack: Stack) -> Stack:
    """What the fixtures that users have stand on: the same for all of our tests."""
    return stack


@pytest.fixture
def database(stack: Stack, jobs_template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    with own_database(stack, jobs_template) as url:
        yield url
