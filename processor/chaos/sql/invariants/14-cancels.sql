-- Cancels were answered as the ledger says, and what is cancelled has no effect
-- afterwards
WITH end_of AS (
    SELECT job, generation, CASE outcome WHEN 'c' THEN 'complete' WHEN 'x' THEN 'cancelled' ELSE 'failed' END AS now
    FROM jobs.ledger
)
SELECT format('%s generation %s is %s, and the canceller was told %s', job, generation, coalesce(end_of.now, 'not ended'), answer.now)
FROM chaos.cancelled AS answer LEFT JOIN end_of USING (job, generation)
WHERE end_of.now IS DISTINCT FROM answer.now
    -- it was so until the database forgot it
    AND NOT EXISTS (
        SELECT FROM chaos.told
        WHERE (told.job, told.generation) = (answer.job, answer.generation)
            AND ending IS NOT NULL AND timeline < (SELECT max(timeline) FROM chaos.told)
    )
UNION ALL
SELECT format('an effect of %s generation %s, which is cancelled', job, generation)
FROM end_of JOIN chaos.effect USING (job, generation) WHERE now = 'cancelled'
UNION ALL
SELECT format('%s cancels of %s generation %s won', count(*) FILTER (WHERE ours), job, generation)
FROM chaos.cancelled GROUP BY job, generation HAVING count(*) FILTER (WHERE ours) > 1
