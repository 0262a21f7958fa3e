-- Every position and checkpoint has reached the end of its topic
-- afterwards
SELECT format('lane %s partition %s ends at %s, its position is %s', lane, partition, ends, next)
FROM position WHERE next <> ends
UNION ALL
SELECT format('%s stands at %s of %s partition %s, which is read up to %s', projection, checkpoint.next, topic, checkpoint.partition, copied.next)
FROM jobs.checkpoint JOIN chaos.copied USING (topic, partition) WHERE checkpoint.next < copied.next
