"""Does a registration take what an application has in its hands?"""

from __future__ import annotations

from processor import Jobs, Request


def test_a_handler_may_be_registered_for_another_type_too() -> None:
    jobs = Jobs()

    @jobs.handler("landed")
    async def landed(request: Request[int]) -> int:
        return request.payload + 1

    again = jobs.register("diverted", landed)
    assert again.function is landed.function
    assert (again.parse(b"7"), again.in_thread) == (7, False)
    assert list(jobs) == ["landed", "diverted"]
