"""Which blocking calls does a test forbid? Every one that our own code makes inside a coroutine."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True, scope="module")
def blocking_calls_fail() -> Iterator[None]:
    """Raise `BlockingError` where a frame of ours blocks a running loop."""
    with blockbuster_ctx(scanned_modules=["processor", "projections"]):
        yield
