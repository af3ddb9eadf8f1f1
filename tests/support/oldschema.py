"""Databases as older versions of medloupe left them."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, NullPool, create_engine, event

import medloupe.store
from medloupe.store.database import database_url


def make_old(home: Path, revision: str) -> Engine:
    """The database of the store under home, with the schema of a revision and nothing in it."""
    home.mkdir(parents=True, exist_ok=True)
    engine = create_engine(database_url(home), poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    config = Config()
    config.set_main_option("script_location", str(Path(medloupe.store.__file__ or "").parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, revision)
    return engine
