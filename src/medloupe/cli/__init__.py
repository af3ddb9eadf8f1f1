"""The command line: one module a command, put together in `app.py`."""

from __future__ import annotations

from typing import Any


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; see `cli/app.py`.

    Parameters
    ----------
    arguments : list of str, optional
        What follows `medloupe`; those of the process where left out.
    """
    from medloupe.cli import app

    return app.main(arguments)
