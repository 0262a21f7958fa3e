"""Which function runs a job of which type, on what payload, under which policy?"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import TypeAdapter

from processor.domain.errors import ConfigurationError
from processor.domain.retry import Retry
from processor.runtime.parsing import parse
from processor.runtime.request import Request
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Iterator

P = TypeVar("P")
Function = Callable[[Request[P]], Awaitable[object]] | Callable[[Request[P]], object]

DEFAULT_TIMEOUT = 300.0
"""Seconds an attempt may take."""


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """A registered function; calling it calls the function."""

    type: str
    function: Function[P]
    payload: TypeAdapter[P]
    retry: Retry
    timeout: float
    """Seconds an attempt may take."""
    in_thread: bool
    """A `def` function: runs in a thread and has no transaction."""

    def __call__(self, request: Request[P]) -> object:
        """Call the function itself, as a test would."""
        return self.function(request)

    def parse(self, payload: bytes) -> P:
        """The payload as the handler's model; raises `ParseError` without any value of it."""
        return parse(payload, self.payload)

    def submission(self, payload: P, **fields: Any) -> Submission:  # noqa: ANN401 - Submission's own
        """Make a submission of this type; `fields` are those of `Submission`."""
        return Submission(self.type, payload, **fields)


class Jobs:
    """The handlers by type; they may be registered at any time, also while a worker runs."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler[Any]] = {}

    def __iter__(self) -> Iterator[str]:
        """The types there are handlers for."""
        return iter(tuple(self._handlers))

    def find(self, type_: str) -> Handler[Any] | None:
        """The handler of a type."""
        return self._handlers.get(type_)

    def handler(
        self, type_: str, *, retry: Retry | None = None, timeout: float = DEFAULT_TIMEOUT
    ) -> Callable[[Function[P]], Handler[P]]:
        """Register the decorated function; the payload's model is taken from its annotation."""

        def decorate(function: Function[P]) -> Handler[P]:
            return self.register(type_, function, retry=retry, timeout=timeout)

        return decorate

    def register(
        self,
        type_: str,
        function: Function[P],
        *,
        retry: Retry | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Handler[P]:
        """Register a function, or another type's handler, for a type, in the place of any other."""
        if isinstance(function, Handler):
            function = function.function
        if timeout <= 0:
            message = f"the time-out of {type_!r} must be more than 0 seconds, not {timeout}"
            raise ConfigurationError(message)
        handler = Handler(
            type_,
            function,
            TypeAdapter(_payload_of(function)),
            retry or Retry(),
            timeout,
            in_thread=not inspect.iscoroutinefunction(inspect.unwrap(function)),
        )
        self._handlers[type_] = handler
        return handler


def _payload_of(function: Callable[..., object]) -> Any:  # noqa: ANN401 - whatever is annotated
    """What `Request[...]` says of the first parameter; anything JSON where it says nothing."""
    hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    for name in inspect.signature(function).parameters:
        annotation = hints.get(name)
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        if get_origin(annotation) is Request:
            return get_args(annotation)[0]
        return Any
    message = f"the handler {function.__qualname__} must take a Request"
    raise ConfigurationError(message)
