CREATE TABLE jobs.checkpoint (
    projection text NOT NULL,
    topic      text NOT NULL,
    partition  smallint NOT NULL,
    next       bigint NOT NULL,
    PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 20);
COMMENT ON TABLE jobs.checkpoint IS 'How far each projection has read, advanced by compare-and-set beside its rows.';
