-- What was acknowledged to its producer stands in a lane, and every record has come to its end
-- afterwards
SELECT format('%s was acknowledged and is in no lane', job) FROM chaos.acked
WHERE NOT EXISTS (SELECT FROM chaos.lane_record AS read WHERE read.job = acked.job)
UNION ALL
SELECT format('lane %s partition %s offset %s (%s generation %s) has no end', lane, partition, at_offset, job, generation)
FROM chaos.lane_record AS read
WHERE NOT EXISTS (
    SELECT FROM jobs.ledger WHERE ledger.job = read.job
      AND (ledger.generation >= read.generation OR outcome IN ('c', 'x'))
)
