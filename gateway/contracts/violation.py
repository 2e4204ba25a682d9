"""The notice of a violation of personal data (RGPD, art. 33), as far as the gateway can fill it in:
French, and without any personal data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.catalogue.catalogue import Catalogue
from gateway.contracts.register import TO_TELL, RegisterEntry, register_entries
from gateway.contracts.report import french, render_page
from gateway.store import exposure, linked
from gateway.store.engine import Store
from gateway.store.exposure import ExposedRoute, TrailSummary

#: References named in the notice itself; a file beside it has all.
SHOWN: Final = 500
_PAGE: Final = 1_000
#: To the CNIL, and to the Métropole by the convention of the communes.
CNIL_WITHIN: Final = timedelta(hours=72)
METROPOLE_WITHIN: Final = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class ExposedTeleservice:
    """One route with what its mapping says of its data; None where it has none any more."""

    route: ExposedRoute
    name: str
    dpo: str
    entry: RegisterEntry | None

    @property
    def categories(self) -> tuple[str, ...]:
        lines = () if self.entry is None else self.entry.lines
        return tuple(dict.fromkeys(line.category for line in lines))

    @property
    def fields(self) -> tuple[str, ...]:
        lines = () if self.entry is None else self.entry.lines
        return tuple(dict.fromkeys(line.data for line in lines if line.targets))

    @property
    def sensitive(self) -> bool:
        return self.entry is not None and any(line.sensitive for line in self.entry.lines)


@dataclass(frozen=True, slots=True)
class ViolationNotice:
    """The content that lay here from `since` to `until`; at `known_at` somebody learnt of it."""

    since: datetime
    until: datetime
    known_at: datetime
    at: datetime
    people: int
    exposed: tuple[ExposedTeleservice, ...]
    trail: tuple[TrailSummary, ...]
    references: tuple[str, ...]
    #: Linked accounts by commune, of which the gateway holds the citizen's GLC account.
    links: Mapping[str, int]

    @property
    def requests(self) -> int:
        return sum(one.route.requests for one in self.exposed)

    @property
    def files(self) -> int:
        return sum(one.route.files for one in self.exposed)

    @property
    def communes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"{one.name} ({one.route.commune})" for one in self.exposed))

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for one in self.exposed for word in one.categories))


async def violation_notice(
    store: Store,
    catalogue: Catalogue,
    since: datetime,
    until: datetime,
    known_at: datetime,
    at: datetime,
    commune: str | None,
) -> ViolationNotice:
    """Fill in the notice from tables, trail and mappings. Raises Unavailable."""
    entries = {(one.insee, one.teleservice): one for one in register_entries(catalogue)}
    found = await store.read(exposure.routes, since, until, commune)
    exposed = []
    for route in found:
        known = catalogue.communes.get(route.commune)
        name = route.commune if known is None else known.name
        dpo = TO_TELL if known is None else known.contacts.get("dpo", TO_TELL)
        entry = entries.get((route.commune, route.teleservice))
        exposed.append(ExposedTeleservice(route, name, dpo, entry))
    first = await store.read(exposure.references, since, until, commune, None, SHOWN)
    return ViolationNotice(
        since,
        until,
        known_at,
        at,
        await store.read(exposure.people, since, until, commune),
        tuple(exposed),
        tuple(await store.read(exposure.trail_within, since, until)),
        tuple(row[0] for row in first),
        await store.read(linked.count, commune, until),
    )


async def all_references(
    store: Store, since: datetime, until: datetime, commune: str | None
) -> AsyncIterator[Sequence[tuple[str, str, str, datetime]]]:
    """Yield all references, page by page, as `exposure.references` does."""
    after: tuple[datetime, str] | None = None
    while page := await store.read(exposure.references, since, until, commune, after, _PAGE):
        yield page
        after = (page[-1][3], page[-1][0])


def as_html(notice: ViolationNotice) -> str:
    """Return the notice as one page, for browsers and A4 paper."""
    return render_page("violation.html.j2", notice=notice, rows=_rows(notice), to_tell=TO_TELL)


def as_plain_text(notice: ViolationNotice) -> str:
    """Return the notice as plain text, to be pasted into a form or a mail."""
    lines = ["NOTIFICATION DE VIOLATION DE DONNÉES À CARACTÈRE PERSONNEL (RGPD, article 33)", ""]
    for heading, rows in _rows(notice):
        lines += [heading, "-" * len(heading)]
        lines += [f"{name} : {value}" for name, value in rows]
        lines.append("")
    lines += ["Références des demandes", "-----------------------", *notice.references]
    if notice.requests > len(notice.references):
        lines.append(f"… et {notice.requests - len(notice.references)} autres (references.csv)")
    return "\n".join(lines) + "\n"


Row = tuple[str, str]


def _rows(notice: ViolationNotice) -> list[tuple[str, list[Row]]]:
    """Return the notice's parts, in the order of the CNIL's form: heading, names, values."""
    return [
        ("1. Le responsable de traitement", _controllers(notice)),
        ("2. La violation", _times(notice)),
        ("3. Les personnes et les données", _data(notice)),
        ("4. Ce que dit la piste d'audit de cette période", _of_the_trail(notice)),
        (
            "5. Les conséquences et les mesures",
            [
                ("Conséquences probables pour les personnes", TO_TELL),
                ("Mesures prises ou envisagées", TO_TELL),
                ("Information des personnes (RGPD, article 34)", TO_TELL),
                ("Point de contact", TO_TELL),
            ],
        ),
    ]


def _controllers(notice: ViolationNotice) -> list[Row]:
    dpos = {f"Délégué, {one.name}": one.dpo for one in notice.exposed}
    return [
        ("Communes concernées", ", ".join(notice.communes) or "aucune"),
        ("Sous-traitant", "Métropole de Lyon (passerelle Toodego)"),
        *dpos.items(),
    ]


def _times(notice: ViolationNotice) -> list[Row]:
    cnil, metropole = notice.known_at + CNIL_WITHIN, notice.known_at + METROPOLE_WITHIN
    return [
        ("Début", french(notice.since)),
        ("Fin", french(notice.until)),
        ("Prise de connaissance", french(notice.known_at)),
        ("À notifier à la Métropole avant", f"{french(metropole)} (8 heures)"),
        ("À notifier à la CNIL avant", f"{french(cnil)} (72 heures)"),
        ("Nature (confidentialité, intégrité, disponibilité)", TO_TELL),
        ("Circonstances et origine", TO_TELL),
    ]


def _data(notice: ViolationNotice) -> list[Row]:
    shown = [
        (
            f"{one.name} ({one.route.commune}), {one.route.teleservice}",
            f"{one.route.requests} demandes ({one.route.accounts} comptes,"
            f" {one.route.alone} demandes sans compte), {one.route.files} fichiers ;"
            f" reçues du {french(one.route.first)} au {french(one.route.last)} ;"
            f" données : {', '.join(one.fields) or TO_TELL}"
            + (" ; dont des données sensibles (art. 9)" if one.sensitive else ""),
        )
        for one in notice.exposed
    ]
    records = f"{notice.requests} demandes, {notice.files} fichiers"
    return [
        ("Catégories de personnes", _persons(notice)),
        ("Nombre de personnes (approximatif)", str(notice.people)),
        ("Nombre d'enregistrements", records),
        ("Comptes rattachés (par commune)", _links(notice)),
        ("Catégories de données", ", ".join(notice.categories) or "aucune"),
        *shown,
    ]


def _links(notice: ViolationNotice) -> str:
    told = [f"{insee} : {count}" for insee, count in sorted(notice.links.items())]
    return ", ".join(told) or "aucun"


def _of_the_trail(notice: ViolationNotice) -> list[Row]:
    found = [
        (
            f"Piste « {one.stream} », {one.kind}",
            f"{one.count} entrées, du {french(one.first)} au {french(one.last)}",
        )
        for one in notice.trail
    ]
    return found or [("Piste d'audit", "aucune entrée")]


def _persons(notice: ViolationNotice) -> str:
    told = [
        person for one in notice.exposed if one.entry is not None for person in one.entry.persons
    ]
    return ", ".join(dict.fromkeys(told)) or "Usagers des démarches"
