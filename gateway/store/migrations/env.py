"""Runs Alembic on the connection, and in the transaction, that `schema` opened."""

from alembic import context

from gateway.store.tables import Request

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Request.metadata,
    # SQLite, like PostgreSQL, undoes a half-made schema.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
