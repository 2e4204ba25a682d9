"""`portal reconcile`: find what the portal has for us, and take it in now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Catalogue, Teleservice
from gateway.catalogue.config_faults import nearest
from gateway.cli.beside import run_beside
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings
from gateway.cli.texts import say
from gateway.core import reasons
from gateway.core.errors import NotFound
from gateway.core.request import EventKind
from gateway.flow.due import DueFound
from gateway.flow.engine import Engine


@dataclass(frozen=True, slots=True)
class DueItem:
    """A request, or an event of it, that is due and not here. `code` says why it is not taken
    in."""

    ref: str
    commune: str | None
    what: str
    at: datetime | None
    code: str | None = None


@dataclass(slots=True)
class ReconciledForm:
    """One form: the items that are due, or the number taken in. `failure` says why it could not be
    read.

    `off`: the form has no mark of due requests.
    """

    portal: str
    teleservice: str
    due: list[DueItem] = field(default_factory=list)
    taken: int = 0
    failure: str | None = None
    off: bool = False


def reconcile(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    portal: Annotated[list[str] | None, typer.Option(help="May be repeated; else all.")] = None,
    teleservice: Annotated[
        list[str] | None, typer.Option(help="By slug; may be repeated; else all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what it would take, and take nothing.")
    ] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="By the files, signed or not, as with `serve --dev`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take in what the portal's workflow has marked as due and no push brought.

    Beside a running daemon or without one; it also runs by itself (`reconcile` in gateway.yaml).
    Exit code 1 when something due cannot be taken, 4 when a form could not be read.
    """
    settings = load_settings(config, mappings)
    unknown = sorted(set(portal or ()) - set(settings.portals))
    known = {slug for one in settings.portals.values() for slug in one.teleservices}
    unknown += sorted(set(teleservice or ()) - known)
    if unknown:
        cure = nearest(unknown[0], sorted({*settings.portals, *known}))
        raise NotFound(say("no_portal_nor_form", names=tuple(unknown), cure=cure))

    async def work(engine: Engine) -> list[ReconciledForm]:
        return [
            await (_preview(engine, name, one) if dry_run else _reconcile(engine, name, one))
            for name, one in _forms(engine.catalogue, portal, teleservice)
        ]

    found = run_beside(settings.settings, config, mappings, work, files=dev)
    if as_json:
        emit(found)
    else:
        _print(found, dry_run=dry_run)
    if any(form.failure for form in found):
        raise typer.Exit(Exit.FAR_END)
    if any(one.code for form in found for one in form.due):
        raise typer.Exit(Exit.NO)


def _forms(
    catalogue: Catalogue, portals: list[str] | None, slugs: list[str] | None
) -> Iterator[tuple[str, Teleservice]]:
    for name in portals or sorted(catalogue.portals):
        for slug, one in sorted(catalogue.portals[name].teleservices.items()):
            if slugs is None or slug in slugs:
                yield name, one


async def _preview(engine: Engine, portal: str, teleservice: Teleservice) -> ReconciledForm:
    looked = ReconciledForm(portal, teleservice.slug, off=not teleservice.due)
    if looked.off:
        return looked
    async for found in engine.reconciler.due.read(portal, teleservice, datetime.now(UTC)):
        if not isinstance(found, DueFound):
            looked.failure = getattr(found, "reason", "unreadable_answer")
            break
        for one in found.missing:
            for kind, at, code in await engine.reconciler.preview(portal, teleservice.slug, one):
                what = "request" if kind is EventKind.CREATION else kind.value
                looked.due.append(DueItem(one.ref, one.commune, what, at, code))
        looked.due += [
            DueItem(ref, commune, "request", None, code) for ref, commune, code in found.refused
        ]
    return looked


async def _reconcile(engine: Engine, portal: str, teleservice: Teleservice) -> ReconciledForm:
    looked = ReconciledForm(portal, teleservice.slug, off=not teleservice.due)
    if looked.off:
        return looked
    reconciler = engine.reconciler
    looked.taken = await reconciler.reconcile(portal, teleservice)
    looked.failure, passed = await reconciler.left(portal, teleservice.slug)
    for one in passed:
        what = "event" if one.later else "request"
        looked.due.append(DueItem(one.ref, one.commune, what, one.first_at, one.code))
    return looked


def _print(found: list[ReconciledForm], *, dry_run: bool) -> None:
    for form in found:
        name = f"{form.portal} {form.teleservice}"
        if form.off:
            print_message(say("reconcile_off", name=name))
            continue
        if form.failure is not None:
            print_message(say("form_unread", name=name, why=reasons.of(form.failure).said))
        left = [one for one in form.due if one.code is not None]
        would = len(form.due) - len(left)
        word, count = ("to_be_taken", would) if dry_run else ("were_taken", form.taken)
        print_message(say(word, name=name, count=count, left=len(left)))
        rows = [(one.ref, one.commune, one.what, one.at, one.code) for one in form.due]
        if rows:
            table(("request", "commune", "what", "since", "refusal"), rows, say("no_requests"))
