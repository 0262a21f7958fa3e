"""What is handed over and made only if somebody looks?

A sampler drops most spans by their trace's id alone: attributes and links that cost more than all
else of a span are then never made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

Value = TypeVar("Value")


class MappingWhenAsked(Mapping[str, Value], Generic[Value]):
    """A mapping that is made at the first look."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[str, Value]]) -> None:
        self._make = make
        self._made: Mapping[str, Value] | None = None

    def _all(self) -> Mapping[str, Value]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> Value:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        """Whether there may be any: nothing is made to tell."""
        return True


class SequenceWhenAsked(Sequence[Value], Generic[Value]):
    """A sequence that is made at the first look."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Sequence[Value]]) -> None:
        self._make = make
        self._made: Sequence[Value] | None = None

    def _all(self) -> Sequence[Value]:
        if self._made is None:
            self._made = self._make()
        return self._made

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | Sequence[Value]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        """Whether there may be any: nothing is made to tell."""
        return True
