"""Runs the migrations on the connection that database.py hands over."""

from alembic import context

from medloupe.database import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
