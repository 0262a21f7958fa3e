-- Nothing is lost: what a position has passed has an end, or waits
-- during
SELECT format('lane %s partition %s offset %s (%s generation %s) is passed and has no end', read.lane, read.partition, read.at_offset, read.job, read.generation)
FROM chaos.lane_record AS read JOIN position USING (lane, partition)
WHERE read.at_offset < position.next
  AND NOT EXISTS (
    SELECT FROM jobs.ledger WHERE ledger.job = read.job
      AND (ledger.generation >= read.generation OR outcome IN ('c', 'x'))
  )
  AND NOT EXISTS (
    SELECT FROM jobs.waiting WHERE waiting.job = read.job AND waiting.generation >= read.generation
  )
