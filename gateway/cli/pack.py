"""`pack`: ready-made beginnings for a GRU: its commune file, mapping and cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.packs import Pack, read_packs, write_pack
from gateway.cli.output import AsJson, emit, print_message, print_text, table, writing
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings
from gateway.cli.texts import say
from gateway.cli.usage import Misuse
from gateway.core.errors import NotFound
from gateway.core.ids import is_insee

app = typer.Typer(help="Packs: ready-made beginnings for a GRU.", no_args_is_help=True)
Named = Annotated[str, typer.Argument(metavar="NAME", help="As in `pack list`.")]


@app.command("list")
def show_all(as_json: AsJson = False) -> None:
    """The packs, and whether each was tried on a running server or follows its documentation."""
    packs = read_packs().values()
    if as_json:
        emit([{"name": one.name, **one.quality.model_dump(mode="json")} for one in packs])
        return
    rows = [
        (one.name, one.quality.product, one.quality.versions, say(f"tried_{one.quality.tried}"))
        for one in packs
    ]
    table(("name", "product", "versions", "tried"), rows, say("no_packs"))


@app.command()
def show(name: Named) -> None:
    """The page of a pack (in French): what to prepare, what works, how to begin."""
    print_text(_named(name).readme)


@app.command()
def ticketing(name: Named) -> None:
    """The part of gateway.yaml by which incidents have tickets in this product (in French)."""
    text = _named(name).ticketing
    if text is None:
        known = tuple(sorted(one.name for one in read_packs().values() if one.ticketing))
        raise NotFound(say("no_pack", name=name, known=known))
    print_text(text.rstrip())


@app.command("copy")
def begin(
    name: Named,
    commune: Annotated[str, typer.Option(metavar="INSEE", help="The commune's INSEE code.")],
    called: Annotated[str, typer.Option("--name", help="The commune's name.")],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
) -> None:
    """Begin a commune's configuration from a pack: its file, its mapping and cases. Nothing that is
    there is written over (exit code 1)."""
    pack = _named(name)
    if not is_insee(commune):
        raise Misuse(say("no_insee", insee=commune))
    with writing(Path(config)):
        written = write_pack(pack, commune, called, config, mappings)
    for path in written:
        print_text(path.as_posix())
    print_message(say("pack_next", readme=(pack.folder / "README.md").as_posix()))


def _named(name: str) -> Pack:
    packs = read_packs()
    if name not in packs:
        raise NotFound(say("no_pack", name=name, known=tuple(packs)))
    return packs[name]
