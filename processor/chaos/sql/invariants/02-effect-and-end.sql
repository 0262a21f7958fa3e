-- An effect exists if and only if its job is complete
-- during
SELECT format('an effect of %s generation %s, which is not complete', job, generation)
FROM chaos.effect
WHERE NOT EXISTS (
    SELECT FROM jobs.ledger WHERE (ledger.job, ledger.generation, outcome) = (effect.job, effect.generation, 'c')
)
UNION ALL
SELECT format('%s generation %s is complete without its effect', job, generation)
FROM jobs.ledger
WHERE outcome = 'c'
  AND EXISTS (
    SELECT FROM chaos.lane_record AS read JOIN chaos.type USING (type)
    WHERE (read.job, read.generation) = (ledger.job, ledger.generation) AND writes
  )
  AND NOT EXISTS (
    SELECT FROM chaos.effect WHERE (effect.job, effect.generation) = (ledger.job, ledger.generation)
  )
