-- One head: an entity has at most one waiting row that holds it
-- during
SELECT format('entity %s has %s heads', entity_key, count(*))
FROM jobs.waiting WHERE holds GROUP BY entity_key HAVING count(*) > 1
