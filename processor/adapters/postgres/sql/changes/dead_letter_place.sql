ALTER TABLE jobs.dead_letter
    ADD COLUMN release text,
    ADD COLUMN entity_key bigint,
    ADD COLUMN lane smallint,
    ADD COLUMN at_offset bigint;
CREATE INDEX dead_letter_entity ON jobs.dead_letter (entity_key) WHERE closed IS NULL;
COMMENT ON COLUMN jobs.dead_letter.release IS 'Of the worker that ran it last; null where an earlier release of the projector wrote the row: `processor rebuild` fills it.';
COMMENT ON COLUMN jobs.dead_letter.at_offset IS 'With lane: the record that died, and so its order within its entity.';
