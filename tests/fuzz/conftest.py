"""Which inputs are tried? Each is made of its seed alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Sequence[int]:
    """From 0, as many as the test asks for; with `--seed` that one alone."""
    only: int | None = request.config.getoption("--seed")
    many, each = request.param
    request.node.user_properties.append(("runs", many * each))
    return range(many) if only is None else (only,)
