"""`console`: the accounts and tokens of the console's people and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from gateway.cli.console_texts import say
from gateway.cli.noted import By, noting, who
from gateway.cli.output import AsJson, emit, print_message, print_text, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings, open_database
from gateway.cli.usage import CommandGroup, Misuse
from gateway.core.console import ConsoleRole, Grant, granted, is_account_name
from gateway.core.errors import Conflict
from gateway.core.ids import is_insee
from gateway.flow.console import accounts
from gateway.store.console import ConsoleAccount, ConsoleToken
from gateway.store.engine import Store
from gateway.store.recording import RecordingStore

app = typer.Typer(help="The console: who gets in.", no_args_is_help=True)
user = typer.Typer(help="Local accounts.", no_args_is_help=True)
token = typer.Typer(help="Tokens of programs, for /api/v1.", no_args_is_help=True)
app.add_typer(user, name="user", cls=CommandGroup)
app.add_typer(token, name="token", cls=CommandGroup)
_T = TypeVar("_T")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, . _ and -.")]
TheRole = Annotated[ConsoleRole, typer.Option("--role", help="What it may do.")]
Communes = Annotated[
    list[str] | None,
    typer.Option("--commune", metavar="INSEE", help="Of an agent, and of an auditor of some."),
]


@user.command("add")
def add_user(
    name: Name,
    role: TheRole,
    communes: Communes = None,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Add an account. Prints its link, by which its password is chosen, once, within a day."""
    grant, now = _grant(role, communes), datetime.now(UTC)

    async def act(store: RecordingStore) -> tuple[ConsoleAccount, str]:
        return await accounts.add_user(store, name, role, grant.communes or (), now)

    _print_link(_act("user_added", name, by, config, mappings, act), config, mappings, as_json)


@user.command("reset")
def reset_user(
    name: Name,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Print a new link for an account: its password, its sessions and its locks end."""
    now = datetime.now(UTC)

    async def act(store: RecordingStore) -> tuple[ConsoleAccount, str]:
        return await accounts.reset_user(store, name, now)

    _print_link(_act("user_reset", name, by, config, mappings, act), config, mappings, as_json)


@user.command("disable")
def disable_user(
    name: Name, by: By = None, config: Config = CONFIG, mappings: Mappings = MAPPINGS
) -> None:
    """Let nobody in by an account any more; its sessions end at once."""
    _act(
        "user_disabled",
        name,
        by,
        config,
        mappings,
        lambda store: accounts.disable_user(store, name),
    )
    print_message(say("disabled", name=name))


@user.command("list")
def list_users(
    config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """List the accounts."""
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(accounts.users(database))
    rows = [
        {
            "name": one.name,
            "role": one.grant.role,
            "communes": _communes(one.grant),
            "state": _state(one),
            "signed_in_at": one.signed_in_at,
        }
        for one in found
    ]
    _print_rows(rows, ("name", "role", "communes", "state", "signed_in_at"), "no_user", as_json)


@token.command("add")
def add_token(
    name: Name,
    role: TheRole,
    communes: Communes = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="It is good for so long.")] = 365,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is printed once: nobody can show it again."""
    grant, now, maker = _grant(role, communes), datetime.now(UTC), who(by)

    async def act(store: RecordingStore) -> tuple[ConsoleToken, str]:
        return await accounts.add_token(
            store, name, role, grant.communes or (), maker, now, life=timedelta(days=days)
        )

    made, secret = _act("token_added", name, by, config, mappings, act)
    if as_json:
        emit({"name": made.name, "token": secret, "ends_at": made.ends_at})
    else:
        print_text(secret)
        print_message(say("token", name=made.name, ends=f"{made.ends_at:%Y-%m-%d}"), err=True)


@token.command("remove")
def remove_token(
    name: Name, by: By = None, config: Config = CONFIG, mappings: Mappings = MAPPINGS
) -> None:
    """Make a token worthless."""
    _act(
        "token_removed",
        name,
        by,
        config,
        mappings,
        lambda store: accounts.remove_token(store, name),
    )
    print_message(say("removed", name=name))


@token.command("list")
def list_tokens(
    config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """List the tokens, without their secrets."""
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(accounts.tokens(database))
    rows = [
        {
            "name": one.name,
            "role": one.grant.role,
            "communes": _communes(one.grant),
            "by": one.created_by,
            "ends_at": one.ends_at,
        }
        for one in found
    ]
    _print_rows(rows, ("name", "role", "communes", "by", "ends_at"), "no_token", as_json)


def _act(
    kind: str,
    name: str,
    by: str | None,
    config: Config,
    mappings: Mappings,
    act: Callable[[RecordingStore], Awaitable[_T]],
) -> _T:
    """Do it beside a running daemon or without one, and note it in the trail."""
    if not is_account_name(name):
        raise Misuse(say("bad_name", name=name))
    settings = load_settings(config, mappings).settings
    if settings.console is None:
        raise Conflict(say("no_console"))

    async def run(store: Store) -> _T:
        return await act(noting(store, f"console.{kind}", by, account=name))

    with open_database(settings) as database:
        return asyncio.run(run(database))


def _grant(role: ConsoleRole, communes: list[str] | None) -> Grant:
    named = communes or []
    bad = [one for one in named if not is_insee(one)]
    if bad:
        raise Misuse(say("bad_insee", code=bad[0]))
    if (role is ConsoleRole.AGENT and not named) or (role is ConsoleRole.OPERATOR and named):
        raise Misuse(say("role_communes"))
    return granted(role, named)


def _print_link(
    found: tuple[ConsoleAccount, str], config: Config, mappings: Mappings, as_json: bool
) -> None:
    account, secret = found
    base = load_settings(config, mappings).settings.public_url.rstrip("/")
    link = f"{base}/console/ouverture?lien={secret}"
    if as_json:
        emit({"name": account.name, "link": link, "until": account.setup_until})
        return
    print_text(link)
    print_message(say("link", name=account.name), err=True)


def _communes(grant: Grant) -> tuple[str, ...]:
    return () if grant.communes is None else tuple(sorted(grant.communes))


def _state(one: ConsoleAccount) -> str:
    if one.disabled:
        return "disabled"
    return "waiting" if one.password is None else "open"


def _print_rows(
    rows: list[dict[str, Any]], names: tuple[str, ...], none: str, as_json: bool
) -> None:
    if as_json:
        emit(rows)
        return
    table(names, [tuple(row[name] for name in names) for row in rows], say(none))
