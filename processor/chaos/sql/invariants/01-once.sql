-- Once: a job has at most one effect, and its entity's effects have no gap
-- during
SELECT format('%s has %s effects', job, count(*)) FROM chaos.effect GROUP BY job HAVING count(*) > 1
UNION ALL
SELECT format('the effects of %s are %s, the last has the number %s', entity, count(*), max(seq))
FROM chaos.effect GROUP BY entity HAVING count(*) <> max(seq)
