-- Nothing that is not done was cut from its lane
-- during
SELECT format('lane %s partition %s begins at %s, its position is %s', lane, partition, begins, next)
FROM position WHERE begins > next
