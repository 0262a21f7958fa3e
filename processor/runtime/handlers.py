"""Which function runs a job of which type, on what payload, under which policy?"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import TypeAdapter

from processor.domain.breaker import Breaker
from processor.domain.errors import ConfigurationError
from processor.domain.retry import Retry
from processor.runtime.batching import OneByOne
from processor.runtime.parsing import parse
from processor.runtime.request import Request
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.runtime.batching import BatchFunction

P = TypeVar("P")
Function = Callable[[Request[P]], Awaitable[object]] | Callable[[Request[P]], object]
Mode = Literal["own", "grouped"]
"""Whether a job has a database transaction of its own, or may share one with others."""

DEFAULT_TIMEOUT = 300.0
"""Seconds an attempt may take."""
DEFAULT_BREAKER = Breaker()


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
    transaction: Mode = "own"
    breaker: Breaker | None = DEFAULT_BREAKER
    """When failing attempts hold the type; None: never."""
    batch: BatchFunction[P] | None = None
    """Works several jobs at once; `function` then works one by it."""

    @property
    def is_grouped(self) -> bool:
        """Whether its jobs may share a transaction."""
        return self.transaction == "grouped"

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
        self._grouped = False

    def __iter__(self) -> Iterator[str]:
        """The types there are handlers for."""
        return iter(tuple(self._handlers))

    def find(self, type_: str) -> Handler[Any] | None:
        """The handler of a type."""
        return self._handlers.get(type_)

    @property
    def grouped(self) -> bool:
        """Whether jobs of any type may share a transaction."""
        return self._grouped

    def handler(
        self,
        type_: str,
        *,
        retry: Retry | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        transaction: Mode = "own",
        breaker: Breaker | None = DEFAULT_BREAKER,
    ) -> Callable[[Function[P]], Handler[P]]:
        """Register the decorated function; the payload's model is taken from its annotation.

        With `transaction="grouped"` waiting jobs of different entities share a transaction, each
        behind a savepoint: for short handlers whose only effects go through the request, since one
        may be run again because of another.

        `breaker` says when failing attempts hold the type until a probe succeeds; None: never.
        """

        def decorate(function: Function[P]) -> Handler[P]:
            return self.register(
                type_,
                function,
                retry=retry,
                timeout=timeout,
                transaction=transaction,
                breaker=breaker,
            )

        return decorate

    def batch_handler(
        self,
        type_: str,
        *,
        retry: Retry | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        breaker: Breaker | None = DEFAULT_BREAKER,
    ) -> Callable[[BatchFunction[P]], Handler[P]]:
        """Register a function that works several jobs of different entities at once.

        It takes their requests and one session, in which they share everything; it returns a result
        for each, in their order, or None. Where it raises, each job is worked alone, as a list of
        one: what it raises then is that job's failure. `timeout` is for the whole list.
        """

        def decorate(function: BatchFunction[P]) -> Handler[P]:
            return self.register(
                type_,
                OneByOne(function),
                retry=retry,
                timeout=timeout,
                transaction="grouped",
                breaker=breaker,
            )

        return decorate

    def register(
        self,
        type_: str,
        function: Function[P],
        *,
        retry: Retry | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        transaction: Mode = "own",
        breaker: Breaker | None = DEFAULT_BREAKER,
    ) -> Handler[P]:
        """Register a function, or another type's handler, for a type, in the place of any other."""
        if isinstance(function, Handler):
            function = function.function
        if timeout <= 0:
            message = f"the time-out of {type_!r} must be more than 0 seconds, not {timeout}"
            raise ConfigurationError(message)
        batch = function.batch if isinstance(function, OneByOne) else None
        handler = Handler(
            type_,
            function,
            TypeAdapter(_payload_of(function if batch is None else batch)),
            retry or Retry(),
            timeout,
            in_thread=batch is None and not inspect.iscoroutinefunction(inspect.unwrap(function)),
            transaction=transaction,
            breaker=breaker,
            batch=batch,
        )
        _check_mode(handler)
        self._handlers[type_] = handler
        self._grouped = any(one.is_grouped for one in self._handlers.values())
        return handler


def _check_mode(handler: Handler[Any]) -> None:
    if handler.transaction not in get_args(Mode):
        message = f"transaction is 'own' or 'grouped', not {handler.transaction!r}"
        raise ConfigurationError(message)
    if handler.is_grouped and handler.in_thread:
        message = (
            f"the handler of {handler.type!r} cannot share a transaction: a `def` handler runs in a"
            " thread and has none; make it `async def`"
        )
        raise ConfigurationError(message)


def _payload_of(function: Callable[..., object]) -> Any:  # noqa: ANN401 - whatever is annotated
    """What `Request[...]` says of the first parameter; anything JSON where it says nothing."""
    hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    for name in inspect.signature(function).parameters:
        annotation = hints.get(name)
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        if get_origin(annotation) in (list, Sequence):  # of a batch
            annotation = get_args(annotation)[0]
        if get_origin(annotation) is Request:
            return get_args(annotation)[0]
        return Any
    message = f"the handler {function.__qualname__} must take a Request"
    raise ConfigurationError(message)
