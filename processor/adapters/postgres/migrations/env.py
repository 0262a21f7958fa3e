"""What does Alembic work on? The connection that `migrate` hands it, inside its transaction."""

from alembic import context

from processor.adapters.postgres.migrated import SCHEMA, VERSION_TABLE

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `processor migrate`: it hands Alembic its connection")
context.configure(
    connection=connection,
    target_metadata=None,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
)
context.run_migrations()
