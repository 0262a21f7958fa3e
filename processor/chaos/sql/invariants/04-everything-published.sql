-- Whatever has ended is in the journal, byte for byte as in the ledger
-- afterwards
SELECT format('%s generation %s is not published', job, generation)
FROM jobs.ledger
WHERE NOT EXISTS (
    SELECT FROM chaos.told
    WHERE (told.job, told.generation) = (ledger.job, ledger.generation) AND told.digest = sha256(ledger.body)
)
