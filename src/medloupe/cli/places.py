"""Take addresses on the command line where it takes paths.

What is read is fetched before a command begins, what it writes is uploaded when it is done. An option or argument says
so by its parser: `read_place`, `read_named` (where the text may also be something else, such as a name) or
`write_place`. The commands themselves see paths of this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from medloupe.errors import MedloupeError
from medloupe.utils.remote.address import is_remote, parse_address

ALLOW_URLS = "allow_urls"
"""Name of the parameter by which a command allows that cells of the table `data`, or `table`, are fetched."""


class _Elsewhere(str):
    """An address that a person typed."""

    __slots__ = ()


class _ReadAsText(_Elsewhere):
    __slots__ = ()


class _Written(_Elsewhere):
    __slots__ = ()


def read_place(text: str) -> Any:
    """Take a path or an address that is read. Raises RemoteRefusedError for an address of a kind that is not."""
    return _taken(text, _Elsewhere) or Path(text)


def read_named(text: str) -> Any:
    """Take a path, an address that is read, or any other text. Raises as `read_place` does."""
    return _taken(text, _ReadAsText) or text


def write_place(text: str) -> Any:
    """Take a path or an address that is written. Raises as `read_place` does."""
    return _taken(text, _Written) or Path(text)


class PlacesCommand(TyperCommand):
    """A command whose addresses become paths for as long as it runs."""

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the command."""
        allowed = bool(ctx.params.get(ALLOW_URLS))
        if not allowed and not any(isinstance(v, _Elsewhere) for value in ctx.params.values() for v in _each(value)):
            return super().invoke(ctx)
        from medloupe.cli.console import progress
        from medloupe.utils.remote.fetch import rename_copies

        with ExitStack() as held:
            with progress() as say:
                for name, value in ctx.params.items():
                    several = isinstance(value, Sequence) and not isinstance(value, str)
                    brought = [_bring(v, held, say) for v in _each(value)]
                    ctx.params[name] = brought if several else brought[0]
                if allowed:
                    _fetch_linked(ctx.params, held, say)
            try:
                return super().invoke(ctx)
            except MedloupeError as e:  # which names the copies
                e.message, e.hint = rename_copies(e.message), rename_copies(e.hint)
                raise


class PlacesTyper(typer.Typer):
    """An application of such commands."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        """Declare a command, as Typer does."""
        return super().command(name, **{"cls": PlacesCommand, **options})


def _taken(text: str, kind: type[_Elsewhere]) -> _Elsewhere | None:
    if not is_remote(text):
        return None
    parse_address(text)
    return kind(text)


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def _fetch_linked(parameters: dict[str, Any], held: ExitStack, say: Any) -> None:
    """Put the folder of what a table links to in the place of the table."""
    from medloupe.data.linked import fetch_linked
    from medloupe.data.readers.table import is_table

    data, table = parameters["data"], parameters.get("table")
    told = table if table is not None else data
    if not is_table(told):
        raise typer.BadParameter("goes with a table: as DATA, or by --table.", param_hint="--allow-urls")
    folder = fetch_linked(told, lambda done, total: say("fetching", done, total))
    parameters["data"], parameters["table"] = held.enter_context(folder), None


def _bring(value: Any, held: ExitStack, say: Any) -> Any:
    if not isinstance(value, _Elsewhere):
        return value
    from medloupe.utils.remote.delivery import deliver
    from medloupe.utils.remote.fetch import fetch

    if isinstance(value, _Written):
        return held.enter_context(deliver(str(value)))
    path = held.enter_context(fetch(str(value), lambda done, total: say("fetching", done, total)))
    return str(path) if isinstance(value, _ReadAsText) else path
