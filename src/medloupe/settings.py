"""The settings as one table: name, default, help. Each can be given by flag or by environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from medloupe.errors import MedloupeError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. variable: environment variable. default: as text; "" means computed."""

    variable: str
    default: str
    help: str


SETTINGS = (
    Setting("MEDLOUPE_HOME", "", "Folder of the store, the database and the caches (default: the user data folder)."),
    Setting("MEDLOUPE_DATABASE", "", "URL of a PostgreSQL database (default: an SQLite file under the home folder)."),
    Setting("MEDLOUPE_THREADS", "", "Worker threads for decoding and the network (default: the cores at hand)."),
    Setting("MEDLOUPE_STARTERS", "all", "Shipped check-ups to offer: all, none, or their names joined by commas."),
    Setting(
        "MEDLOUPE_NOTES_MODELS",
        "",
        "Language networks with which models from elsewhere may read notes: folders, hub:OWNER/NAME; by commas.",
    ),
    Setting("MEDLOUPE_KINDS", "", "Modules that bring further kinds of data (docs/modalities.md), by commas."),
)


def setting(variable: str) -> str:
    """The value from the environment, else the default. Raises KeyError for a name not in SETTINGS."""
    default = {s.variable: s.default for s in SETTINGS}[variable]
    return os.environ.get(variable, "") or default


def home() -> Path:
    """Folder of the store, the database and the caches; created on first use."""
    told = setting("MEDLOUPE_HOME")
    return Path(told).expanduser() if told else _user_data()


@cache
def _user_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("medloupe", appauthor=False)


def threads() -> int:
    """How many worker threads to use: told, else the cores this process may run on.

    Raises MedloupeError when what was told is no whole number above 0.
    """
    told = setting("MEDLOUPE_THREADS").strip()
    if told:
        if not (told.isascii() and told.isdigit() and int(told) > 0):
            raise MedloupeError(
                f"MEDLOUPE_THREADS is {told!r}; expected a whole number above 0.", "Set it to 2, say, or unset it."
            )
        return int(told)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    """Whole cores that the control group grants, or None where there is no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1, int(limit) // int(period))
