"""Checks of a half-connector's treatment of messages, in both modes."""

from __future__ import annotations

from typing import Any, Final

from gateway.contracts.half_connector.bench import HalfBench, same_number
from gateway.contracts.half_connector.checks import Broken, Unshown, shows
from gateway.contracts.half_connector.invented import PICTURE, file_told
from gateway.contracts.half_connector.reached import HalfAnswer
from gateway.contracts.half_connector.texts import say
from gateway.sdk.pivot_models import PivotEventType

_EVENT: Final = "webhooks.event"
_VERSIONS: Final = "Versions"
_ERASURE: Final = "webhooks.erasure"
_FILE: Final = "PivotFile"
LONG: Final = "Un texte long, comme en colle un usager. " * 480
CONTROL: Final = (
    'Ligne 1\r\nLigne 2\tsuite \u2028 l\'heure \\ "citée" <script>alert(1)</script>'
    " '; DROP TABLE demandes; -- {{7*7}} ${x} %s \x01\x1b[31m"
)


@shows("message.created", _EVENT, "a new request is taken", "une nouvelle demande est prise")
async def created(bench: HalfBench) -> None:
    await bench.request()


@shows(
    "message.repeated",
    _EVENT,
    "the same message again is answered as before, and makes no second ticket",
    "le même message renvoyé reçoit la même réponse, et ne fait pas de second dossier",
)
async def message_again(bench: HalfBench) -> None:
    reference, first = await bench.request()
    message = bench.citizens.created(reference)
    for _ in range(2):
        same_number(first, await bench.taken(message))


@shows(
    "message.amended",
    _EVENT,
    "what the citizen adds joins the ticket that is there",
    "ce que l'usager ajoute rejoint le dossier existant",
)
async def amended(bench: HalfBench) -> None:
    reference, first = await bench.request()
    told = await bench.taken(bench.citizens.wrote(reference, "J'ajoute une précision."))
    if told.reference is not None and first.reference is not None:
        same_number(first, told)


@shows(
    "message.kinds",
    _EVENT,
    "each kind of event of the contract is taken",
    "chaque type d'événement du contrat est pris",
)
async def kinds(bench: HalfBench) -> None:
    reference, _ = await bench.request()
    for n, kind in enumerate(PivotEventType):
        if kind is not PivotEventType.CREATED:
            await bench.taken(bench.citizens.event(reference, kind, n + 1))


@shows(
    "message.order",
    _EVENT,
    "a message that comes again after a later one changes nothing",
    "un message qui revient après un autre plus récent ne change rien",
)
async def order(bench: HalfBench) -> None:
    reference, first = await bench.request()
    await bench.taken(bench.citizens.wrote(reference, "Une suite."))
    same_number(first, await bench.taken(bench.citizens.created(reference)))


