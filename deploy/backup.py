"""Copies all that medloupe keeps into a folder while it runs, and puts such a copy back.

    backup.py save FOLDER       FOLDER must not be there yet
    backup.py restore FOLDER    into an empty MEDLOUPE_HOME and, with PostgreSQL, an empty database

FOLDER may be in object storage, s3://BUCKET/KEY: then the Python that runs this needs medloupe[s3] (docs/files.md).

MEDLOUPE_HOME and MEDLOUPE_DATABASE say what, as they do for the server. Needs Python 3.11 and nothing else; with
PostgreSQL also pg_dump and pg_restore, at least as new as the server.

The database is copied first and the files after it: whatever a row names was on the disk before the row was, so the
copy has it. What is added meanwhile is in the next copy. Only removing models meanwhile would leave rows without files.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDERS = ("blobs", "models", "facilities")  # caches are made anew
OF_PATIENTS = ("kept", "datasets", "review", "erasures")  # of which some may be deleted on somebody's wish meanwhile
MADE_ANEW = {"datasets": {"audits", "exports", "thumbs"}}
IDENTITY = "store.id"  # by which store and database know each other, with the key of the audit log
SQLITE = "medloupe.sqlite"
DUMP = "database.dump"
SUMS = "SHA256SUMS"  # as sha256sum writes and checks it


class BackupError(Exception):
    """What went wrong, for people."""


def save(home: Path, url: str, target: Path) -> None:
    """Copy the database and the files under home into target, whole or not at all."""
    if target.exists():
        raise BackupError(f"{target} is there already; name a new folder, by date for instance.")
    if not url and not (home / SQLITE).is_file():
        raise BackupError(f"{home} holds no {SQLITE}; set MEDLOUPE_HOME as it is for the server.")
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    try:
        if url:
            _postgres(["pg_dump", "--format=custom", "--no-owner", f"--file={part / DUMP}"], url)
        else:
            _copy_sqlite(home / SQLITE, part / SQLITE)
        for name in (*FOLDERS, *OF_PATIENTS):
            _copy_tree(home / name, part / name, MADE_ANEW.get(name, set()), strict=name in FOLDERS)
        if (home / IDENTITY).is_file():
            shutil.copy2(home / IDENTITY, part / IDENTITY)
        lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(_sums(part).items())]
        (part / SUMS).write_text("".join(lines), "utf-8")
        if hasattr(os, "sync"):
            os.sync()
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def restore(home: Path, url: str, source: Path) -> None:
    """Check the copy and put it into home, which is empty, and into the database, which is empty too."""
    if not (source / SUMS).is_file():
        raise BackupError(f"{source} is no copy that this program made: it has no {SUMS}.")
    lines = (source / SUMS).read_text("utf-8").splitlines()
    told = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    if wrong := sorted(told.items() ^ _sums(source).items()):
        raise BackupError(f"{source} is damaged, for example {wrong[0][0]}; nothing was restored.")
    if url and not (source / DUMP).is_file():
        raise BackupError(f"{source} is of an SQLite database; unset MEDLOUPE_DATABASE to restore it.")
    if not url and not (source / SQLITE).is_file():
        raise BackupError(f"{source} is of a PostgreSQL database; set MEDLOUPE_DATABASE to restore it.")
    if home.exists() and any(home.iterdir()):
        raise BackupError(f"{home} is not empty; move it away or set MEDLOUPE_HOME to a new folder.")
    home.mkdir(parents=True, exist_ok=True)
    try:
        for name in (*FOLDERS, *OF_PATIENTS):
            _copy_tree(source / name, home / name, set(), strict=True)
        if (source / IDENTITY).is_file():
            shutil.copy2(source / IDENTITY, home / IDENTITY)
        if url:
            options = ["--no-owner", "--exit-on-error", "--single-transaction"]
            _postgres(["pg_restore", *options, str(source / DUMP)], url)
        else:
            shutil.copy2(source / SQLITE, home / SQLITE)
    except BaseException:
        for path in home.iterdir():  # which was empty: it can be tried again
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def save_elsewhere(home: Path, url: str, address: str) -> None:
    """Save into a folder beside home, and upload it; what went before a kill is not sent again."""
    from medloupe.errors import MedloupeError
    from medloupe.utils.remote.address import parse_address
    from medloupe.utils.remote.delivery import upload_folder
    from medloupe.utils.remote.objects import Bucket

    try:
        bucket = Bucket(parse_address(address))
        if bucket.stat(SUMS) is not None:
            raise BackupError(f"{address} is there already; name a new folder, by date for instance.")
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".medloupe-backup-") as folder:
            save(home, url, Path(folder) / "copy")
            upload_folder(Path(folder) / "copy", bucket)
    except MedloupeError as e:
        raise BackupError(str(e)) from e


def restore_from_elsewhere(home: Path, url: str, address: str) -> None:
    """Fetch a copy into a folder beside home, and restore it."""
    from medloupe.errors import MedloupeError
    from medloupe.utils.remote.cache import FilesCache
    from medloupe.utils.remote.fetch import fetch

    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".medloupe-backup-") as folder:
        try:
            with fetch(address, cache=FilesCache(Path(folder), 1 << 60)) as copy:
                restore(home, url, copy)
        except MedloupeError as e:
            raise BackupError(str(e)) from e


def _copy_tree(source: Path, target: Path, left_out: set[str], *, strict: bool) -> None:
    """Copy a folder, if it is there, without what is half written; a file that has two names there has two in the copy.

    Versions of data sets are such names of the pictures, so that the copy is no larger than what is copied. Unless it
    is strict, what is gone meanwhile is not missed: a picture may be deleted on somebody's wish at that moment.
    """
    copied: dict[tuple[int, int], Path] = {}
    for place, folders, names in os.walk(source):
        here = target / Path(place).relative_to(source)
        hidden = left_out if Path(place) == source else set()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in hidden]
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.startswith("."):
                continue
            try:
                found = (Path(place) / name).stat()
                twin = copied.get((found.st_dev, found.st_ino)) if found.st_nlink > 1 else None
                if twin is not None:
                    os.link(twin, here / name)
                    continue
                shutil.copy2(Path(place) / name, here / name)
            except FileNotFoundError:
                if strict:
                    raise
                continue
            copied[found.st_dev, found.st_ino] = here / name


def _copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a database in use, by SQLite's own means; copying the file would miss its log."""
    with (
        contextlib.closing(sqlite3.connect(source, timeout=60)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        said = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise BackupError(f"{source} is damaged: {said}")


def _postgres(command: list[str], url: str) -> None:
    """Run pg_dump or pg_restore on the database; the password goes by the environment, which others cannot see."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    query = f"?{parts.query}" if parts.query else ""
    address = f"postgresql://{name}{at}{place}{parts.path}{query}"
    environment = {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}
    if shutil.which(command[0]) is None:
        raise BackupError(f"{command[0]} is not installed (Debian: apt-get install postgresql-client).")
    done = subprocess.run([*command, f"--dbname={address}"], env=environment, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BackupError(f"{command[0]}: {done.stderr.strip()}")


def _sums(folder: Path) -> dict[str, str]:
    """Relative path → sha256 of all files under folder but the list itself."""
    sums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / SUMS:
            with path.open("rb") as f:
                sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(f, "sha256").hexdigest()
    return sums


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["save", "restore"])
    parser.add_argument("folder", help="a folder, or s3://BUCKET/KEY")
    told = parser.parse_args()
    home = os.environ.get("MEDLOUPE_HOME")
    if not home:
        parser.error("MEDLOUPE_HOME is not set")
    os.umask(0o077)
    url = os.environ.get("MEDLOUPE_DATABASE", "")
    try:
        if "://" in told.folder:
            {"save": save_elsewhere, "restore": restore_from_elsewhere}[told.action](Path(home), url, told.folder)
        else:
            {"save": save, "restore": restore}[told.action](Path(home), url, Path(told.folder).absolute())
    except (BackupError, ImportError, OSError, shutil.Error, sqlite3.Error) as e:
        print(f"backup.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
