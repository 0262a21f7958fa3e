"""With which statements are two sets of the projections' tables completed and compared?"""
# ruff: noqa: S608 - names of our own schemas and tables alone

from __future__ import annotations

from typing import Final

from processor.adapters.postgres.projection import of_set
from processor.adapters.postgres.pruning import OVER
from processor.adapters.postgres.second_set import SECOND
from processor.ports.rebuilding import PREFIX

JOURNAL_MARKER: Final = 0
LETTER_MARKER: Final = 1
"""Markers of topics: of a lane its number less 4, as `history.upto` has it."""

START: Final = f"""
INSERT INTO {SECOND}.start
SELECT topic, partition, marker, at_offset,
    timestamptz 'epoch' + at * interval '1 microsecond', projection
FROM unnest($1::text[], $2::smallint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::text[])
    AS row (topic, partition, marker, at_offset, at, projection)
"""
REACHING: Final = f"""
INSERT INTO {SECOND}.reaching
SELECT h.job FROM jobs.history h
JOIN {SECOND}.start s ON s.partition = h.partition AND s.marker = least(h.upto, 0)
WHERE h.at_offset < s.at_offset
UNION
SELECT h.job FROM {SECOND}.history h
JOIN {SECOND}.start s ON s.partition = h.partition AND s.marker = 0
WHERE h.upto < 0 AND h.at <= s.at
"""
COPY: Final = f"""
INSERT INTO {SECOND}.history
    (job, generation, timeline, upto, partition, at_offset, at, ended_at, body)
SELECT job, generation, timeline, upto, partition, at_offset, at, ended_at, body
FROM jobs.history JOIN {SECOND}.reaching USING (job)
ON CONFLICT (job, generation, timeline, upto) DO UPDATE SET
    partition = excluded.partition, at_offset = excluded.at_offset, at = excluded.at,
    ended_at = excluded.ended_at, body = excluded.body
"""
COPIED: Final = f"""
SELECT count(*) FROM {SECOND}.reaching r
WHERE EXISTS (SELECT FROM jobs.history h WHERE h.job = r.job)
"""
LETTERS: Final = f"""
INSERT INTO {SECOND}.dead_letter AS known
    (job, generation, id, died_at, closed, tenant, type, place, body,
    partition, first_fact, last_fact, release, entity_key, lane, at_offset)
SELECT d.job, d.generation, d.id, d.died_at, d.closed, d.tenant, d.type, d.place, d.body,
    d.partition, d.first_fact, d.last_fact, d.release, d.entity_key, d.lane, d.at_offset
FROM jobs.dead_letter d
JOIN {SECOND}.start s ON s.partition = d.partition AND s.marker = {LETTER_MARKER}
WHERE d.first_fact < s.at_offset
ON CONFLICT (job, generation) DO UPDATE SET
    closed = CASE WHEN 'r' IN (known.closed, excluded.closed) THEN 'r'
        ELSE coalesce(known.closed, excluded.closed) END,
    died_at = CASE WHEN excluded.body IS NULL THEN known.died_at ELSE excluded.died_at END,
    tenant = CASE WHEN excluded.body IS NULL THEN known.tenant ELSE excluded.tenant END,
    type = CASE WHEN excluded.body IS NULL THEN known.type ELSE excluded.type END,
    place = CASE WHEN excluded.body IS NULL THEN known.place ELSE excluded.place END,
    release = coalesce(known.release, excluded.release),
    entity_key = coalesce(known.entity_key, excluded.entity_key),
    lane = coalesce(known.lane, excluded.lane),
    at_offset = coalesce(known.at_offset, excluded.at_offset),
    body = coalesce(excluded.body, known.body),
    first_fact = excluded.first_fact,
    last_fact = greatest(known.last_fact, excluded.last_fact)
"""
ASIDE: Final = f"""
INSERT INTO {SECOND}.aside (topic, partition, at_offset, at, body)
SELECT a.topic, a.partition, a.at_offset, a.at, a.body
FROM jobs.aside a JOIN {SECOND}.start s USING (topic, partition)
WHERE a.at_offset < s.at_offset
ON CONFLICT DO NOTHING
"""
# What the first set has not read yet it cannot have forgotten.
FORGOTTEN: Final = f"""
WITH absent AS (
    SELECT DISTINCT h.job FROM {SECOND}.history h
    WHERE NOT EXISTS (SELECT FROM jobs.history l WHERE l.job = h.job)
), gone AS (
    SELECT job FROM absent JOIN {SECOND}.reaching USING (job)
    UNION
    SELECT job FROM absent
    JOIN ({of_set(OVER.format(before="$1::bigint"), SECOND)}) over USING (job)
), deleted AS (
    DELETE FROM {SECOND}.history h USING gone, {SECOND}.start s, jobs.checkpoint c
    WHERE h.job = gone.job AND s.partition = h.partition AND s.marker = least(h.upto, 0)
        AND (c.projection, c.topic, c.partition) = (s.projection, s.topic, s.partition)
        AND h.at_offset < c.next
    RETURNING h.job
)
SELECT count(DISTINCT job) FROM deleted
"""
RUNNING: Final = f"""
INSERT INTO {SECOND}.live AS known (job, generation, runs, at, body)
SELECT job, generation, runs, at, body FROM jobs.live
ON CONFLICT (job) DO UPDATE SET
    generation = excluded.generation, runs = excluded.runs, at = excluded.at, body = excluded.body
WHERE (known.generation, known.runs, known.at)
    < (excluded.generation, excluded.runs, excluded.at)
"""
ENDED: Final = f"""
DELETE FROM {SECOND}.live l WHERE NOT EXISTS (
    SELECT FROM {SECOND}.history h WHERE h.job = l.job
) OR EXISTS (
    SELECT FROM {SECOND}.history h
    WHERE h.job = l.job AND h.generation >= l.generation AND h.ended_at >= l.at
)
"""
COVERED: Final = f"""
CREATE TEMPORARY TABLE covered ON COMMIT DROP AS
SELECT s.topic, s.partition, s.marker, s.at_offset AS start,
    least(coalesce(ours.next, 0), coalesce(theirs.next, 0)) AS below
FROM {SECOND}.start s
LEFT JOIN jobs.checkpoint ours USING (projection, topic, partition)
LEFT JOIN jobs.checkpoint theirs
    ON (theirs.projection, theirs.topic, theirs.partition)
        = ('{PREFIX}' || s.projection, s.topic, s.partition)
"""
_SIDE: Final = """
    SELECT h.* FROM {schema}.history h
    JOIN pg_temp.covered c ON c.partition = h.partition AND c.marker = least(h.upto, 0)
    WHERE h.at_offset < c.below
        AND NOT EXISTS (SELECT FROM jobs_rebuild.reaching r WHERE r.job = h.job)
"""
_HISTORY: Final = f"""
WITH compared AS (
    SELECT concat_ws(' ', job, generation, timeline, upto) AS row,
        ours.job IS NULL AS missing, theirs.job IS NULL AS more,
        (ours.partition, ours.at_offset, ours.at, ours.ended_at, ours.body) IS DISTINCT FROM
            (theirs.partition, theirs.at_offset, theirs.at, theirs.ended_at, theirs.body) AS differs
    FROM ({_SIDE.format(schema="jobs")}) ours
    FULL JOIN ({_SIDE.format(schema=SECOND)}) theirs USING (job, generation, timeline, upto)
)
"""
_LETTER_SIDE: Final = """
    SELECT d.* FROM {schema}.dead_letter d
    JOIN pg_temp.covered c ON c.partition = d.partition AND c.marker = 1
    WHERE d.first_fact >= c.start
"""
_DEAD_LETTER: Final = f"""
WITH compared AS (
    SELECT concat_ws(' ', job, generation) AS row,
        ours.job IS NULL AS missing, theirs.job IS NULL AS more,
        (ours.id, ours.died_at, ours.closed, ours.tenant, ours.type, ours.place, ours.body)
            IS DISTINCT FROM (theirs.id, theirs.died_at, theirs.closed, theirs.tenant,
            theirs.type, theirs.place, theirs.body) AS differs
    FROM ({_LETTER_SIDE.format(schema="jobs")}) ours
    FULL JOIN ({_LETTER_SIDE.format(schema=SECOND)}) theirs USING (job, generation)
    -- A letter of which one side has read more is compared by the next rebuild.
    JOIN pg_temp.covered c
        ON c.partition = coalesce(ours.partition, theirs.partition) AND c.marker = 1
    WHERE greatest(ours.last_fact, theirs.last_fact) < c.below
)
"""
_ASIDE_SIDE: Final = """
    SELECT a.* FROM {schema}.aside a
    JOIN pg_temp.covered c USING (topic, partition)
    WHERE a.at_offset >= c.start AND a.at_offset < c.below
"""
_KEPT_ASIDE: Final = f"""
WITH compared AS (
    SELECT concat_ws(' ', topic, partition, at_offset) AS row,
        ours.topic IS NULL AS missing, theirs.topic IS NULL AS more,
        ours.body IS DISTINCT FROM theirs.body AS differs
    FROM ({_ASIDE_SIDE.format(schema="jobs")}) ours
    FULL JOIN ({_ASIDE_SIDE.format(schema=SECOND)}) theirs USING (topic, partition, at_offset)
)
"""
_COUNT: Final = """
SELECT count(*) FILTER (WHERE NOT more) AS rows,
    count(*) FILTER (WHERE missing OR more OR differs) AS different,
    (array_agg(row ORDER BY row) FILTER (WHERE missing OR more OR differs))[:$1::integer] AS names,
    (array_agg(CASE WHEN missing THEN 'only the log tells of it'
        WHEN more THEN 'only the table holds it'
        ELSE 'the log tells it otherwise' END ORDER BY row)
        FILTER (WHERE missing OR more OR differs))[:$1] AS said
FROM compared
"""
COMPARED: Final = {
    "history": _HISTORY + _COUNT,
    "dead_letter": _DEAD_LETTER + _COUNT,
    "aside": _KEPT_ASIDE + _COUNT,
}
STANDING: Final = f"""
SELECT projection, topic, partition, next FROM jobs.checkpoint
WHERE projection NOT LIKE '{PREFIX}%' ORDER BY projection, topic, partition FOR UPDATE
"""
CHECKPOINTS: Final = f"DELETE FROM jobs.checkpoint WHERE projection LIKE '{PREFIX}%'"
