-- Order: the effects of one entity and lane took place in the order of the log
-- during
WITH placed AS (
    SELECT effect.entity, effect.lane, effect.seq, effect.job, min(read.at_offset) AS place
    FROM chaos.effect
    JOIN chaos.lane_record AS read
      ON (read.job, read.lane, read.generation) = (effect.job, effect.lane, effect.generation)
    WHERE effect.generation = 1 AND NOT read.scheduled
    GROUP BY effect.entity, effect.lane, effect.seq, effect.job
), followed AS (
    SELECT *, lag(place) OVER line AS place_before, lag(job) OVER line AS job_before
    FROM placed WINDOW line AS (PARTITION BY entity, lane ORDER BY seq)
)
SELECT format('%s at %s took effect after %s at %s, entity %s lane %s', job, place, job_before, place_before, entity, lane)
FROM followed WHERE place < place_before
