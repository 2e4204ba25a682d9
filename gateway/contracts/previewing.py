"""The calls that an adapter would make for a formdata: real code, far ends that only listen.

No secret is read and nothing leaves: each secret shows as `{secret}`, our reference as
`{reference}`. The GRU answers what the bench of the mapping's cases says it does.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue, Route
from gateway.contracts.case_databases import databases
from gateway.contracts.case_model import Given, GivenFile
from gateway.contracts.case_player import Consequences, play
from gateway.contracts.cases import Bench, Case, bench_of
from gateway.contracts.fixture_catalogue import bench_catalogue, offline_catalogue, with_mapping
from gateway.contracts.texts import say
from gateway.core.errors import NotFound
from gateway.core.mapping import RequestMapping
from gateway.core.request import EventKind, Json


async def preview_calls(
    bundle: Mapping[str, str],
    mapping: RequestMapping,
    formdata: Mapping[str, Json],
    event: EventKind = EventKind.CREATION,
    commune: str | None = None,
) -> Consequences | None:
    """Play a formdata, and return what leaves; None where nobody says what GRU there is.

    `commune`: with that commune's own settings, else with those of the mapping's bench. An event
    after the creation is invented. Raises ConfigurationFault, and NotFound for a commune that has
    no route by the mapping.
    """
    bench = bench_of(bundle, mapping.key)
    stage = None if commune is None else _own(bundle, mapping, commune)
    if stage is None:
        if bench.options is None:
            return None
        stage = bench_catalogue(bundle, mapping, bench, formdata)
    catalogue, route = stage
    changed = with_mapping(catalogue, route, mapping)
    route = changed.communes[route.commune].routes[route.teleservice]
    case = Case(
        mapping=mapping.key,
        file=mapping.file,
        line=1,
        title="preview",
        given=_given(event, formdata),
        expect=None,
        formdata=formdata,
        bench=Bench(None, bench.answers, bench.file, bench.line),
        commune=commune,
    )
    with databases() as made:
        return await play(case, changed, route, made)


def _own(
    bundle: Mapping[str, str], mapping: RequestMapping, commune: str
) -> tuple[Catalogue, Route]:
    if SETTINGS not in bundle:
        raise NotFound(say("preview_unconfigured", commune=commune))
    catalogue = offline_catalogue(bundle)
    known = catalogue.communes.get(commune)
    for route in known.routes.values() if known is not None else ():
        if route.mapping.key == mapping.key:
            return catalogue, route
    raise NotFound(say("preview_no_route", commune=commune, key=mapping.key))


def _given(event: EventKind, formdata: Mapping[str, Json]) -> Given:
    """Invent what the citizen does after the creation."""
    match event:
        case EventKind.MESSAGE:
            return Given(event=event, message="Un message de l'usager.")
        case EventKind.DOCUMENT:
            file = GivenFile(filename="document.txt", text="document")
            return Given(event=event, file=file)
        case EventKind.CHANGE:
            fields = formdata.get("fields")
            texts = (fields if isinstance(fields, dict) else {}).items()
            name, text = next(
                ((name, text) for name, text in texts if isinstance(text, str)), ("", "")
            )
            return Given(event=event, fields={name: f"{text} (modifié)"} if name else {})
        case _:
            return Given(event=event)
