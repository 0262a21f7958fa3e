-- What ended lately is looked for often: without a summary of its own the newest part of the table
-- would be read whole until it is vacuumed.
ALTER INDEX jobs.ledger_ended SET (autosummarize = on);
