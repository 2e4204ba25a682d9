"""The root of the command line: the groups and the commands without a group."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import (
    adapter,
    backup,
    check,
    commune,
    commune_add,
    commune_decommission,
    config,
    console,
    contract,
    db,
    demo,
    drift,
    erasure,
    erasure_acts,
    erasure_ledger,
    glc,
    health,
    incident,
    incident_acts,
    keys,
    link,
    maintenance,
    mapping,
    outbox,
    pack,
    person,
    pivot,
    portal,
    reconcile,
    register,
    release,
    release_back,
    release_show,
    request,
    retention,
    sandbox,
    secrets,
    serve,
    sla,
)
from gateway.cli.faults import RootGroup
from gateway.cli.language import InLanguage
from gateway.cli.usage import CommandGroup

app = typer.Typer(
    cls=RootGroup,
    help="Gateway between the Toodego portal and the GRUs of the communes.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage, 3 configuration, 4 far end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"gru-gateway {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_tell_version, help="Say the version, and end."
        ),
    ] = False,
    lang: InLanguage = None,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("health")(health.health)
app.command("demo")(demo.demo)
app.command("sandbox")(sandbox.sandbox)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(request.app, name="request", cls=CommandGroup)
app.add_typer(outbox.app, name="outbox", cls=CommandGroup)
commune.app.command("decommission")(commune_decommission.decommission)
commune.app.command("add")(commune_add.add_commune)
app.add_typer(commune.app, name="commune", cls=CommandGroup)
app.add_typer(mapping.app, name="mapping", cls=CommandGroup)
app.add_typer(adapter.app, name="adapter", cls=CommandGroup)
app.add_typer(pack.app, name="pack", cls=CommandGroup)
app.add_typer(pivot.app, name="pivot", cls=CommandGroup)
contract.app.command("drift")(drift.drift)
app.add_typer(contract.app, name="contract", cls=CommandGroup)
erasure.app.command("approve")(erasure_acts.approve)
erasure.app.command("export")(erasure_ledger.export_)
erasure.app.command("import")(erasure_ledger.import_)
erasure.app.command("withdraw")(erasure_acts.withdraw)
erasure.app.command("open")(erasure_acts.open_)
erasure.app.command("todo")(erasure_acts.todo)
erasure.app.command("done")(erasure_acts.done)
release.app.command("list")(release_show.show_all)
release.app.command("show")(release_show.show)
release.app.command("verify")(release_show.verify)
release.app.command("rollback")(release_back.rollback)
release.app.command("undo")(release_back.undo)
release.app.command("withdraw")(release_back.withdraw)
app.add_typer(release.app, name="release", cls=CommandGroup)
portal.app.command("reconcile")(reconcile.reconcile)
app.add_typer(portal.app, name="portal", cls=CommandGroup)
app.add_typer(glc.app, name="glc", cls=CommandGroup)
app.add_typer(link.app, name="link", cls=CommandGroup)
app.add_typer(secrets.app, name="secrets", cls=CommandGroup)
app.add_typer(keys.app, name="keys", cls=CommandGroup)
app.add_typer(erasure.app, name="erasure", cls=CommandGroup)
incident.app.command("ack")(incident_acts.ack)
incident.app.command("assign")(incident_acts.assign)
incident.app.command("severity")(incident_acts.severity)
incident.app.command("pause")(incident_acts.pause)
incident.app.command("resume")(incident_acts.resume)
incident.app.command("comment")(incident_acts.comment)
incident.app.command("ticket")(incident_acts.ticket)
incident.app.command("notified")(incident_acts.notified)
incident.app.command("close")(incident_acts.close)
app.add_typer(incident.app, name="incident", cls=CommandGroup)
app.add_typer(sla.app, name="sla", cls=CommandGroup)
app.add_typer(maintenance.app, name="maintenance", cls=CommandGroup)
app.add_typer(console.app, name="console", cls=CommandGroup)
app.add_typer(retention.app, name="retention", cls=CommandGroup)
app.add_typer(person.app, name="person", cls=CommandGroup)
app.add_typer(register.app, name="personal-data", cls=CommandGroup)
db.app.command("restored")(backup.restored)
app.add_typer(db.app, name="db", cls=CommandGroup)
app.add_typer(config.app, name="config", cls=CommandGroup)
