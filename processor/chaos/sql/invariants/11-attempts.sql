-- Attempts: none beyond the policy, none before it was due, none consumed by the infrastructure
-- afterwards
SELECT format('%s generation %s of type %s had %s attempts', job, generation, told.type, told.attempts)
FROM chaos.told JOIN chaos.type USING (type)
WHERE told.attempts > type.attempts
UNION ALL
SELECT format('%s generation %s started before its next attempt was due', job, generation)
FROM chaos.told WHERE too_early
UNION ALL
SELECT format('%s generation %s of type %s failed: %s %s', job, generation, told.type, reason, error)
FROM chaos.told JOIN chaos.type USING (type)
WHERE ending = 'f' AND never_fails AND reason <> 'ParseError'
