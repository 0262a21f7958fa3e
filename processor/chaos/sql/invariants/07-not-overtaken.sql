-- A retrying job is not overtaken: between its first failure and its last start nobody else of its entity took effect
-- afterwards
WITH spell AS MATERIALIZED (
    SELECT DISTINCT told.job, told.entity, told.retried_at, told.last_at
    FROM chaos.told
    JOIN jobs.ledger ON (ledger.job, ledger.generation) = (told.job, told.generation) AND sha256(body) = told.digest
    WHERE told.retried_at < told.last_at
)
SELECT format('%s overtook %s of entity %s', effect.job, spell.job, spell.entity)
FROM spell JOIN chaos.effect USING (entity)
WHERE effect.job <> spell.job AND effect.at > spell.retried_at AND effect.at < spell.last_at
