"""What does a line of a file mean, and what is said of one that means nothing?"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from processor.cli.line import submission_of
from processor.cli.lines import Line, blocks_of_lines, descriptor_of
from processor.domain.errors import ConfigurationError, InvalidSubmission

BATCH = UUID(int=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"type":"a",', "Invalid JSON: EOF while parsing a value at line 1 column 12"),
        (b"[]", "Input should be an object"),
        (b'{"payload":1}', "it has no type, and no --type was given"),
        (b'{"type":"a","prio":"low"}', "prio: there is no such field"),
        (b'{"type":"a","caller":{"who":"x"}}', "caller.who: there is no such field"),
        (
            b'{"type":"a","priority":"urgent"}',
            "priority: 'urgent' is no priority; use one of critical, high, normal, low",
        ),
        (b'{"type":"a","payload":NaN}', "its payload is no JSON: it has NaN or Infinity in it"),
        (b'{"type":"a","payload":1e999}', "its payload is no JSON: it has NaN or Infinity in it"),
        (
            b'{"type":"a","not_before":"2100-01-01T00:00:00"}',
            "not_before: Input should have timezone info",
        ),
        (b"\xff\xfe", "Invalid JSON: expected value at line 1 column 1"),
        (b'{"type":"' + b"t" * 256 + b'"}', "its type has 256 bytes, the limit is 255"),
        (
            b'{"type":"a","payload":"' + b"x" * 524_287 + b'"}',
            "its payload has 524,289 bytes, the limit is 524,288",
        ),
        (
            b'{"type":"a","payload":' + b"[" * 65 + b"]" * 65 + b"}",
            "its payload is nested deeper than 64 levels",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_told_by_its_number(text: bytes, said: str) -> None:
    with pytest.raises(InvalidSubmission) as refused:
        submission_of(Line(7, text), None, BATCH)
    assert str(refused.value) == f"line 7 is broken: {said}"


def test_a_line_without_a_name_is_named_after_batch_and_number() -> None:
    text = b'{"type":"a","payload":1}'
    one = submission_of(Line(7, text), None, BATCH)
    assert one.id == submission_of(Line(7, text), "other", BATCH).id
    assert one.id != submission_of(Line(8, text), None, BATCH).id
    assert one.id != submission_of(Line(7, text), None, UUID(int=2)).id


def test_a_line_s_own_id_or_key_goes_before() -> None:
    id_ = UUID(int=9)
    assert (
        submission_of(Line(1, b'{"type":"a","id":"%s"}' % str(id_).encode()), None, BATCH).id == id_
    )
    own = submission_of(Line(1, b'{"type":"a","dedupe_key":"k"}'), None, BATCH)
    assert own.dedupe_key == "k"
    assert own.id == submission_of(Line(2, b'{"type":"a","dedupe_key":"k"}'), None, BATCH).id


def test_a_type_for_all_lines_counts_where_a_line_has_none() -> None:
    assert submission_of(Line(1, b"{}"), "given", BATCH).type == "given"
    assert submission_of(Line(1, b'{"type":"own"}'), "given", BATCH).type == "own"


async def read(descriptor: int) -> list[Line]:
    return [line async for lines in blocks_of_lines(descriptor) for line in lines]


async def test_lines_are_numbered_as_an_editor_does_and_blank_ones_left_out(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\n\n  \r\nfour\r\nfive")
    descriptor, size = descriptor_of(str(file))
    assert size == 19
    assert await read(descriptor) == [Line(1, b"one"), Line(4, b"four\r"), Line(5, b"five")]


async def test_a_line_may_be_longer_than_a_block(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000)
    assert [len(line.text) for line in await read(descriptor_of(str(file))[0])] == [1_000_000] * 2


async def test_a_line_that_does_not_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\n" + b"x" * 10_000_000)
    with pytest.raises(InvalidSubmission, match="line 2 is no line: it does not end"):
        await read(descriptor_of(str(file))[0])


async def test_a_line_comes_as_soon_as_it_is_whole() -> None:
    reading, writing = os.pipe()
    blocks = blocks_of_lines(reading)
    os.write(writing, b"one\ntw")
    assert await anext(blocks) == [Line(1, b"one")]
    os.write(writing, b"o\n")
    assert await anext(blocks) == [Line(2, b"two")]
    os.close(writing)
    with pytest.raises(StopAsyncIteration):
        await anext(blocks)
    os.close(reading)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: it is a folder"):
        descriptor_of(str(tmp_path))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        descriptor_of(str(tmp_path / "nothing"))
