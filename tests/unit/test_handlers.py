"""Does a registration take what an application has in its hands?"""

from __future__ import annotations

from typing import Any

import pytest

from processor import ConfigurationError, Jobs, Request
from processor.runtime.handlers import Mode


def test_a_handler_may_be_registered_for_another_type_too() -> None:
    jobs = Jobs()

    @jobs.handler("landed")
    async def landed(request: Request[int]) -> int:
        return request.payload + 1

    again = jobs.register("diverted", landed)
    assert again.function is landed.function
    assert (again.parse(b"7"), again.in_thread) == (7, False)
    assert list(jobs) == ["landed", "diverted"]


def test_a_handler_without_a_transaction_shares_none() -> None:
    jobs = Jobs()

    def landed(request: Request[int]) -> int:
        return request.payload

    with pytest.raises(ConfigurationError, match="runs in a thread and has none"):
        jobs.register("landed", landed, transaction="grouped")
    wrong: Any = "shared"
    with pytest.raises(ConfigurationError, match="'own' or 'grouped', not 'shared'"):
        jobs.register("landed", landed, transaction=wrong)
    assert not list(jobs)


def test_that_a_type_shares_its_transaction_is_known_as_long_as_it_does() -> None:
    jobs = Jobs()

    async def landed(request: Request[int]) -> int:
        return request.payload

    jobs.register("own", landed)
    seen = [jobs.grouped]
    modes: tuple[Mode, ...] = ("grouped", "own")
    for mode in modes:
        jobs.register("landed", landed, transaction=mode)
        seen.append(jobs.grouped)
    assert seen == [False, True, False]


def test_the_payload_of_a_batch_is_that_of_its_requests() -> None:
    jobs = Jobs()

    @jobs.batch_handler("landed")
    async def landed(requests: list[Request[int]], session: Any) -> list[int]:  # noqa: ANN401
        return [request.payload for request in requests]

    again = jobs.register("diverted", landed, transaction="grouped")
    for handler in (landed, again):
        assert handler.batch is not None
        assert handler.parse(b"7") == 7
        assert (handler.is_grouped, handler.in_thread) == (True, False)
