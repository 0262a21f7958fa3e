-- Dead letters: one death told for each failure, the open letters are the topic's, JobFailed likewise
-- afterwards
WITH failed AS (
    SELECT job, generation FROM jobs.ledger WHERE outcome = 'f'
), forgotten AS (
    SELECT job, generation FROM chaos.told
    WHERE ending = 'f' AND timeline < (SELECT max(timeline) FROM chaos.told)
      AND NOT EXISTS (SELECT FROM jobs.ledger WHERE (ledger.job, ledger.generation) = (told.job, told.generation) AND sha256(body) = told.digest)
), died AS (
    SELECT job, generation, count(DISTINCT digest) AS times FROM chaos.fact
    WHERE kind = 'died' GROUP BY job, generation
), news AS (
    SELECT job, generation, count(DISTINCT digest) AS times FROM chaos.job_failed GROUP BY job, generation
), open AS (
    SELECT job, generation FROM jobs.dead_letter WHERE closed IS NULL
), undone AS (
    SELECT job, generation FROM died
    WHERE NOT EXISTS (
        SELECT FROM chaos.fact WHERE kind <> 'died' AND (fact.job, fact.generation) = (died.job, died.generation)
    )
)
SELECT format('the death of %s generation %s was told %s times', job, generation, coalesce(times, 0))
FROM failed FULL JOIN died USING (job, generation)
WHERE (failed.job IS NULL OR times IS DISTINCT FROM 1) AND (job, generation) NOT IN (SELECT * FROM forgotten)
UNION ALL
SELECT format('JobFailed was told %s times of %s generation %s', coalesce(times, 0), job, generation)
FROM failed FULL JOIN news USING (job, generation)
WHERE (failed.job IS NULL OR times IS DISTINCT FROM 1) AND (job, generation) NOT IN (SELECT * FROM forgotten)
UNION ALL
SELECT format('the dead letter of %s generation %s is open in the table or in the topic alone', job, generation)
FROM open FULL JOIN undone USING (job, generation) WHERE open.job IS NULL OR undone.job IS NULL
