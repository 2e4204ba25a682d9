"""`person`: all that is held about one person, given to them; and the erasure that they ask for."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.catalogue.catalogue import Catalogue, Settings
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, as_plain, emit, print_message, writing
from gateway.cli.private import private_bytes, private_file
from gateway.cli.rights_texts import say
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings, open_database
from gateway.cli.usage import Misuse
from gateway.contracts.person_page import END, page_head, page_part
from gateway.core.account import normal_account
from gateway.core.erasure import DEADLINE
from gateway.core.errors import GatewayError
from gateway.core.sealing import NotOpened
from gateway.flow import operator, person
from gateway.flow.attachments import open_attachments
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.files import FileOpener
from gateway.flow.links import LinkRegister, open_register
from gateway.flow.person import HeldPerson
from gateway.store.engine import Database

app = typer.Typer(help="The rights of one person (RGPD).", no_args_is_help=True)

#: Characters of what the trail keeps.
LONGEST = 200
FILES = "fichiers"
#: Seconds for one file: an object store that does not answer is asked again until then.
FILE_WITHIN = 300.0

Account = Annotated[
    str | None, typer.Option("--account", metavar="UUID", help="The account at GLC.")
]
Request = Annotated[
    str | None,
    typer.Option("--request", metavar="ID", help="A request by any of its numbers: its person."),
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does so; kept in the trail.")]
Why = Annotated[
    str,
    typer.Option("--why", metavar="TEXT", help="The ground, as a file number; kept in the trail."),
]


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder that is not there.")],
    by: By,
    why: Why,
    account: Account = None,
    request: Request = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Write all that is held about a person: donnees.json, a French page, and the files.

    For an account all of its requests; for a request without account that one. The folder is for
    its owner alone. The trail keeps who did it and why. Exit code 1: all is written but values that
    do not open, which are named.
    """
    who, ground = _trail_text(by, "by"), _trail_text(why, "why")
    if (account is None) == (request is None):
        raise Misuse(say("account_or_request"))
    # Those of the object store and of linked accounts are among them.
    catalogue = load_settings(config, mappings, secrets=NeededSecrets.ALL)
    with open_database(catalogue.settings) as database, writing(to):
        links = open_register(catalogue.settings, database)
        found = asyncio.run(person.find_person(database, links, account=account, request=request))
        # The folder must not be there. Then the trail: nothing is given that is not in it.
        to.mkdir(mode=0o700)
        with _whole_or_gone(to):
            (to / FILES).mkdir(mode=0o700)
            asyncio.run(person.record_export(database, found, who, ground, Environment()))
            files, damaged = asyncio.run(_write(catalogue, database, links, to, found))
    if as_json:
        emit({"to": str(to), "requests": found.requests, "files": files, "damaged": damaged})
    else:
        print_message(say("exported", to=str(to), requests=len(found.requests), files=files))
    if damaged:
        print_message(say("export_damaged", places=tuple(damaged)), err=True)
        raise typer.Exit(Exit.NO)


