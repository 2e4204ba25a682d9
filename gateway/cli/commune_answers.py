"""The answers of which a commune's first file is made: given as options, or by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.catalogue import registry
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.insee import france
from gateway.catalogue.new_commune import (
    AdapterOption,
    CommuneDraft,
    mappings_for,
    needed_options,
    secret_options,
)
from gateway.catalogue.secrets import file_bytes
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.departure_texts import say
from gateway.cli.output import ask_secret, ask_text, print_message
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import Message
from gateway.sdk import Adapter
from gateway.sdk.secrets import is_reference

#: In place of a secret's reference: one is made.
NEW = "new"
#: The name of the commune's own signature key among its secrets.
KEY = "key"
#: Bytes of a file of options.
_LARGEST = 256 * 1024

Several = list[str] | None


@dataclass(slots=True)
class Answers:
    """The answers that were given, or that a person gives. `asks`: a person is asked for what is
    missing; else it is a fault, and all of them are told at once."""

    asks: bool
    faults: list[Fault] = field(default_factory=list)

    def text(self, option: str, given: str | None, word: str, default: str = "") -> str:
        """Return what was given, or what a person answers; empty after a fault."""
        if given is not None and given.strip():
            return " ".join(given.split())
        if self.asks:
            return ask_text(say(word), default)
        if not default:
            self.fault(option, say("option_due"))
        return default

    def one_of(self, option: str, given: str | None, word: str, known: Sequence[str]) -> str:
        """Return one of these; where there is only one, nobody is asked."""
        if given is None and len(known) == 1:
            return known[0]
        if given is None and self.asks:
            print_message(say("there_are", known=tuple(known)))
        answer = self.text(option, given, word)
        while self.asks and given is None and answer not in known:
            print_message(say("none_of", given=answer, known=tuple(known) or say("no_secret")))
            answer = self.text(option, given, word)
        if answer and answer not in known:
            self.fault(option, say("none_of", given=answer, known=tuple(known) or say("no_secret")))
            return ""
        return answer

    def fault(self, option: str, said: Message) -> None:
        self.faults.append(Fault(option, 0, said))

    def pairs(self, option: str, given: Several) -> dict[str, str]:
        """Return what was given as `NAME=VALUE`."""
        found = {}
        for one in given or ():
            name, equals, value = one.partition("=")
            if not (name.strip() and equals and value.strip()):
                self.fault(option, say("no_pair", given=one[:80]))
                continue
            found[name.strip()] = value.strip()
        return found


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """The options of the command that make a draft."""

    name: str | None
    portal: str | None
    adapter: str | None
    gru: str
    production: bool | None
    route: Several
    option: Several
    options: Path | None
    contact: Several
    own_key: bool


def draft_of(
    answers: Answers, catalogue: Catalogue, insee: str, given: GivenAnswers
) -> tuple[CommuneDraft, dict[str, str | None]]:
    """Return the draft, and the secrets to write by option: None for one to be made. References to
    these stand in the draft once they are written."""
    official, _ = france().get(insee, ("", ""))
    name = answers.text("--name", given.name, "ask_name", official)
    portal = answers.one_of("--portal", given.portal, "ask_portal", sorted(catalogue.portals))
    kinds = registry.survey().adapters
    kind = answers.one_of("--adapter", given.adapter, "ask_adapter", sorted(kinds))
    contacts = answers.pairs("--contact", given.contact)
    if answers.asks and not contacts:
        contacts = {"technical": ask_text(say("ask_contact"), "-")}
    options: dict[str, Any] = {}
    wanted: dict[str, str | None] = {}
    if kind:
        options, wanted = _options(answers, kinds[kind], given)
    routes: dict[str, str] = {}
    if not ((portal and kind) or given.route or answers.asks):
        answers.fault("--route", say("option_due"))
    if portal and kind:
        routes = _routes(answers, catalogue, portal, kind, given.route)
    here = catalogue.portals.get(portal)
    production = given.production
    if production is None:
        production = here is not None and here.production
    if given.own_key:
        wanted[KEY] = None
    draft = CommuneDraft(
        insee=insee,
        name=name,
        portal=portal,
        gru=given.gru,
        adapter=kind,
        production=production,
        options=options,
        routes=routes,
        contacts={role: told for role, told in contacts.items() if told != "-"},
    )
    return draft, wanted


def _options(
    answers: Answers, adapter: type[Adapter], given: GivenAnswers
) -> tuple[dict[str, Any], dict[str, str | None]]:
    options = {} if given.options is None else _options_file(answers, given.options)
    for name, text in answers.pairs("--option", given.option).items():
        options[name] = _value(text)
    hidden, wanted = secret_options(adapter), dict[str, str | None]()
    for one in needed_options(adapter):
        if one.name not in options:
            options[one.name] = _answer(answers, one)
    for name in sorted(hidden & options.keys()):
        value = options[name]
        if value == NEW:
            wanted[name] = None
        elif isinstance(value, AskedSecret):
            wanted[name] = value.text
        elif value and not is_reference(value):
            answers.fault(f"--option {name}", say("secret_in_clear"))
    return {name: value for name, value in options.items() if name not in wanted}, wanted


@dataclass(frozen=True, slots=True)
class AskedSecret:
    """A secret that a person typed."""

    text: str = field(repr=False)


def _answer(answers: Answers, one: AdapterOption) -> Any:
    """Return a person's answer for an option that has no default."""
    if not answers.asks:
        answers.fault(f"--option {one.name}", say("option_of_adapter", help=one.help))
        return ""
    if not one.secret:
        return _value(ask_text(say("ask_option", name=one.name, help=one.help)))
    told = ask_secret(say("ask_secret", name=one.name))
    if not told:
        return NEW
    return told if is_reference(told) else AskedSecret(told)


