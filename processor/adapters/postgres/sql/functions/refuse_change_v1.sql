CREATE FUNCTION jobs.refuse_change_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE 'rows of %.% are written once: they are neither changed nor deleted',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'JB003';
END
$$;
COMMENT ON FUNCTION jobs.refuse_change_v1 IS 'Keep a table append-only, against its owner too.';
