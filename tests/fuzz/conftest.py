"""Which inputs are tried? Each is made of its seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.blocking import blocking_calls_fail
from tests.door import Door

__all__ = ["blocking_calls_fail"]


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Sequence[int]:
    """From 0, as many as the test asks for; with `--seed` that one alone."""
    only: int | None = request.config.getoption("--seed")
    many, each = request.param
    request.node.user_properties.append(("runs", many * each))
    return range(many) if only is None else (only,)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """The API over a cluster in memory that has a dead, a held and no other job."""
    made = Door()
    made.open()
    yield made
    made.close()
