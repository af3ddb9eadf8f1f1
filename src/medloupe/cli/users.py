"""`medloupe users`: accounts, API tokens and the audit log."""

from __future__ import annotations

import datetime
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.accounts.person import article
from medloupe.cli.options import Home, Json, Yes
from medloupe.errors import MedloupeError, StoreError

if TYPE_CHECKING:
    from medloupe.accounts.people import People

users_app = typer.Typer(help="Accounts, API tokens and the audit log.", no_args_is_help=True)
Person = Annotated[str, typer.Argument(metavar="NAME", help="Of the person.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]


@users_app.command("add")
def users_add(
    name: Person,
    role: Annotated[
        str, typer.Option(metavar="R", help="viewer, clinician, reviewer, trainer or admin.")
    ] = "clinician",
    password_stdin: Stdin = False,
    home: Home = None,
) -> None:
    """Make an account."""
    people = _people()
    person = people.add(name, _password(password_stdin), role)
    _note(people, "user.add", person.name, {"role": person.role})
    typer.echo(f"{person.name} is {article(person.role)} {person.role}.", err=True)


@users_app.command("list")
def users_list(json: Json = False, home: Home = None) -> None:
    """All accounts."""
    accounts = _people().all()
    for a in accounts:
        if json:
            _print({"name": a.name, "role": a.role, "created": a.created, "disabled": a.disabled})
        else:
            typer.echo(f"{a.name:24} {a.role:10} {a.created[:10]}{'  shut out' if a.disabled else ''}")
    if not accounts and not json:
        typer.echo("No accounts: only this computer can ask. Make one: medloupe users add NAME --role admin", err=True)


@users_app.command("passwd")
def users_passwd(
    name: Person,
    password_stdin: Stdin = False,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Let the API tokens go on working; else they are revoked.")
    ] = False,
    home: Home = None,
) -> None:
    """Set a new password; the person is logged out everywhere, and their API tokens are revoked."""
    people = _people()
    person = people.find(name)
    count = len(people.logins.tokens(person))
    people.set_password(name, _password(password_stdin), keep_tokens=keep_tokens)
    _note(people, "user.password", person.name, {"tokens": "kept" if keep_tokens else "revoked"} if count else None)
    typer.echo(f"{person.name} has a new password, and is logged out everywhere.", err=True)
    if count and keep_tokens:
        typer.echo(f"API tokens go on working: medloupe users tokens {person.name}", err=True)
    elif count:
        typer.echo(f"{count} API token{'s' if count > 1 else ''} revoked: programs need a new one.", err=True)


@users_app.command("role")
def users_role(
    name: Person,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, clinician, reviewer, trainer or admin.")],
    home: Home = None,
) -> None:
    """Change what a person may do."""
    people = _people()
    people.set_role(name, role)
    _note(people, "user.role", name, {"role": role})
    typer.echo(f"{name} is {article(role)} {role}.", err=True)


@users_app.command("disable")
def users_disable(name: Person, home: Home = None) -> None:
    """Shut a person out, API tokens included."""
    _set_disabled(name, True)
    typer.echo(f"{name} is shut out.", err=True)


@users_app.command("enable")
def users_enable(name: Person, home: Home = None) -> None:
    """Let a person in again."""
    _set_disabled(name, False)
    typer.echo(f"{name} may log in again.", err=True)


@users_app.command("remove")
def users_remove(
    name: Person,
    yes: Yes = False,
    home: Home = None,
) -> None:
    """Remove an account; the predictions stay, without a person."""
    if not yes and not typer.confirm(f"Remove {name}?", err=True):
        raise typer.Exit(1)
    people = _people()
    people.remove(name)
    _note(people, "user.remove", name)
    typer.echo(f"Removed {name}.", err=True)


@users_app.command("token")
def users_token(
    name: Person,
    label: Annotated[str, typer.Option(metavar="TEXT", help="What will use it.")],
    home: Home = None,
) -> None:
    """Make an API token; it is printed on stdout, this once."""
    people = _people()
    person = people.find(name)
    secret = people.logins.add_token(person, label)
    _note(people, "token.add", name, {"label": label})
    typer.echo(secret)


@users_app.command("tokens", help="A person's API tokens.")
def users_tokens(name: Person, json: Json = False, home: Home = None) -> None:
    """List a person's API tokens."""
    people = _people()
    for t in people.logins.tokens(people.find(name)):
        if json:
            _print({"id": t.id, "label": t.name, "created": t.created, "last_used": t.last_used})
        else:
            typer.echo(f"{t.id:5}  {t.name:32} made {t.created[:10]}, last used {(t.last_used or 'never')[:16]}")


@users_app.command("revoke")
def users_revoke(
    name: Person, id: Annotated[int, typer.Argument(metavar="ID", help="Of the token.")], home: Home = None
) -> None:
    """Make an API token worthless."""
    people = _people()
    people.logins.revoke(people.find(name), id)
    _note(people, "token.revoke", name, {"id": id})
    typer.echo(f"Token {id} of {name} is worthless now.", err=True)


@users_app.command("audit")
def users_audit(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many lines.")] = 50,
    actor: Annotated[str, typer.Option(metavar="NAME", help="Only what this person did.")] = "",
    action: Annotated[str, typer.Option(metavar="WORD", help="Only lines of this action, such as predict.")] = "",
    answer: Annotated[str, typer.Option(metavar="ID", help="Only lines about the answer of this id.")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Check that no line was changed, removed or added.")] = False,
    remove_before: Annotated[
        str, typer.Option(metavar="DATE", help="Remove lines from before a day, such as 2027-01-31.")
    ] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Who did what, the newest first; or whether the log is whole."""
    people = _people()
    if remove_before:
        _remove_lines(people, remove_before)
    elif verify:
        _verify(people, json)
    else:
        for e in people.log.entries(limit, actor=actor, action=action, answer=answer):
            if json:
                _print(
                    {"id": e.id, "at": e.at, "actor": e.actor, "action": e.action, "object": e.object}
                    | {"detail": e.detail, "request_id": e.request_id}
                )
            else:
                typer.echo(f"{e.at[:19]}  {e.actor:20} {e.action:18} {e.object}")


def _verify(people: People, json: bool) -> None:
    """Say whether the audit log is whole; exit 1 where it is not."""
    proof = people.log.prove()
    if json:
        _print(asdict(proof))
    else:
        sealed = f"; {proof.seals} seals" if proof.seals else ""
        old = f", and {proof.before:,} from before lines were chained" if proof.before else ""
        gone = f"; {proof.removed:,} older ones were removed on purpose" if proof.removed else ""
        typer.echo(f"{proof.lines:,} lines are as they were written{old}{sealed}{gone}.", err=True)
    if proof.broken:
        raise StoreError(f"The audit log is not whole. {proof.broken}", "Somebody changed the database by hand.")


def _remove_lines(people: People, day: str) -> None:
    try:
        before = datetime.date.fromisoformat(day).isoformat()
    except ValueError as e:
        raise typer.BadParameter(f"{day!r} is no day; write 2027-01-31.", param_hint="--remove-before") from e
    count = people.log.remove_before(before)
    _note(people, "audit.remove", before, {"lines": count})
    typer.echo(f"Removed {count:,} lines from before {before}; the rest can still be verified.", err=True)


@users_app.command("begin-anew")
def users_begin_anew(yes: Yes = False, home: Home = None) -> None:
    """Go on without the database, or the folder, that the store had: accounts and answers may be lost."""
    from medloupe.accounts.people import People
    from medloupe.settings import home as home_now
    from medloupe.store.database import begin_anew
    from medloupe.store.models import Store

    question = f"Begin anew in {home_now()}, without what is missing?"
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)
    home_now().mkdir(parents=True, exist_ok=True)
    where = begin_anew(home_now())
    people = People(Store.open().engine)
    _note(people, "store.anew", "")
    accounts = len(people.all())
    typer.echo(f"The store goes on with the database {where}; it has {accounts} accounts.", err=True)
    if not accounts:
        typer.echo("Make one: medloupe users add NAME --role admin", err=True)


def _set_disabled(name: str, disabled: bool) -> None:
    people = _people()
    people.set_disabled(name, disabled)
    _note(people, "user.disable" if disabled else "user.enable", name)


def _note(people: People, action: str, object: str, detail: dict[str, Any] | None = None) -> None:
    from medloupe.accounts.log import operator

    people.log.add(operator(), action, object, detail)


def _people() -> People:
    from medloupe.accounts.people import People
    from medloupe.store.models import Store

    return People(Store.open().engine)


def _password(stdin: bool) -> str:
    if stdin:
        try:
            said = sys.stdin.readline().rstrip("\r\n")
            said.encode()  # Python may have let bytes through that are no text
        except UnicodeError as e:
            raise MedloupeError("The password is not UTF-8 text.", "Check the encoding of what sends it.") from e
        return said
    if not sys.stdin.isatty():
        raise MedloupeError("There is nobody to ask for a password.", "Give it with --password-stdin.")
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


def _print(value: dict[str, Any]) -> None:
    from medloupe.cli import console

    console.print_json(value)
