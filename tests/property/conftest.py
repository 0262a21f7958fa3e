"""A blocking call of ours inside a coroutine fails the test that made it."""

from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]
