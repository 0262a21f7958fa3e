"""How does what is known of a dead letter become its row in PostgreSQL?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncpg.pgproto import pgproto

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.ports.projection import LetterRow

LETTER: Final = """
INSERT INTO jobs.dead_letter AS known
    (job, generation, id, died_at, closed, tenant, type, place, body,
    partition, first_fact, last_fact, release, entity_key, lane, at_offset)
VALUES ($1, $2, $3, timestamptz 'epoch' + coalesce($4::bigint, 0) * interval '1 microsecond',
    $5::text::"char", $6, coalesce($7, ''), coalesce($8, ''), $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (job, generation) DO UPDATE SET
    closed = CASE WHEN 'r' IN (known.closed, excluded.closed) THEN 'r'
        ELSE coalesce(known.closed, excluded.closed) END,
    died_at = CASE WHEN known.body IS NULL THEN excluded.died_at ELSE known.died_at END,
    tenant = CASE WHEN known.body IS NULL THEN excluded.tenant ELSE known.tenant END,
    type = CASE WHEN known.body IS NULL THEN excluded.type ELSE known.type END,
    place = CASE WHEN known.body IS NULL THEN excluded.place ELSE known.place END,
    release = CASE WHEN known.body IS NULL THEN excluded.release ELSE known.release END,
    entity_key = coalesce(known.entity_key, excluded.entity_key),
    lane = coalesce(known.lane, excluded.lane),
    at_offset = coalesce(known.at_offset, excluded.at_offset),
    body = coalesce(known.body, excluded.body),
    first_fact = least(known.first_fact, excluded.first_fact),
    last_fact = greatest(known.last_fact, excluded.last_fact)
"""


def letter_columns(letters: Iterable[LetterRow]) -> list[tuple[Any, ...]]:
    """By key: whoever else writes letters locks them in the same order."""
    return [*map(_columns, sorted(letters, key=lambda row: (row.job, row.generation)))]


def _columns(row: LetterRow) -> tuple[Any, ...]:
    return (
        pgproto.UUID(row.job),
        row.generation,
        row.id,
        row.died_at,
        row.closed,
        _text(row.tenant),
        _text(row.type),
        _text(row.place),
        *row[8:12],
        _text(row.release),
        *row[13:],
    )


def _text(value: str | None) -> str | None:
    """What PostgreSQL takes: any text but one with a zero byte."""
    return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")
