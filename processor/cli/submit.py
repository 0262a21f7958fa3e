"""What does `processor submit` do?

A file goes to the log piece by piece as it is read, so that a million lines need no more memory
than a thousand. A line that is broken ends it: every line before it is appended, nothing after it
is, and the error says so. The batch id makes going on harmless: a line without an id or a key of
its own is named after batch and line number, so that what is appended is not done twice.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from processor.bootstrap.producing import Client
    from processor.cli.lines import Line
    from processor.cli.reporting import Report
    from processor.domain.errors import SubmitError
    from processor.domain.priority import Priority
    from processor.runtime.submission import Submission
    from processor.settings import Settings


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl|-", help="Lines, or - for a pipe.")],
    type_: Annotated[
        str | None, typer.Option("--type", help="For lines without a type.", show_default=False)
    ] = None,
    priority: Annotated[
        str, typer.Option(help="For lines without one: critical, high, normal or low.")
    ] = "normal",
    batch: Annotated[
        UUID | None,
        typer.Option(
            help="Go on with an earlier batch: what is appended is not done twice.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read every line, send nothing.")] = False,
) -> None:
    """Submit a file, one JSON object a line: type, payload and the other fields of a submission.

    The ids go to standard output in the order of the lines, unless that is a terminal.
    """
    from processor.cli.finding import find_settings
    from processor.cli.lines import descriptor_of
    from processor.cli.reporting import reporting
    from processor.cli.running import run
    from processor.runtime.submission import new_id

    lane = _lane(priority)
    settings = find_settings()
    if not check:
        settings.need_kafka()
    descriptor, size = descriptor_of(file)
    source = Source(descriptor, type_, batch or new_id())
    with reporting(size, source.batch, checking=check) as report:
        if check:
            run(_check(source, report))
        else:
            run(_submit(settings, source, lane, report))


def _lane(word: str) -> Priority:
    from processor.domain.priority import Priority

    try:
        return Priority.parse(word)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--priority") from None


@dataclass(slots=True)
class Source:
    """The lines as submissions, until one is broken."""

    descriptor: int
    type: str | None
    batch: UUID
    broken: SubmitError | None = field(default=None, init=False)
    """Why the lines end where they do."""

    async def pieces(self) -> AsyncIterator[Piece]:
        """As many lines as were ready together; the last piece ends before the broken line."""
        from processor.cli.lines import blocks_of_lines
        from processor.domain.errors import InvalidSubmission

        try:
            async for lines in blocks_of_lines(self.descriptor):
                piece = Piece(lines[-1].number if lines else 0)
                piece.fill(lines, self)
                yield piece
                if self.broken is not None:
                    return
        except InvalidSubmission as endless:
            self.broken = endless


@dataclass(slots=True)
class Piece:
    """Submissions that are sent together, and the lines they come from."""

    last: int
    submissions: list[Submission] = field(default_factory=list)
    read: int = 0
    """Bytes."""

    def fill(self, lines: list[Line], source: Source) -> None:
        """Take lines until one is broken, which the source then knows."""
        from processor.cli.line import submission_of
        from processor.domain.errors import InvalidSubmission

        for line in lines:
            try:
                self.submissions.append(submission_of(line, source.type, source.batch))
            except InvalidSubmission as broken:
                source.broken, self.last = broken, line.number - 1
                return
            self.read += len(line.text) + 1


async def _check(source: Source, report: Report) -> None:
    async for piece in source.pieces():
        report.advance([one.id for one in piece.submissions], piece.last, piece.read)
    if source.broken is not None:
        raise type(source.broken)(f"{source.broken}; nothing was sent", {})


async def _submit(settings: Settings, source: Source, lane: Priority, report: Report) -> None:
    from processor.bootstrap.producing import Client

    async with Client.connect(settings) as client:
        report.begin(time.monotonic())
        async with _Sending() as sending:
            async for piece in source.pieces():
                await sending.next(_send(client, piece, source.batch, lane, report))
    if source.broken is not None:
        raise report.refusal(source.broken)


class _Sending:
    """One piece is under way while the next is read, never two: order holds."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def next(self, send: Coroutine[None, None, None]) -> None:
        """Begin once the last one is done."""
        await self._settled()
        self._task = asyncio.create_task(send)
        await asyncio.sleep(0)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._settled()
        elif self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _settled(self) -> None:
        if self._task is not None:
            await self._task


async def _send(client: Client, piece: Piece, batch: UUID, lane: Priority, report: Report) -> None:
    from processor.domain.errors import SubmitError

    report.try_to(piece.last)
    try:
        ids = await client.submit(piece.submissions, priority=lane, batch=batch)
    except SubmitError as unknown:
        raise report.refusal(unknown) from None
    report.advance(ids, piece.last, piece.read)
