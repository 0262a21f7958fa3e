"""How does a test get the real stack? By `pytest_plugins = ["processor.testing.fixtures"]`.

Only who asks for it so has these fixtures: no entry point loads them into other people's tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from processor.domain.errors import ConfigurationError
from processor.local.stack import Stack, StackError
from processor.settings import Settings
from processor.testing.embedded import embedded, migrated_template, own_settings


@pytest.fixture(scope="session")
def jobs_stack() -> Iterator[Stack]:
    """A Kafka and a PostgreSQL, started when the first test asks for them; needs `[local]`.

    Override it to give the tests other ones.
    """
    with ExitStack() as held:
        try:
            started = held.enter_context(embedded())
        except (ConfigurationError, StackError) as error:
            pytest.fail(str(error), pytrace=False)
        yield started.stack


@pytest.fixture(scope="session")
def jobs_template(jobs_stack: Stack) -> str:
    """The name of a migrated database without rows, from which each test's is copied."""
    return migrated_template(jobs_stack)


@pytest.fixture
def jobs_settings(jobs_stack: Stack, jobs_template: str) -> Iterator[Settings]:
    """Settings for `Worker` and `Client.connect`: topics and a database of the test's own."""
    with own_settings(jobs_stack, jobs_template) as settings:
        yield settings
