-- Nobody was taken for a job that kills its worker
-- afterwards
SELECT format('%s generation %s ended as WorkerLost', job, generation) FROM chaos.told WHERE reason = 'WorkerLost'
