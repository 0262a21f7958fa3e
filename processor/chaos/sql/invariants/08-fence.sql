-- Fence: no waiting row was written under another token than its partition's at that time
-- during
SELECT format('%s generation %s revision %s was written under a token that partition %s had no more, at %s', job, generation, revision, partition, at)
FROM chaos.unfenced
