"""The register of personal data (RGPD, art. 30), from mappings and settings alone: French."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.catalogue.catalogue import Catalogue, Commune, CommuneLinking, Route
from gateway.contracts.report import render_page
from gateway.contracts.spreadsheet import BEGIN, sheet_row
from gateway.core.canary import is_canary
from gateway.core.errors import file_line
from gateway.core.mapping import RequestMapping, SourcePath, source_paths
from gateway.core.personal import SENSITIVE, DataCategory, LegalBasis, PersonalData
from gateway.core.purposes import of_the_request
from gateway.core.retention import RetentionPolicy
from gateway.flow.retention import Policies

#: Stands for all that the files do not tell.
TO_TELL: Final = "À renseigner"
BASES: Final[Mapping[LegalBasis, str]] = {
    LegalBasis.CONSENT: "Consentement (RGPD, art. 6.1.a)",
    LegalBasis.CONTRACT: "Contrat (RGPD, art. 6.1.b)",
    LegalBasis.LEGAL_OBLIGATION: "Obligation légale (RGPD, art. 6.1.c)",
    LegalBasis.VITAL_INTERESTS: "Sauvegarde des intérêts vitaux (RGPD, art. 6.1.d)",
    LegalBasis.PUBLIC_TASK: "Mission d'intérêt public (RGPD, art. 6.1.e)",
    LegalBasis.LEGITIMATE_INTERESTS: "Intérêts légitimes (RGPD, art. 6.1.f)",
}
CATEGORIES: Final[Mapping[DataCategory, str]] = {
    DataCategory.IDENTITY: "État civil, identité",
    DataCategory.CONTACT: "Coordonnées",
    DataCategory.LOCATION: "Adresse, localisation",
    DataCategory.FAMILY: "Vie personnelle, situation familiale",
    DataCategory.WORK: "Vie professionnelle",
    DataCategory.FINANCE: "Situation économique et financière",
    DataCategory.HEALTH: "Données de santé",
    DataCategory.DOCUMENT: "Documents et images fournis",
    DataCategory.REQUEST: "Objet de la demande",
}
_REFERENCES: Final = "Numéros, dates et canal de la demande"
_SPOKEN: Final = {
    "event": ("Messages et pièces que l'usager ajoute", "Compléter la demande après son dépôt"),
    "changes": ("Modifications que l'usager fait", "Corriger la demande après son dépôt"),
}
_BACK: Final = "Statuts, messages et documents de la commune"
SUBCONTRACTOR: Final = "Métropole de Lyon (passerelle et portail Toodego)"
#: The columns of the CSV.
COLUMNS: Final = (
    "Responsable du traitement",
    "Sous-traitant",
    "Code INSEE",
    "Délégué à la protection des données",
    "Traitement",
    "Finalité du traitement",
    "Base légale",
    "Texte",
    "Catégories de personnes",
    "Donnée",
    "Champ transmis",
    "Catégorie de données",
    "Donnée sensible (art. 9)",
    "Finalité de la donnée",
    "Base légale de la donnée",
    "Destinataires",
    "Transferts hors de l'Union européenne",
    "Conservation par la passerelle",
    "Conservation par la commune",
    "Mesures de sécurité",
    "Origine",
    "Correspondance et version",
)
#: The treatment of linked accounts, among a commune's teleservices.
LINKING: Final = "Rattachement de comptes"
_CONTACT: Final = ("email", "email_verified", "phone_number", "address")
#: Measures of every treatment.
_MEASURES: Final = (
    "Contenus et fichiers chiffrés au repos, une clé par demande",
    "Appels signés ou authentifiés, secrets hors de la configuration",
    "Aucune donnée personnelle dans les journaux, les mesures et les noms de fichiers",
    "Une clé ne vaut que pour sa commune ; débit et taille bornés",
    "Effacement de la personne, jusque chez la commune",
    "Piste d'audit chaînée des effacements et des consultations",
)


@dataclass(frozen=True, slots=True)
class RegisterLine:
    """One kind of data of a treatment: what it is, what the commune's software calls it, and why it
    is sent. `place` is where the mapping sends it."""

    data: str
    targets: tuple[str, ...]
    category: str
    sensitive: bool
    purpose: str
    basis: str
    recipients: str
    place: str


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """One treatment: a teleservice of a commune."""

    commune: str
    insee: str
    dpo: str
    teleservice: str
    purpose: str
    basis: str
    law: str
    persons: tuple[str, ...]
    recipients: str
    transfers: str
    kept_here: str
    kept_there: str
    measures: tuple[str, ...]
    mapping: str
    lines: tuple[RegisterLine, ...]

    @property
    def lacking(self) -> int:
        """The number of lines whose purpose nobody told."""
        return sum(one.purpose == TO_TELL for one in self.lines) + (self.purpose == TO_TELL)


def register_entries(
    catalogue: Catalogue, communes: Iterable[str] | None = None
) -> list[RegisterEntry]:
    """Return the treatments of these communes (None: of all), by commune and teleservice."""
    policies = Policies(catalogue)
    every = catalogue.communes if communes is None else communes
    wanted = sorted(insee for insee in every if not is_canary(insee))
    routed = [
        _entry(
            route.mapping,
            (commune.name, insee, commune.contacts.get("dpo", TO_TELL)),
            _recipients(commune, route),
            policies.of_route(route),
            _measures(catalogue, route),
        )
        for insee in wanted
        for commune in (catalogue.communes[insee],)
        for _, route in sorted(commune.routes.items())
    ]
    linking = [
        _linking(commune, commune.linking, catalogue)
        for insee in wanted
        for commune in (catalogue.communes[insee],)
        if commune.linking is not None
    ]
    return sorted(routed + linking, key=lambda one: one.insee)


def _linking(commune: Commune, linking: CommuneLinking, catalogue: Catalogue) -> RegisterEntry:
    """Return the treatment of linked accounts: what a commune's portal is given of a citizen."""
    recipients = f"Agents habilités de {commune.name}, par le portail « {linking.portal} »"
    basis = BASES[LegalBasis.CONSENT]
    glc = catalogue.settings.glc
    given = [
        (name, DataCategory.CONTACT if name in _CONTACT else DataCategory.IDENTITY)
        for name in linking.claims
    ]
    told = [
        *(("Identifiant de l'usager, propre à cette commune", DataCategory.IDENTITY, "sub"),),
        *(("Compte de l'usager sur le portail de la commune", DataCategory.IDENTITY, "account"),),
        *(("Niveau de l'authentification", DataCategory.IDENTITY, "acr"),),
        *((name, category, f"claims.{name}") for name, category in given),
    ]
    return RegisterEntry(
        commune=commune.name,
        insee=commune.insee,
        dpo=commune.contacts.get("dpo", TO_TELL),
        teleservice=LINKING,
        purpose="Reconnaître, sur le portail de la commune, les demandes faites sur Toodego",
        basis=basis,
        law="",
        persons=("Usagers qui rattachent leurs comptes",),
        recipients=recipients,
        transfers="Aucun par la passerelle ; pour le portail de la commune : à vérifier",
        kept_here="Jusqu'à la fin du rattachement, ou la suppression du compte ; une heure s'il"
        " n'est pas confirmé",
        kept_there=TO_TELL,
        measures=(
            "Consentement de l'usager, qui voit ce qui est transmis et y met fin quand il veut",
            "Rattachements chiffrés au repos, une clé pour chacun",
            *_MEASURES[1:],
        ),
        mapping="" if glc is None or glc.openid is None else glc.openid.issuer,
        lines=tuple(
            RegisterLine(
                data=data,
                targets=(target,),
                category=CATEGORIES[category],
                sensitive=False,
                purpose="Rattacher les comptes, avec l'accord de l'usager",
                basis=basis,
                recipients=recipients,
                place="linking",
            )
            for data, category, target in told
        ),
    )


