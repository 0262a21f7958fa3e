CREATE SCHEMA chaos;

-- What the handlers wrote, each in its job's transaction.
CREATE TABLE chaos.effect (
    entity     text NOT NULL,
    seq        integer NOT NULL,
    job        uuid NOT NULL,
    generation integer NOT NULL,
    lane       smallint NOT NULL,
    partition  smallint NOT NULL,
    worker     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (entity, seq)
);

-- What the topics hold, read from their start; `copied` is written together with the copies.
CREATE TABLE chaos.copied (topic text, partition smallint, next bigint, PRIMARY KEY (topic, partition));
CREATE TABLE chaos.lane_record (
    lane       smallint,
    partition  smallint,
    at_offset  bigint,
    job        uuid NOT NULL,
    generation integer NOT NULL,
    entity     text,
    type       text,
    scheduled  boolean NOT NULL,
    in_place   boolean NOT NULL,
    parent     uuid,
    digest     bytea NOT NULL,
    PRIMARY KEY (lane, partition, at_offset)
);
CREATE TABLE chaos.told (
    partition  smallint,
    at_offset  bigint,
    job        uuid NOT NULL,
    generation integer NOT NULL,
    timeline   integer NOT NULL,
    entity     text NOT NULL,
    type       text NOT NULL,
    ending     "char",
    reason     text,
    error      text,
    events     integer NOT NULL,
    attempts   integer NOT NULL,
    runs_whole boolean NOT NULL,
    too_early  boolean NOT NULL,
    retried_at timestamptz,
    last_at    timestamptz,
    digest     bytea NOT NULL,
    PRIMARY KEY (partition, at_offset)
);
CREATE TABLE chaos.follow_up (job uuid, generation integer, digest bytea);
CREATE TABLE chaos.fact (partition smallint, at_offset bigint, kind text, job uuid, generation integer, digest bytea, PRIMARY KEY (partition, at_offset));
CREATE TABLE chaos.job_failed (partition smallint, at_offset bigint, job uuid, generation integer, digest bytea, PRIMARY KEY (partition, at_offset));
CREATE TABLE chaos.strange (topic text, partition smallint, at_offset bigint, why text, PRIMARY KEY (topic, partition, at_offset));

-- What producers and cancellers were answered.
CREATE TABLE chaos.acked (job uuid);
CREATE TABLE chaos.cancelled (job uuid, generation integer, now text, ours boolean);
CREATE TABLE chaos.type (type text PRIMARY KEY, writes boolean NOT NULL, never_fails boolean NOT NULL, attempts integer NOT NULL);

-- Rows of the waiting room that were written under another token than their partition's.
CREATE TABLE chaos.unfenced (job uuid, generation integer, revision integer, partition smallint, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION chaos.see_the_fence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos.unfenced (job, generation, revision, partition)
    SELECT NEW.job, NEW.generation, NEW.revision, NEW.partition
    WHERE NOT EXISTS (
        SELECT FROM jobs.ownership WHERE partition = NEW.partition AND token = NEW.token
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_inserted AFTER INSERT ON jobs.waiting FOR EACH ROW EXECUTE FUNCTION chaos.see_the_fence();
CREATE TRIGGER chaos_updated AFTER UPDATE ON jobs.waiting FOR EACH ROW
    WHEN (OLD.revision IS DISTINCT FROM NEW.revision) EXECUTE FUNCTION chaos.see_the_fence();

-- Who has owned which partition, and since when.
CREATE TABLE chaos.owner (partition smallint, token uuid, worker uuid, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION chaos.see_the_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos.owner (partition, token, worker) VALUES (NEW.partition, NEW.token, NEW.worker);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_owned AFTER UPDATE ON jobs.ownership FOR EACH ROW
    WHEN (OLD.token IS DISTINCT FROM NEW.token) EXECUTE FUNCTION chaos.see_the_owner();
