-- Follow-ups: what complete parents submitted stands in the lanes, byte for byte, and nothing else
-- afterwards
WITH wanted AS (
    SELECT DISTINCT follow_up.job, follow_up.digest FROM chaos.follow_up
    JOIN jobs.ledger ON (ledger.job, ledger.generation, outcome) = (follow_up.job, follow_up.generation, 'c')
), sent AS (
    SELECT DISTINCT parent AS job, digest FROM chaos.lane_record WHERE parent IS NOT NULL AND generation = 1
)
SELECT format('a follow-up of %s was never sent', job) FROM (SELECT * FROM wanted EXCEPT SELECT * FROM sent) AS missing
UNION ALL
SELECT format('a follow-up that %s did not submit, or did not complete to submit', job)
FROM (SELECT * FROM sent EXCEPT SELECT * FROM wanted) AS strange
