-- History: each generation has its beginning, no gap, and one end, which is the ledger's
-- afterwards
WITH newest AS (
    SELECT job, generation, max(timeline) AS timeline FROM jobs.history
    WHERE ended_at IS NOT NULL GROUP BY job, generation
), ended AS (
    SELECT job, generation, timeline, count(*) AS ends, min(sha256(body)) AS digest
    FROM jobs.history JOIN newest USING (job, generation, timeline)
    WHERE ended_at IS NOT NULL GROUP BY job, generation, timeline
)
SELECT format('%s generation %s has %s ends in the history, or another than the ledger', job, generation, coalesce(ends, 0))
FROM jobs.ledger FULL JOIN ended USING (job, generation)
WHERE ends IS DISTINCT FROM 1 OR digest <> sha256(ledger.body)
    -- what an earlier timeline ended and the database forgot may be ended by a later generation
    OR ledger.body IS NULL AND ended.timeline = (SELECT max(timeline) FROM chaos.told)
UNION ALL
SELECT format('%s generation %s has no beginning in the history', job, generation)
FROM (SELECT DISTINCT job, generation FROM chaos.lane_record WHERE entity IS NOT NULL) AS read
WHERE NOT EXISTS (
    SELECT FROM jobs.history WHERE (history.job, history.generation) = (read.job, read.generation) AND upto < 0
)
UNION ALL
SELECT format('the history of %s generation %s up to %s is no record of the journal with as many events', job, generation, upto)
FROM jobs.history
WHERE upto >= 0 AND NOT EXISTS (
    SELECT FROM chaos.told
    WHERE (told.job, told.generation, told.timeline, told.events) = (history.job, history.generation, history.timeline, history.upto)
      AND told.digest = sha256(history.body)
)
UNION ALL
SELECT format('the runs of %s generation %s are not numbered from 1 without a gap', job, generation)
FROM chaos.told WHERE NOT runs_whole
