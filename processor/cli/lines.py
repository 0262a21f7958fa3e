"""How are the lines of a file or a pipe read, without holding the file or the loop?

A thread of its own reads blocks from the bare descriptor, so that a pipe which says nothing for an
hour stops neither the loop nor the end of the process; a bounded number of blocks lies ready.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from processor.domain.errors import ConfigurationError, InvalidSubmission
from processor.domain.limits import RECORD_BYTES

BLOCK: Final = 256 * 1024
READY: Final = 4
LINE_BYTES: Final = 2 * RECORD_BYTES
"""No line that fits can be longer, whatever escapes it uses."""


class Line(NamedTuple):
    """One line and its number, from 1."""

    number: int
    text: bytes


def descriptor_of(file: str) -> tuple[int, int | None]:
    """An open descriptor and the size, where it has one; `-` is standard input.

    Raises `ConfigurationError` where it cannot be opened.
    """
    try:
        descriptor = sys.stdin.fileno() if file == "-" else os.open(file, os.O_RDONLY)
        found = os.fstat(descriptor)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is closed"
        raise ConfigurationError(f"{file} cannot be read: {why}") from None
    if stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{file} cannot be read: it is a folder")
    return descriptor, found.st_size or None


async def blocks_of_lines(descriptor: int) -> AsyncIterator[list[Line]]:
    """The lines that are not blank, as they come; `InvalidSubmission` for one that does not end."""
    blocks = _Blocks(descriptor)
    rest = bytearray()
    number = 0
    async for block in blocks.read():
        first, *others = block.split(b"\n")
        rest += first
        if others:
            whole = [bytes(rest), *others[:-1]]
            rest = bytearray(others[-1])
            yield list(_numbered(whole, number))
            number += len(whole)
        if len(rest) > LINE_BYTES:
            raise InvalidSubmission(f"line {number + 1} is no line: it does not end", {})
    if rest:
        yield list(_numbered([bytes(rest)], number))


def _numbered(lines: list[bytes], before: int) -> Iterator[Line]:
    for number, text in enumerate(lines, before + 1):
        if text.strip():
            yield Line(number, text)


class _Blocks:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._room = threading.Semaphore(READY)

    async def read(self) -> AsyncIterator[bytes]:
        threading.Thread(target=self._fill, name="reading lines", daemon=True).start()
        while block := await self._ready.get():
            if isinstance(block, OSError):
                raise ConfigurationError(f"the input cannot be read further: {block.strerror}")
            yield block
            self._room.release()

    def _fill(self) -> None:
        block: bytes | OSError = b"\n"
        while block and not isinstance(block, OSError):
            self._room.acquire()
            try:
                block = os.read(self._descriptor, BLOCK)
            except OSError as error:
                block = error
            with suppress(RuntimeError):  # the loop has ended: nobody waits for it
                self._loop.call_soon_threadsafe(self._ready.put_nowait, block)
