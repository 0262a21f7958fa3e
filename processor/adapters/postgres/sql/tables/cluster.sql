CREATE TABLE jobs.cluster (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    partitions smallint NOT NULL CHECK (partitions > 0),
    kafka      text NOT NULL,
    topics     jsonb NOT NULL
);
COMMENT ON TABLE jobs.cluster IS 'Which Kafka cluster this database belongs to: one row, pinned at the first start and compared at every later one.';
COMMENT ON COLUMN jobs.cluster.partitions IS 'Partitions of every lane; producers hash over this number, so it never changes.';
COMMENT ON COLUMN jobs.cluster.kafka IS 'Kafka''s own id of the cluster.';
COMMENT ON COLUMN jobs.cluster.topics IS 'Kafka''s own id of each topic, by name: a topic deleted and made again has another.';