@contextmanager
def _whole_or_gone(folder: Path) -> Iterator[None]:
    """Within the block a folder is filled; where that fails, nothing of the person is left."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _write(
    catalogue: Catalogue,
    database: Database,
    links: LinkRegister | None,
    to: Path,
    found: HeldPerson,
) -> tuple[int, list[str]]:
    """Write the page, the JSON and the files; return how many of these, and what does not open."""
    environment = Environment()
    attachments = open_attachments(catalogue.settings.attachments, database, environment)
    opener = FileOpener(database, environment, attachments)
    now, count = environment.now(), 0
    damaged: list[str] = []
    with private_file(to / "donnees.json") as data, private_file(to / "donnees.html") as page:
        rows = await person.rows_of_account(database, links, found)
        head = {"at": now, "account": found.account, **rows}
        data.write(f'{{"person": {_json(head)},\n "requests": [')
        page.write(page_head(found, rows.get("links", ()), now))
        first = True
        async for one in person.held_requests(database, found):
            names: dict[str, str] = {}
            for row in one.attachment:
                count += 1
                name = f"{FILES}/{count:04}{_ending(str(row['filename']))}"
                try:
                    if await _write_file(opener, to / name, row):
                        names[row["id"]] = name
                except NotOpened:
                    _remove(to / name)
                    one = replace(one, damaged=(*one.damaged, f"attachment {row['id']}"))
            damaged += one.damaged
            told = as_plain(one) | {"files": names}
            data.write(("" if first else ",") + "\n" + _json(told))
            page.write(page_part(one, names))
            first = False
        data.write("\n]}\n")
        page.write(END)
    return count, damaged


async def _write_file(opener: FileOpener, place: Path, row: Mapping[str, Any]) -> bool:
    """Write one file piece by piece. False where its bytes are gone."""
    try:
        with private_bytes(place) as file:
            async with asyncio.timeout(FILE_WITHIN):
                async for piece in person.file_pieces(opener, row):
                    file.write(piece)
    except LookupError:
        _remove(place)
        return False
    except TimeoutError:
        raise GatewayError(say("file_unread", id=str(row["id"]))) from None
    return True


def _remove(place: Path) -> None:
    place.unlink(missing_ok=True)


def _ending(filename: str) -> str:
    """Return the ending of a file's name, where it is a plain one."""
    ending = Path(filename).suffix.lower()
    return ending if ending[1:].isascii() and ending[1:].isalnum() and len(ending) < 8 else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=as_plain)


def _trail_text(text: str, option: str) -> str:
    """Return what the trail is to keep, on one line. Raises Misuse when it is empty or long."""
    flat = " ".join(text.split())
    if not flat or len(flat) > LONGEST:
        raise Misuse(say("empty_told", option=f"--{option}", most=LONGEST))
    return flat


@app.command()
def erase(
    by: By,
    why: Why,
    account: Account = None,
    request: Request = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Open the erasure of all that is held about a person, as they ask for (RGPD, art. 17).

    It is held until a second person agrees (`erasure approve`). Each commune that received
    something is told to erase. Links with accounts of communes' portals end at once.
    """
    who, ground = _trail_text(by, "by"), _trail_text(why, "why")
    if (account is None) == (request is None):
        raise Misuse(say("account_or_request"))
    settings = load_settings(config, mappings, secrets=NeededSecrets.ALL).settings
    with open_database(settings) as database:
        done = asyncio.run(
            _open_erasures(settings, database, account=account, request=request, by=who, why=ground)
        )
    if as_json:
        emit(done)
        return
    if done.run is not None:
        print_message(say("erasure_opened", run=done.run, count=len(done.erasures)))
    if done.links:
        print_message(say("links_ended", count=done.links))


@dataclass(frozen=True, slots=True)
class OpenedErasures:
    """The run that a second person has to agree to, None where there is no request; its erasures;
    and the number of links that have ended."""

    run: str | None
    erasures: Sequence[str]
    links: int


async def _open_erasures(
    settings: Settings,
    database: Database,
    *,
    account: str | None,
    request: str | None,
    by: str,
    why: str,
) -> OpenedErasures:
    links = open_register(settings, database)
    found = await person.find_person(database, links, account=account, request=request)
    wanted = await person.stored_requests(database, found)
    glc = settings.glc
    deadline = DEADLINE if glc is None else timedelta(seconds=glc.deadline)
    run: str | None = None
    opened: Sequence[str] = ()
    environment = Environment()
    if wanted:
        hasher = AccountHasher(settings)
        run, opened = await operator.open_requests(
            database, hasher, wanted, by, why, deadline, environment
        )
    ended = 0
    if links is not None and found.account is not None:
        now = environment.now()
        ended = await links.end_of_account(normal_account(found.account), by, why, now)
    return OpenedErasures(run, opened, ended)
