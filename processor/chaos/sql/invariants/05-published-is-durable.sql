-- Published means durable: an end in the journal is the ledger's, byte for byte
-- afterwards
SELECT format('the journal ends %s generation %s otherwise than the ledger', job, generation)
FROM chaos.told
WHERE ending IS NOT NULL
  AND timeline = (SELECT max(timeline) FROM chaos.told)
  AND NOT EXISTS (
    SELECT FROM jobs.ledger
    WHERE (ledger.job, ledger.generation) = (told.job, told.generation) AND sha256(body) = told.digest
  )
UNION ALL
SELECT format('%s partition %s offset %s cannot be decoded: %s', topic, partition, at_offset, why) FROM chaos.strange
