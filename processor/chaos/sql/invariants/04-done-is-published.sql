-- Done means published: what a position has passed is in the journal, byte for byte as in the ledger
-- during
SELECT format('%s generation %s is done and not published', job, generation)
FROM jobs.ledger JOIN position USING (lane, partition)
WHERE ledger.at_offset < position.next
  AND NOT EXISTS (
    SELECT FROM chaos.told
    WHERE (told.job, told.generation) = (ledger.job, ledger.generation) AND told.digest = sha256(ledger.body)
  )
