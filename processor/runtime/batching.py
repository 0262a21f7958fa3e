"""How does a handler that works several jobs at once work one?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from processor.domain.errors import ResultInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from processor.runtime.request import Request

    BatchFunction = Callable[[list["Request[P]"], AsyncSession], Awaitable[Sequence[object] | None]]

P = TypeVar("P")


class OneByOne(Generic[P]):
    """A batch handler as a handler of single requests: its list has one."""

    def __init__(self, batch: BatchFunction[P]) -> None:
        self.batch = batch
        self.__name__ = getattr(batch, "__name__", type(batch).__name__)

    async def __call__(self, request: Request[P]) -> object:
        """Work one job."""
        session = await request.session()
        return results_of(await self.batch([request], session), 1)[0]


def results_of(returned: object, number: int) -> Sequence[Any]:
    """A result for each job of a batch; raises `ResultInvalid`."""
    if returned is None:
        return [None] * number
    if not isinstance(returned, list | tuple) or len(returned) != number:
        raise ResultInvalid(
            f"a batch handler returns a list with a result for each of its {number} requests,"
            " in their order, or None"
        )
    return returned