@shows(
    "message.early",
    _EVENT,
    "a message whose request is not there is refused, or wanted later; it opens no ticket",
    "un message dont la demande n'est pas là est refusé ou remis à plus tard ; il n'ouvre rien",
)
async def early(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told = await bench.give_once(bench.citizens.wrote(reference, "Trop tôt."))
    first = await bench.taken(bench.citizens.created(reference))
    if told.told == "setting":
        raise Broken(say("reads_as_setting", seen=told.shown))
    if told.told != "done":
        return
    if told.reference is None:
        raise Unshown(say("early_taken"))
    if told.reference != first.reference:
        raise Broken(say("early_ticket"))


@shows(
    "message.unknown_type",
    _VERSIONS,
    "an event of a type that comes in a later version is acknowledged, and passed over",
    "un événement d'un type à venir est acquitté, et ignoré",
)
async def added_type(bench: HalfBench) -> None:
    reference, _ = await bench.request()
    known = bench.citizens.wrote(reference, "Un type inconnu.")
    await _tolerated(bench, {**known, "type": "request.rescheduled"})


@shows(
    "message.unknown_fields",
    _VERSIONS,
    "fields that come in a later version are passed over",
    "les champs à venir sont ignorés",
)
async def added_fields(bench: HalfBench) -> None:
    message = bench.citizens.created(bench.citizens.reference(), files=[file_told(PICTURE)])
    for part in (message, message["request"], message["recipient"], message["files"][0]):
        part["added_in_1_9"] = {"any": ["thing", 1, None]}
    await _tolerated(bench, {**message, "api_version": "1.9.0"})


async def _tolerated(bench: HalfBench, message: dict[str, Any]) -> None:
    told = await bench.give(message)
    if told.told != "done":
        raise Broken(say("not_tolerated", seen=told.shown))


@shows(
    "recipient.commune",
    "Recipient",
    "what names another commune is refused",
    "ce qui nomme une autre commune est refusé",
)
async def other_commune(bench: HalfBench) -> None:
    there = {"commune": "99999", "environment": "test"}
    await _refused(bench, there)


@shows(
    "recipient.environment",
    "Recipient",
    "what is meant for production is refused where tests run",
    "ce qui est destiné à la production est refusé sur une instance d'essai",
)
async def other_environment(bench: HalfBench) -> None:
    await _refused(bench, {"commune": bench.citizens.commune, "environment": "production"})


async def _refused(bench: HalfBench, recipient: dict[str, str]) -> None:
    reference = bench.citizens.reference()
    told = await bench.give_once(bench.citizens.created(reference, recipient=recipient))
    if told.told == "done":
        raise Broken(say("others_taken"))


@shows(
    "message.teleservice",
    _EVENT,
    "a teleservice that it does not know is refused with a word of the contract",
    "une démarche qu'il ne connaît pas est refusée par un mot du contrat",
)
async def teleservice(bench: HalfBench) -> None:
    message = bench.citizens.created(bench.citizens.reference())
    message["request"] = {**message["request"], "teleservice": "demarche-inconnue-de-recette"}
    told = await bench.give_once(message)
    if told.told == "done":
        raise Unshown(say("all_teleservices"))
    if told.told != "refused":
        raise Broken(say("not_refused", seen=told.shown))


# --- texts ----------------------------------------------------------------------------------------


async def _text(bench: HalfBench, text: str) -> None:
    data = {**bench.citizens.data}
    if isinstance(data.get("description"), str):
        data["description"] = text
    reference, _ = await bench.request(data=data)
    await bench.taken(bench.citizens.wrote(reference, text))


@shows("text.emoji", _EVENT, "emoji are taken", "les émojis passent")
async def emoji(bench: HalfBench) -> None:
    await _text(bench, "Trou dangereux 🕳️ 👨‍👩‍👧‍👦 🇫🇷 — ça ira ? 𝒜ç\u0301")


@shows(
    "text.direction",
    _EVENT,
    "a text from right to left is taken",
    "un texte de droite à gauche passe",
)
async def direction(bench: HalfBench) -> None:
    await _text(bench, "الإنارة معطلة \u202eabc\u202c שלום")


@shows("text.long", _EVENT, "a text of 20,000 characters is taken", "20 000 caractères passent")
async def long(bench: HalfBench) -> None:
    await _text(bench, LONG)


@shows(
    "text.control",
    _EVENT,
    "quotes, markup and control characters are taken as they are",
    "guillemets, balises et caractères de commande passent tels quels",
)
async def control(bench: HalfBench) -> None:
    await _text(bench, CONTROL)


@shows(
    "text.nul",
    _EVENT,
    "a zero byte in a text is no crash",
    "un caractère nul dans un texte ne fait rien tomber",
)
async def nul(bench: HalfBench) -> None:
    reference, _ = await bench.request()
    told = await bench.give(bench.citizens.wrote(reference, "avant\x00après"))
    if told.told not in ("done", "refused"):
        raise Broken(say("crashes", seen=told.shown))


# --- files ----------------------------------------------------------------------------------------


@shows("file.inline", _FILE, "a file within the message is taken", "un fichier joint est pris")
async def inline(bench: HalfBench) -> None:
    await bench.request(files=[file_told(PICTURE)])


@shows(
    "file.link",
    _FILE,
    "a file at a link is read, whole, at the link as it stands",
    "un fichier par lien est lu, en entier, au lien tel quel",
)
async def link(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told, offered = bench.linked(reference)
    await bench.taken(bench.citizens.created(reference, files=[told]))
    if not await bench.until(lambda: offered.whole):
        if offered.altered:
            raise Broken(say("link_altered"))
        raise Broken(say("link_unread", seconds=bench.wait))


@shows(
    "file.broken",
    _FILE,
    "a read that breaks in the middle is made again, or goes on",
    "une lecture coupée au milieu est refaite, ou reprise",
)
async def broken(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told, offered = bench.linked(reference, "half")
    answer = await bench.give(bench.citizens.created(reference, files=[told]))
    _still_wanted(answer)
    if not await bench.until(lambda: offered.whole):
        raise Broken(say("half_kept" if offered.got else "link_unread", seconds=bench.wait))


@shows(
    "file.checksum",
    _FILE,
    "bytes that the SHA-256 does not name are not kept",
    "des octets que le SHA-256 ne désigne pas ne sont pas gardés",
)
async def checksum(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told, offered = bench.linked(reference, "other")
    answer = await bench.give(bench.citizens.created(reference, files=[told]))
    if answer.told == "refused":
        return
    if not await bench.until(lambda: offered.whole):
        raise Broken(say("other_kept" if offered.got else "link_unread", seconds=bench.wait))


def _still_wanted(answer: HalfAnswer, otherwise: str = "broken_refused") -> None:
    if answer.told in ("refused", "setting"):
        raise Broken(say(otherwise, seen=answer.shown))


@shows(
    "file.anew",
    _FILE,
    "a read that goes on and gets the whole file (200) begins anew",
    "une lecture reprise qui reçoit le fichier entier (200) repart du début",
)
async def anew(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told, offered = bench.linked(reference, "anew")
    answer = await bench.give(bench.citizens.created(reference, files=[told]))
    if offered.resumed:
        _still_wanted(answer, "anew_refused")
    if not await bench.until(lambda: offered.whole):
        raise Broken(say("half_kept" if offered.got else "link_unread", seconds=bench.wait))
    if not offered.resumed:
        raise Unshown(say("no_range"))


@shows(
    "file.looked_at",
    _FILE,
    "a file that is looked at (`HEAD`) is read all the same",
    "un fichier que l'on a regardé (`HEAD`) est lu tout de même",
)
async def looked_at(bench: HalfBench) -> None:
    reference = bench.citizens.reference()
    told, offered = bench.linked(reference)
    await bench.give(bench.citizens.created(reference, files=[told]))
    if await bench.until(lambda: offered.whole):
        if not offered.looked:
            raise Unshown(say("no_head"))
    elif offered.looked:
        raise Broken(say("head_unread"))
    else:
        raise Broken(say("link_unread", seconds=bench.wait))


# --- erasure --------------------------------------------------------------------------------------


@shows(
    "erase.done",
    _ERASURE,
    "an erasure is answered, with a receipt that the contract knows if there is one",
    "un effacement est acquitté, avec un reçu du contrat s'il y en a un",
)
async def erase(bench: HalfBench) -> None:
    reference, _ = await bench.request()
    await _erased(bench, reference)


async def _erased(bench: HalfBench, reference: str) -> HalfAnswer:
    told = await bench.taken(bench.citizens.erased(reference))
    bench.ours.erased.add(reference)
    receipt = told.erasure
    if receipt is not None and receipt.outcome == "kept" and not receipt.ground:
        raise Broken(say("kept_without_ground"))
    return told


@shows(
    "erase.again",
    _ERASURE,
    "an erasure that comes again is answered as before",
    "un effacement qui revient est acquitté comme avant",
)
async def erase_again(bench: HalfBench) -> None:
    reference, _ = await bench.request()
    first = await _erased(bench, reference)
    second = await _erased(bench, reference)
    if (first.erasure is None) != (second.erasure is None):
        raise Broken(say("other_receipt"))


@shows(
    "erase.unknown",
    _ERASURE,
    "an erasure of what is not there is answered all the same",
    "un effacement de ce qui n'est pas là est acquitté quand même",
)
async def erase_unknown(bench: HalfBench) -> None:
    told = await _erased(bench, bench.citizens.reference())
    if told.erasure is not None and told.erasure.outcome not in ("absent", "erased"):
        raise Broken(say("odd_receipt", outcome=told.erasure.outcome))


@shows(
    "erase.then_created",
    _ERASURE,
    "a message that comes again after the erasure does not bring the person back",
    "un message qui revient après l'effacement ne fait pas renaître le dossier",
)
async def erase_then_created(bench: HalfBench) -> None:
    reference, first = await bench.request()
    await _erased(bench, reference)
    told = await bench.give_once(bench.citizens.created(reference))
    if told.told == "setting":
        raise Broken(say("reads_as_setting", seen=told.shown))
    if told.told == "done" and told.reference not in (None, first.reference):
        raise Broken(say("back_again"))
