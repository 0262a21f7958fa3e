-- No orphan: nothing waits any more
-- afterwards
SELECT format('%s generation %s still waits, in state %s', job, generation, state) FROM jobs.waiting
