"""`portal`: what the portal's side needs from us."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.catalogue.config_faults import nearest
from gateway.catalogue.relays import relay_of
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.texts import say as say_files
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message, print_text, writing
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, in_place, load_catalogue
from gateway.cli.texts import say
from gateway.contracts.form_schema import read_schema
from gateway.core import reasons
from gateway.core.errors import NotFound
from gateway.flow.far_ends import open_far_ends
from gateway.wire.wcs_tests import tests_of
from gateway.wire.wcs_workflow import workflow_of

app = typer.Typer(help="The portal's side: its workflow, its forms.", no_args_is_help=True)

WORKFLOW = "workflow.wcs"
#: A form's schema, saved beside its mappings for `check --offline`.
FORM = "schema.json"


@app.callback()
def portal() -> None:
    """The portal's side."""


@app.command()
def workflow(
    teleservice: Annotated[str, typer.Argument(help="The form's slug.")],
    portal: Annotated[str | None, typer.Option(help="Needed when several have the form.")] = None,
    commune: Annotated[
        list[str] | None,
        typer.Option(metavar="INSEE", help="Of these communes alone; else all that have a route."),
    ] = None,
    moderated: Annotated[
        bool, typer.Option("--moderated", help="An agent of the portal lets each request go.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write them.")] = Path("publik"),
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Write the workflow of a form and its tests, to be imported into w.c.s."""
    catalogue = load_catalogue(config, mappings, secrets=NeededSecrets.NONE)
    with in_place(config, mappings):
        relay, left_out = relay_of(
            catalogue, teleservice, portal=portal, communes=commune or (), moderated=moderated
        )
    files = {WORKFLOW: workflow_of(relay), **tests_of(relay)}
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, "utf-8")
    variables = sorted({one.variable for one in relay.senders if one.variable is not None})
    if as_json:
        emit(
            {
                "folder": out,
                "files": list(files),
                "workflow": relay.name,
                "variables": variables,
                "left_out": left_out,
            }
        )
        return
    for name in files:
        print_text(f"{out / name}")
    print_message(say("workflow", name=relay.name))
    for variable in variables:
        print_message(say("site_variable", name=variable))
    if not variables:
        print_message(say("signed_by_portal", host=urlsplit(relay.base).hostname or ""))
    if relay.commune_field is None:
        told = say("all_goes_to", code=relay.senders[0].codes[0])
        print_message(say("warning", told=told), err=True)
    for one in left_out:
        told = say("event_not_taken", kind=one.kind.value, communes=tuple(one.communes))
        print_message(say("warning", told=told), err=True)


@app.command()
def form(
    teleservice: Annotated[str, typer.Argument(help="The form's slug.")],
    portal: Annotated[str | None, typer.Option(help="Needed when several have the form.")] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
) -> None:
    """Read a form's schema now, and save it as MAPPINGS/FORM/schema.json for `check --offline`.

    Exit code 4 when the portal does not give it.
    """
    catalogue = load_catalogue(config, mappings, secrets=NeededSecrets.ALL)
    named = [one.name for one in catalogue.portals.values() if teleservice in one.teleservices]
    having = [name for name in named if portal in (None, name)]
    if len(having) != 1:
        if portal is None and named:
            raise NotFound(say_files("several_portals_have", slug=teleservice, names=tuple(named)))
        slugs = {slug for one in catalogue.portals.values() for slug in one.teleservices}
        cure = nearest(portal or "", named) if named else nearest(teleservice, sorted(slugs))
        raise NotFound(say_files("no_portal_has", slug=teleservice, cure=cure))

    async def read() -> object:
        async with open_far_ends(catalogue) as far_ends:
            return await read_schema(far_ends.portals[having[0]], teleservice)

    schema = asyncio.run(read())
    if not isinstance(schema, dict):
        why = getattr(schema, "reason", "unreadable_answer")
        said = say("of_portal", portal=having[0], said=reasons.of(why).said)
        print_message(say("error", said=said), err=True)
        raise typer.Exit(Exit.FAR_END)
    file = mappings / teleservice / FORM
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print_text(f"{file}")
