"""Does any line of a file that is submitted end in anything but a submission or one clear line?"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from processor.adapters.avro import AvroCodec
from processor.cli.line import submission_of
from processor.cli.lines import LINE_BYTES, Line
from processor.cli.submit import Source
from processor.domain.errors import InvalidSubmission
from processor.domain.priority import Priority
from processor.domain.submission import trace_headers
from processor.runtime.submission import Submission, payload_of, record_of
from tests.fuzz.spoiling import spoilt, text_of
from tests.fuzz.trying import inputs, survives

LINES: Final = 20
"""Of a file."""
BATCH: Final = UUID(int=11)
CODEC: Final = AvroCodec()
WORDS: Final = (
    "NaN", "Infinity", "-Infinity", "1e999", "-0", "9" * 5_000, "0." + "1" * 5_000, "null", "true",
    '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\x"', "[" * 70 + "]" * 70, "[" * 20_000,
    '{"a":' * 300 + "1" + "}" * 300, '{"a":1,"a":2}', "\ufeff", "\r", "\t", "2" * 30, "1.5",
    '"2013-01-01"', '"2013-01-01T00:00:00Z"', '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00Z"',
    '"+275760-09-13T00:00Z"', '"LOW"', '"urgent"', '"' + "x" * 300 + '"', '""', '"é\u202e"',
    '"01890a5d-ac96-774b-bcce-b302099a8057"', '"{01890a5dac96774bbcceb302099a8057}"', "{}", "[]",
    '{"user":"u","ip":null}', '{"traceparent":"00-1-2-01","tracestate":"a=b"}',
)  # fmt: skip
KEYS: Final = (
    "type", "payload", "entity", "priority", "dedupe_key", "not_before", "attempts", "tenant",
    "caller", "trace", "id", "batch", "a\nb", "\x1b[2J", "__class__", "",
)  # fmt: skip
GOOD: Final[dict[str, Any]] = {
    "type": "flight.landed",
    "payload": {"tail": "N14228", "legs": [1, 2.5, None, "é"]},
    "entity": "N14228",
    "priority": "high",
    "not_before": "2100-01-01T00:00:00+01:00",
    "attempts": 2,
    "tenant": "acme",
    "caller": {"user": "u", "session": None, "request_id": "r", "ip": "::1", "user_agent": "x"},
    "trace": {"traceparent": "00-1-2-01", "tracestate": ""},
}


def line_of(chance: Random) -> bytes:
    """A line that is good, or spoilt, or made of strange values, keys and bytes."""
    fields = {key: json.dumps(GOOD[key]) for key in GOOD if key == "type" or chance.random() < 0.5}
    if chance.random() < 0.2:
        fields["dedupe_key"] = '"k"'
    for _ in range(chance.choice((0, 1, 1, 2))):
        fields[chance.choice(KEYS)] = chance.choice(WORDS)
    pairs = [f"{json.dumps(key)}:{value}" for key, value in fields.items()]
    if chance.random() < 0.1:
        pairs += pairs[:1]
    line = ("{" + ",".join(pairs) + "}").encode()
    kind = chance.randrange(6)
    if kind == 0:
        line = spoilt(line, chance, (b"[]", b"{}", b'"', b"}"))
    elif kind == 1:
        line = text_of(chance, WORDS).encode(errors="surrogatepass")
    return line.replace(b"\n", b" ")


def told_of(line: Line) -> Submission | str:
    """The submission, or why it is none; then in one line that names its number."""
    try:
        submission = submission_of(line, None, BATCH)
    except InvalidSubmission as broken:
        said = str(broken)
        assert said.startswith(f"line {line.number} is broken: ")
        assert said.isprintable(), f"more than one line of plain text: {said!r}"
        assert len(said) < 1_000
        return said
    return submission


def can_be_sent(submission: Submission) -> None:
    """What was said to fit is encoded and read again."""
    payload = payload_of(submission)
    record = record_of(submission, payload, priority=Priority.LOW, submitted_at=1, batch=BATCH)
    trace_headers(record.trace)
    assert CODEC.decode_submission(CODEC.encode_submission(record)) == record
    json.loads(payload)


@inputs(2_500)
def test_a_line_is_a_submission_or_one_clear_line_that_names_its_number(
    seeds: Sequence[int],
) -> None:
    def attempt(seed: int) -> None:
        told = told_of(Line(seed, line_of(Random(seed))))
        if isinstance(told, Submission):
            can_be_sent(told)

    survives(attempt, seeds)


@inputs(100, 5_000, each=LINES)
def test_of_any_file_every_line_before_the_first_broken_one_is_read_and_none_after(
    seeds: Sequence[int],
) -> None:
    survives(lambda seed: asyncio.run(_read(Random(seed))), seeds)


async def _read(chance: Random) -> None:
    lines = [_line_of_a_file(chance) for _ in range(LINES)]
    text = chance.choice((b"\n", b"\r\n")).join(lines) + chance.choice((b"", b"\n"))
    wanted: list[Submission] = []
    why = None
    for number, line in enumerate(text.split(b"\n"), 1):
        told = told_of(Line(number, line)) if line.strip() else None
        if isinstance(told, str):
            why = told
            break
        wanted += [] if told is None else [told]
    source, found = await _submissions(text)
    assert [(one.id, one.payload) for one in found if one.dedupe_key] == [
        (one.id, one.payload) for one in wanted if one.dedupe_key
    ]
    assert len(found) == len(wanted)
    assert (None if source.broken is None else str(source.broken)) == why


def _line_of_a_file(chance: Random) -> bytes:
    if chance.random() < 0.9:
        return chance.choice((b'{"type":"a","payload":1}', b"", b"   ", b"\t", b'{"type":"b"}'))
    return line_of(chance)


async def _submissions(text: bytes) -> tuple[Source, list[Submission]]:
    """What is read of a pipe through which that comes."""
    reading, writing = os.pipe()
    writer = threading.Thread(target=_write, args=(writing, text))
    others = threading.enumerate()
    writer.start()
    found = await _all_of(source := Source(reading, None, BATCH))
    for thread in threading.enumerate():
        if thread not in others:  # it reads on to the end of so short a text
            thread.join()
    os.close(reading)
    return source, found


async def _all_of(source: Source) -> list[Submission]:
    return [one async for piece in source.pieces() for one in piece.submissions]


def _write(descriptor: int, text: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(text)


LONG: Final = {
    "ten million bytes without an end": (b"x" * 10_000_000, "is no line: it does not end"),
    "ten million blanks": (b" " * 10_000_000, "is no line: it does not end"),
    "a payload of eight million": (
        b'{"type":"a","payload":"' + b"x" * (LINE_BYTES - 100) + b'"}\n',
        "is broken: its payload has",
    ),
    "a name of eight million": (
        b'{"type":"' + b"x" * (LINE_BYTES - 100) + b'"}\n',
        "is broken: its type has",
    ),
    "brackets, eight million": (b"[" * (LINE_BYTES - 100) + b"\n", "is broken: "),
    "a number of eight million digits": (
        b'{"type":"a","payload":' + b"9" * (LINE_BYTES - 100) + b"}\n",
        "is broken: ",
    ),
    "a key of eight million": (
        b'{"type":"a","' + b"k" * (LINE_BYTES - 100) + b'":1}\n',
        "is broken: ",
    ),
}


@pytest.mark.parametrize("which", LONG)
def test_a_line_of_ten_million_bytes_is_told_in_one_short_line(which: str, tmp_path: Path) -> None:
    text, why = LONG[which]
    file = tmp_path / "jobs.jsonl"
    file.write_bytes(b'{"type":"a"}\n' + text)

    def attempt(_: int) -> None:
        source = Source(os.open(file, os.O_RDONLY), None, BATCH)
        found = asyncio.run(_all_of(source))
        said = str(source.broken)
        assert len(found) == 1
        assert said.startswith(f"line 2 {why}")
        assert said.isprintable()
        assert len(said) < 1_000

    survives(attempt, (0,))
