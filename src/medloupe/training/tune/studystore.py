"""Keep shared studies in a PostgreSQL database: open them, agree on the size of their trials, give signs of life."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from medloupe.errors import ExtraError, FinetuneError
from medloupe.settings import setting

if TYPE_CHECKING:
    import optuna
    from sqlalchemy.engine import URL

STARTUP = 6
"""Trials drawn at random before the sampler draws conclusions; of a shared study they also run to their end."""

_REDUCTION = 3  # of a rung's trials one in so many goes on
_HEARTBEAT, _GRACE = 20, 90  # seconds between two signs of life of a worker, and after which it counts as lost
_RETRIES = 2  # of a trial whose worker was lost
_LOCK = 7_023_317  # any number that nobody else uses as an advisory lock of this database
_SECONDS = 10  # for a connection
_EXAMPLE = "Expected postgresql://user:password@host/database, or leave it unset: then each program searches alone."

log = logging.getLogger("medloupe.training")


def is_shared() -> bool:
    """Tell whether searches are shared (MEDLOUPE_STUDIES)."""
    return bool(setting("MEDLOUPE_STUDIES"))


def import_optuna() -> Any:
    """Import Optuna, quiet.

    Raises
    ------
    FinetuneError
        Where it is not installed.
    """
    try:
        import optuna
    except ImportError as e:
        raise FinetuneError(
            "The search for a recipe needs Optuna, which is not installed.", "Run: pip install 'medloupe[finetune]'"
        ) from e
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def open_study(name: str) -> optuna.Study:
    """Open the study of this name in the database that MEDLOUPE_STUDIES names, or begin it.

    Raises
    ------
    FinetuneError
        That is no URL of a PostgreSQL database, or it cannot be reached.
    ExtraError
        What reaches PostgreSQL is not installed.
    """
    url = _read_url()
    with _holding_lock(url):  # programs that begin together would make the tables twice
        return _open(url, name)


def read_plan(name: str) -> dict[str, Any] | None:
    """Give the size of all trials of a study, where a program has measured it already."""
    plan = open_study(name).user_attrs.get("plan")
    return None if plan is None else dict(plan)


def agree_on_plan(name: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Give the size of all trials as the first program of a study measured it, which may be this one."""
    url = _read_url()
    with _holding_lock(url):
        study = _open(url, name)
        if "plan" not in study.user_attrs:
            study.set_user_attr("plan", dict(measured))
        return dict(study.user_attrs["plan"])


def _read_url() -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(setting("MEDLOUPE_STUDIES"))
    except (ArgumentError, ValueError) as e:
        raise FinetuneError("MEDLOUPE_STUDIES is no database URL.", _EXAMPLE) from e
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise FinetuneError(f"MEDLOUPE_STUDIES names the database {url.get_backend_name()!r}.", _EXAMPLE)
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def _holding_lock(url: URL) -> Iterator[None]:
    """Let one program at a time do what the block does; the lock ends with its connection, however that ends."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _SECONDS})
        connection = engine.connect()
    except ImportError as e:
        raise ExtraError("What reaches PostgreSQL is not installed.", "pip install 'medloupe[postgres]'") from e
    except OperationalError as e:
        told = url.set(query={}).render_as_string(hide_password=True)  # a password may stand in the query, too
        raise FinetuneError(f"The database of shared searches, {told}, cannot be reached.", _EXAMPLE) from e
    with connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK})
        yield


def _open(url: URL, name: str) -> optuna.Study:
    from sqlalchemy.pool import NullPool

    optuna = import_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of signs of life
        storage = _define_storage()(
            url.render_as_string(hide_password=False),
            # asked a few times a minute: a connection each time outlives a database that was restarted
            engine_kwargs={"poolclass": NullPool, "connect_args": {"connect_timeout": _SECONDS}},
            heartbeat_interval=_HEARTBEAT,
            grace_period=_GRACE,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
        )
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=STARTUP),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_REDUCTION),
        load_if_exists=True,
    )


@cache
def _define_storage() -> Any:
    """Define Optuna's storage with signs of life that outlive a database that is away: theirs end with the first."""
    import optuna

    class LastingStorage(optuna.storages.RDBStorage):
        """Optuna's, but that a sign of life that fails is no last one."""

        def record_heartbeat(self, trial_id: int) -> None:
            """Note that whoever runs the trial is alive, if the database can be reached."""
            try:
                super().record_heartbeat(trial_id)
            except Exception as e:  # the next one is due soon
                log.warning("A sign of life of trial %s was not noted: %s", trial_id, type(e).__name__)

    return LastingStorage