def register_of_mappings(mappings: Iterable[RequestMapping]) -> list[RegisterEntry]:
    """Return the treatments of mapping files for whatever commune uses them."""
    return [
        _entry(
            mapping,
            ("Commune qui emploie cette correspondance", "", TO_TELL),
            f"Agents habilités de la commune, par son logiciel ({mapping.adapter})",
            RetentionPolicy(),
            _MEASURES,
        )
        for mapping in sorted(mappings, key=lambda one: one.key)
    ]


def _entry(
    mapping: RequestMapping,
    whose: tuple[str, str, str],
    recipients: str,
    policy: RetentionPolicy,
    measures: tuple[str, ...],
) -> RegisterEntry:
    told = mapping.personal
    commune, insee, dpo = whose
    return RegisterEntry(
        commune=commune,
        insee=insee,
        dpo=dpo,
        teleservice=mapping.teleservice,
        purpose=TO_TELL if told is None else told.purpose,
        basis=TO_TELL if told is None else BASES[told.basis],
        law="" if told is None else told.law,
        persons=("Usagers de la démarche",) if told is None else told.persons,
        recipients=recipients,
        transfers="Aucun par la passerelle ; pour le logiciel de la commune : à vérifier",
        kept_here=_kept(policy),
        kept_there=(told.kept if told is not None else "") or TO_TELL,
        measures=measures,
        mapping=f"{mapping.key} v{mapping.version}",
        lines=tuple(_lines(mapping, told, recipients)),
    )


