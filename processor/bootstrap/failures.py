"""Which of several failures that belong together is told?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from processor.domain.errors import ProcessorError
from processor.ports.ledger import Fault
from processor.ports.log import LogCut


@contextmanager
def one_failure() -> Iterator[None]:
    """Raise one failure of a group of tasks as itself: the only one, or the first that has a name.

    Several that are bugs stay a group, so that none of them is hidden.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        single = list(_singly(group))
        named = [one for one in single if isinstance(one, ProcessorError | LogCut | Fault)]
        if len(single) > 1 and not named:
            raise
        raise (named or single)[0] from None


def _singly(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _singly(one)
        else:
            yield one
