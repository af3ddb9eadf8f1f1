"""Runs the migrations on the connection that database.py hands over."""

from alembic import context

from medloupe.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
    transactional_ddl=True,  # a kill in the middle leaves the database as it was
)
with context.begin_transaction():
    context.run_migrations()