def _lines(
    mapping: RequestMapping, told: PersonalData | None, recipients: str
) -> Iterable[RegisterLine]:
    request = CATEGORIES[DataCategory.REQUEST]
    of_all = TO_TELL if told is None else BASES[told.basis]
    sent: dict[str, list[SourcePath]] = {}
    spoken: dict[str, list[SourcePath]] = {}
    for path in source_paths(mapping, sent=True):
        root = path.path.partition(".")[0].partition("[")[0]
        if of_the_request(path.path) or root in _SPOKEN:
            spoken.setdefault("" if root not in _SPOKEN else root, []).append(path)
        else:
            sent.setdefault(path.path, []).append(path)
    for name, paths in sent.items():
        found = None if told is None else told.of(name)
        category = DataCategory.REQUEST if found is None else found.category
        yield RegisterLine(
            data=name.removeprefix("fields."),
            targets=tuple(dict.fromkeys(one.target for one in paths)),
            category=CATEGORIES[category],
            sensitive=category in SENSITIVE,
            purpose=TO_TELL if found is None else found.purpose,
            basis=of_all if found is None or found.basis is None else BASES[found.basis],
            recipients=recipients,
            place=_place(mapping, paths[0]),
        )
    for root, paths in sorted(spoken.items()):
        data, purpose = _SPOKEN.get(root, (_REFERENCES, "Identifier et suivre la demande"))
        targets = tuple(dict.fromkeys(one.target for one in paths))
        place = _place(mapping, paths[0])
        yield RegisterLine(data, targets, request, False, purpose, of_all, recipients, place)
    if mapping.statuses or mapping.portal.hook or mapping.portal.triggers:
        place = mapping.place(mapping.portal)
        yield RegisterLine(
            _BACK, (), request, False, "Répondre à l'usager", of_all, "Portail Toodego", place
        )


def _place(mapping: RequestMapping, path: SourcePath) -> str:
    return file_line(path.file or mapping.file, path.line)


def _recipients(commune: Commune, route: Route) -> str:
    address = getattr(route.gru.options, "base_url", None)
    host = urlsplit(str(address)).hostname if address else None
    where = f" ({host})" if host else ""
    return (
        f"Agents habilités de {commune.name}, par le logiciel « {route.gru.name} »"
        f" ({route.gru.adapter}){where}"
    )


def _kept(policy: RetentionPolicy) -> str:
    ended, silent = (_delay(one) for one in (policy.ended, policy.silent))
    return f"{ended} après la fin de la demande ; {silent} après le dernier signe sans fin dite"


def _delay(seconds: float | None) -> str:
    if seconds is None:
        return "Sans limite"
    days = seconds / 86400
    return f"{days:.0f} jours" if days >= 2 else f"{seconds / 3600:.0f} heures"


def _measures(catalogue: Catalogue, route: Route) -> tuple[str, ...]:
    settings = catalogue.settings
    address = str(getattr(route.gru.options, "base_url", "") or "")
    found = list(_MEASURES)
    if address.startswith("https:"):
        found.insert(0, "Échanges chiffrés (TLS 1.2 ou 1.3)")
    if settings.antivirus is not None:
        found.append("Fichiers contrôlés par un antivirus")
    return tuple(found)


def as_csv(entries: Iterable[RegisterEntry]) -> str:
    """Return the register for a French spreadsheet: semicolons, a byte order mark, a row for each
    kind of data. No cell is a formula."""
    text = BEGIN + sheet_row(COLUMNS)
    return text + "".join(sheet_row(_cells(one, line)) for one in entries for line in one.lines)


def _cells(one: RegisterEntry, line: RegisterLine) -> tuple[str, ...]:
    return (
        *(one.commune, SUBCONTRACTOR, one.insee, one.dpo, one.teleservice, one.purpose, one.basis),
        *(one.law, " ; ".join(one.persons), line.data, ", ".join(line.targets)),
        *(line.category, "oui" if line.sensitive else "non", line.purpose, line.basis),
        *(line.recipients, one.transfers, one.kept_here, one.kept_there),
        *(" ; ".join(one.measures), line.place, one.mapping),
    )


def as_html(entries: list[RegisterEntry], at: datetime) -> str:
    """Return the register as one page, for browsers and A4 paper."""
    return render_page(
        "register.html.j2", entries=entries, at=at, to_tell=TO_TELL, subcontractor=SUBCONTRACTOR
    )
