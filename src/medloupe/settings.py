"""Read the environment variables, of which one table has name, type, default and help.

pydantic-settings checks them. It is imported only when a value has to be judged: it takes longer to import than a
decoding worker or `medloupe predict` takes to start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.errors import MedloupeError

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes
    ----------
    variable : str
        The environment variable.
    default : str
        Its value where the variable is not set or empty, as text; "" means computed.
    help : str
        What it is for, as a sentence.
    kind : type
        What its text is read as.
    least : int, optional
        The least number allowed.
    expected, advice : str
        For the error that a wrong value raises: what was expected, and what to do.
    """

    variable: str
    default: str
    help: str
    kind: type = str
    least: int | None = None
    expected: str = "text"
    advice: str = ""


SETTINGS = (
    Setting(
        "MEDLOUPE_HOME",
        "",
        "Folder of the store, the database and the caches (default: the user data folder).",
        kind=Path,
        expected="a folder",
    ),
    Setting("MEDLOUPE_DATABASE", "", "URL of a PostgreSQL database (default: an SQLite file under the home folder)."),
    Setting(
        "MEDLOUPE_THREADS",
        "",
        "Worker threads for decoding and the network (default: the cores at hand).",
        kind=int,
        least=1,
        expected="a whole number above 0",
        advice="Set it to 2, say, or unset it.",
    ),
    Setting(
        "MEDLOUPE_FEATURES_MB",
        "",
        "Megabytes that features may take in training; larger ones are read from the disk (default: half the memory).",
        kind=int,
        least=1,
        expected="a whole number above 0",
        advice="Set it to 4000, say, or unset it.",
    ),
    Setting("MEDLOUPE_ENGINE", "local", "Where pictures are embedded in training: local, or ray (RAY_ADDRESS)."),
    Setting(
        "MEDLOUPE_STUDIES",
        "",
        "URL of a PostgreSQL database in which programs search for a recipe together (default: each searches alone).",
    ),
    Setting("MEDLOUPE_STARTERS", "all", "Shipped check-ups to offer: all, none, or their names joined by commas."),
    Setting(
        "MEDLOUPE_NOTES_MODELS",
        "",
        "Language networks with which models from elsewhere may read notes: folders, hub:OWNER/NAME; by commas.",
    ),
    Setting(
        "MEDLOUPE_PUBLIC_URL",
        "",
        "Address under which browsers reach the server, such as https://medloupe.example.org.",
    ),
    Setting(
        "MEDLOUPE_TRUSTED_PROXIES",
        "",
        "Proxies whose X-Forwarded-* count: addresses, networks, loopback, private; by commas (default: none).",
    ),
    Setting(
        "MEDLOUPE_AUDIT_DAYS",
        "",
        "Days after which lines of the audit log are removed, segment by segment (default: never).",
        kind=int,
        least=1,
        expected="a whole number above 0",
        advice="Set it to 3650, say, or unset it.",
    ),
    Setting(
        "MEDLOUPE_BLOBS",
        "",
        "Object storage that keeps the parts of models for all servers of a store: s3://BUCKET/PREFIX (default: none).",
    ),
    Setting(
        "MEDLOUPE_FEATURES",
        "",
        "Object storage in which machines share features of pictures: s3://BUCKET/PREFIX (default: none).",
    ),
    Setting(
        "MEDLOUPE_FILES_CACHE",
        "20GB",
        "What copies of files from elsewhere (s3://, https://) may take on this machine.",
        expected="an amount such as 20GB",
    ),
    Setting(
        "MEDLOUPE_STORE_KEY",
        "",
        "Secret by which servers without a common folder are one store: 64 hexadecimal digits, or what store.id holds.",
    ),
    Setting(
        "MEDLOUPE_AUTO_PROMOTE",
        "",
        "Check-ups whose candidates (docs/loop.md) go into production by the gate alone: names by commas, or all.",
    ),
    *(
        Setting(
            variable,
            "",
            help,
            kind=int,
            least=1,
            expected="a whole number above 0",
            advice="Set it to 90, say, or unset it.",
        )
        for variable, help in (
            ("MEDLOUPE_ANSWER_DAYS", "Days after which answers are deleted, with their pictures (default: never)."),
            ("MEDLOUPE_PICTURE_DAYS", "Days after which pictures kept with answers are deleted (default: never)."),
            ("MEDLOUPE_UPLOAD_DAYS", "Days after which an upload that does not go on is deleted (default: 7)."),
        )
    ),
    Setting("MEDLOUPE_KINDS", "", "Modules that bring further kinds of data (docs/modalities.md), by commas."),
)
_BY_VARIABLE = {s.variable: s for s in SETTINGS}


def setting(variable: str) -> str:
    """Return the text of a setting: from the environment, else its default.

    Raises
    ------
    KeyError
        The variable is none of SETTINGS.
    """
    default = _BY_VARIABLE[variable].default
    return os.environ.get(variable, "") or default


def read_settings() -> Mapping[str, Any]:
    """Read and check all settings.

    Returns
    -------
    Mapping
        By variable, each as its `kind`; None where it is to be computed.

    Raises
    ------
    MedloupeError
        A value cannot be read; the first such one is named.
    """
    from pydantic import ValidationError

    try:
        return _settings_class()().model_dump()
    except ValidationError as e:
        wrong = _BY_VARIABLE[str(e.errors()[0]["loc"][0])]
        told = setting(wrong.variable).strip()
        raise MedloupeError(f"{wrong.variable} is {told!r}; expected {wrong.expected}.", wrong.advice) from e


@cache
def _settings_class() -> type[BaseSettings]:
    """Make the class of pydantic-settings that SETTINGS describes."""
    from pydantic import Field, create_model
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class FromEnvironment(BaseSettings):
        model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True)

    fields: dict[str, Any] = {
        s.variable: (s.kind | None, Field(s.default or None, ge=s.least, description=s.help)) for s in SETTINGS
    }
    return create_model("Settings", __base__=FromEnvironment, **fields)


def home() -> Path:
    """Return the folder of the store, the database and the caches; whoever writes there makes it."""
    told = setting("MEDLOUPE_HOME")
    return Path(told).expanduser() if told else _user_data()


@cache
def _user_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("medloupe", appauthor=False)


def threads() -> int:
    """Return how many worker threads to use: MEDLOUPE_THREADS, else the cores that this process may run on.

    Raises
    ------
    MedloupeError
        What is told is no whole number above 0.
    """
    told = setting("MEDLOUPE_THREADS").strip()
    if told:
        plain = told.isascii() and told.isdigit() and int(told) > 0  # needs no pydantic, whose import would be felt
        return int(told) if plain else read_settings()["MEDLOUPE_THREADS"]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def memory() -> int:
    """Return how many bytes features may take: MEDLOUPE_FEATURES_MB, else half of what this process may have.

    Raises
    ------
    MedloupeError
        What is told is no whole number above 0.
    """
    if setting("MEDLOUPE_FEATURES_MB").strip():
        return read_settings()["MEDLOUPE_FEATURES_MB"] * 10**6
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 4 * 10**9
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        limit = ""
    return min(there, int(limit) if limit.isdigit() else there) // 2


def _quota() -> int | None:
    """Return the whole cores that the control group grants, or None where there is no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1, int(limit) // int(period))