def _options_file(answers: Answers, file: Path) -> dict[str, Any]:
    try:
        text = file_bytes(str(file), _LARGEST + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        answers.fault("--options", say("options_unread", file=str(file)))
        return {}
    if len(text) > _LARGEST:
        answers.fault("--options", say("options_large", file=str(file), most=_LARGEST // 1024))
        return {}
    try:
        found = load_yaml(text, str(file)).value
    except ConfigurationFault as error:
        answers.faults += error.faults
        return {}
    if not isinstance(found, dict):
        answers.fault("--options", say("options_no_keys", file=str(file)))
        return {}
    return found


def _value(text: str) -> Any:
    """Return a value as YAML reads it: a number, true, a list; else the text itself."""
    try:
        return load_yaml(text, "").value
    except ConfigurationFault:
        return text


def _asked_routes(forms: Sequence[str], fitting: Sequence[str]) -> list[str]:
    """Return the teleservices that a person names, with a mapping or not; asked until all are
    known."""
    while forms:
        print_message(say("there_are", known=tuple(fitting) or say("no_secret")))
        asked = ask_text(say("ask_routes")).replace(",", " ").split()
        unknown = [one for one in asked if one.partition("=")[0] not in forms]
        if not unknown:
            return asked
        print_message(say("none_of", given=unknown[0][:80], known=tuple(fitting)))
    return []


def _routes(
    answers: Answers, catalogue: Catalogue, portal: str, kind: str, given: Several
) -> dict[str, str]:
    forms = sorted(catalogue.portals[portal].teleservices)
    fitting = {slug: mappings_for(catalogue.mappings, slug, kind) for slug in forms}
    asked = list(given or ())
    if not asked and answers.asks:
        asked = _asked_routes(forms, [slug for slug in forms if fitting[slug]])
    if not asked:
        answers.fault("--route", say("option_due"))
    routes = {}
    for one in asked:
        slug, _, mapping = one.partition("=")
        if slug not in fitting:
            known = tuple(forms) or say("no_secret")
            answers.fault("--route", say("none_of", given=slug[:80], known=known))
            continue
        chosen = answers.one_of(f"--route {slug}", mapping or None, "ask_mapping", fitting[slug])
        if chosen:
            routes[slug] = chosen
    return routes
