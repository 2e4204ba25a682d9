"""How Alembic runs here: on the connection, and in the transaction, that `schema` opened."""

from alembic import context

from gateway.store.tables import Request

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Request.metadata,
    # SQLite undoes a half-made schema as well as PostgreSQL does.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
