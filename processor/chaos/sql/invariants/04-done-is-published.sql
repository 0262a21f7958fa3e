-- Done means published: what a position has passed is in the journal, byte for byte as in the ledger
-- during, twice
SELECT format('%s generation %s is done and not published', job, generation)
FROM jobs.ledger JOIN position USING (lane, partition)
WHERE ledger.at_offset < position.next
  AND outcome IN ('c', 'f') -- what an operator ended he publishes himself, in his own time
  AND NOT EXISTS (SELECT FROM jobs.waiting WHERE waiting.job = ledger.job)
  AND NOT EXISTS (
    SELECT FROM chaos.told
    WHERE (told.job, told.generation) = (ledger.job, ledger.generation) AND told.digest = sha256(ledger.body)
  )
