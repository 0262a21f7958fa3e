-- Every effect is of a record of its lane
-- afterwards
SELECT format('the effect of %s generation %s is of no record of lane %s', job, generation, lane)
FROM chaos.effect
WHERE NOT EXISTS (
    SELECT FROM chaos.lane_record AS read
    WHERE (read.job, read.generation) = (effect.job, effect.generation)
      AND (read.lane = effect.lane OR read.in_place)
)
