"""The SOAP adapter: its WSDL, what leaves, what its answers and faults mean, and what `check` says.

The service answers as npm's `soap` was recorded to (`recorded/soap/npm-soap.json`).
"""

from __future__ import annotations

import ast
import base64
import email
import email.policy
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

import adapters.soap
from adapters.soap import SoapAdapter
from adapters.soap.answers import NOTHING, AnswerElement, Shape, SoapFault, read_answer
from adapters.soap.wsdl import BESIDE, UnusableWsdl, make_service, parse_service
from adapters.soap.xop import read_parts
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    CannotTell,
    ConfigFile,
    Context,
    EventKind,
    Found,
    Misconfigured,
    Note,
    Outcome,
    Refused,
    Submission,
    TryLater,
    Unreadable,
    Unsure,
)
from gateway.sdk.under_test import NOW, REFERENCE, file
from tests.adapters.soap_service import (
    ADDRESS,
    FILES,
    RECORDED,
    SoapService,
    element,
    envelope,
    fault,
    operation_of,
    options,
)

NPM = json.loads((RECORDED / "npm-soap.json").read_text("utf-8"))["exchanges"]
PAYLOAD = {"objet": "Nid de poule", "description": "Devant le n° 12"}
Answer = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def service(answer: Answer | bytes | None = None, status: int = 200, **more: Any) -> Any:
    """An adapter over a service that answers so; and the calls that it made."""
    calls: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        if callable(answer):
            return answer(request)
        return httpx.Response(status, content=answer or b"", headers={"content-type": "text/xml"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as client:
        checked = SoapAdapter.Options.model_validate(options(**more))
        yield SoapAdapter(checked, Context("69029", "essai", client, lambda: NOW)), calls


async def submitted(answer: Answer | bytes | None = None, status: int = 200, **more: Any) -> Any:
    async with service(answer, status, **more) as (adapter, _):
        return await adapter.submit(Submission(REFERENCE, PAYLOAD))


def told(notes: list[Note], level: str = "fault") -> list[str]:
    return [note.said.told("fr") for note in notes if note.level == level]


# --- what was recorded ----------------------------------------------------------------------------


def exchange(operation: str, content_type: str = "text/xml") -> Mapping[str, Any]:
    return next(
        one
        for one in NPM
        if f"{operation} xmlns" in one["sent"] and one["content_type"].startswith(content_type)
    )


def body_of(sent: str) -> bytes:
    """The body of an envelope, without the proof of its sender, which is new each time."""
    root = ElementTree.fromstring(sent)
    return ElementTree.canonicalize(ElementTree.tostring(root[-1])).encode()


@pytest.mark.parametrize(
    ("port", "kind"), [("Demandes11", "text/xml"), ("Demandes12", "application/soap+xml")]
)
async def test_what_npm_soap_took_leaves_and_what_it_answered_is_read(port: str, kind: str) -> None:
    def npm(request: httpx.Request) -> httpx.Response:
        one = exchange(operation_of(request) or "", kind)
        headers = {"content-type": one["answered_type"]}
        return httpx.Response(one["status"], headers=headers, content=one["answered"].encode())

    number = {"Demandes11": "4711", "Demandes12": "4712"}[port]
    reference = "TDG-01JD3M7W2K9XQ4Z" + port[-1]
    async with service(npm, port=port) as (adapter, calls):
        payload = {
            "objet": "Nid de poule",
            "description": "Devant le n° 12 & <b> 👩‍👩‍👧",
            "usager": {"nom": "Zoé Fictive-Exemple"},
            "urgent": True,
        }
        made = await adapter.submit(Submission(reference, payload, (file(),)))
        link = f"https://gru.exemple.invalid/demandes/{number}"
        assert made == Accepted(number, link, {"status": "200"})
        recorded = exchange("creerDemande", kind)
        assert body_of(calls[-1].content.decode()) == body_of(recorded["sent"])
        assert calls[-1].headers["content-type"] == recorded["content_type"]
        assert calls[-1].headers.get("soapaction") == recorded["action"]
        note = Amendment(reference, number, "evt-1", EventKind.DOCUMENT, {}, "Bonjour", (file(),))
        assert isinstance(await adapter.amend(note), Accepted)
        assert await adapter.find_amend(note) == Found()
        changes = await adapter.statuses((), None)
        assert [(c.gru_reference, c.status, c.message, c.sender_key) for c in changes.items][
            -2:
        ] == [
            (number, "nouvelle", None, None),
            (number, None, "Bonjour", "evt-1"),
        ]
        assert isinstance(await adapter.erase(reference, number), Accepted)


def test_the_faults_that_npm_soap_was_seen_to_make() -> None:
    codes = {
        found.codes
        for one in NPM
        if isinstance(found := read_answer(NOTHING, None, one["answered"].encode()), SoapFault)
    }
    assert codes == {
        ("ValidationException", "Sender"),
        ("Client.Validation",),
        ("Indisponible", "Receiver"),
        ("DemandeInconnue", "Sender"),
        ("AuthenticationFailure", "Client"),
    }


# --- faults and answers that prove nothing --------------------------------------------------------

FAULT_11 = envelope(
    "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>Zoé</faultstring>"
    "<detail><m:{} xmlns:m='urn:m'/></detail></soap:Fault>"
).decode()


@pytest.mark.parametrize(
    ("status", "content", "meaning"),
    [
        (500, fault("Sender", "X"), Refused),
        (400, fault("Sender", "X"), Refused),
        (200, fault("Client", "X"), Refused),
        (500, FAULT_11.format("Client.Validation", "V").encode(), Refused),
        (500, fault("Server", "X"), Unsure),
        (500, fault("Receiver", "X"), Unsure),
        (200, fault("Server", "X"), Unsure),
        (500, fault("ERR_42", "X"), Unsure),
        (500, fault("Client", "FailedAuthentication"), Misconfigured),
        (500, fault("VersionMismatch", "X"), Misconfigured),
        (401, fault("Client", "X"), Misconfigured),
        (404, b"<html>", Misconfigured),
        (405, fault("Client", "X"), Misconfigured),
        (429, fault("Client", "X"), Unsure),
        (503, fault("Client", "X"), Unsure),
        # The table of `faults`: a subcode, the name of a detail, a code, before SOAP's own.
        (500, fault("Server", "Indisponible"), TryLater),
        (500, FAULT_11.format("Server", "ReglesException").encode(), Refused),
        (500, fault("Client", "Compte"), Misconfigured),
        (500, fault("Client", "Doute"), Unsure),
        # What proves nothing.
        (200, b"<html><h1>Maintenance</h1></html>", Unsure),
        (500, b"<html><h1>Client</h1></html>", Unsure),
        (200, b"", Unsure),
        (202, b"", Unsure),
        (200, envelope(""), Unsure),
        (200, envelope("<autreResponse/>"), Unsure),
        (200, envelope(element("creerDemandeResponse", element("lien", "x"))), Unsure),
        (200, b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("<a>&b;</a>"), Unsure),
        (
            200,
            envelope(element("creerDemandeResponse", element("numero", "1"))).replace(
                b"http://schemas.xmlsoap.org/soap/envelope/", b"urn:autre"
            ),
            Unsure,
        ),
    ],
)
async def test_a_creation_is_judged_by_codes_and_statuses(
    status: int, content: bytes, meaning: type[Outcome]
) -> None:
    faults = [
        {"code": "Indisponible", "outcome": "later", "reason": "busy"},
        {"code": ["ReglesException"], "outcome": "refused"},
        {"code": "Compte", "outcome": "misconfigured"},
        {"code": "Doute", "outcome": "unsure"},
    ]
    outcome = await submitted(content, status, faults=faults)
    assert type(outcome) is meaning, outcome


async def test_the_text_of_a_fault_is_shown_masked_and_decides_nothing() -> None:
    async with service(fault("Sender", "V", "Usager Zoé refusé, mot-de-passe-de-test"), 500) as (
        adapter,
        _,
    ):
        payload = {**PAYLOAD, "usager": {"nom": "Zoé"}}
        outcome = await adapter.submit(Submission(REFERENCE, payload))
    assert outcome.detail == "HTTP 500, fault V, Sender"
    assert outcome.answer.endswith("Usager … refusé, …-…-…-…-…")


async def test_an_answer_that_says_its_failure_in_a_field_is_judged_by_errors() -> None:
    said = envelope(element("tns:creerDemandeResponse", element("numero", "KO-12")))
    rule = {"when": "starts_with(numero, 'KO')", "outcome": "refused", "reason": "refused"}
    outcome = await submitted(said, errors=[{**rule, "code": "numero"}])
    assert outcome == Refused("refused", "HTTP 200, code KO-12")


async def test_a_search_that_cannot_be_read_is_never_absence() -> None:
    for content in (b"", b"<html>", envelope(""), fault("Server", "X"), fault("Client", "X")):
        async with service(content) as (adapter, _):
            assert isinstance(await adapter.find(REFERENCE), CannotTell)
    listed = element("demandes", element("demande", element("reference", "TDG-AUTRE")))
    answer = SoapService({"chercherDemande": listed}).answer
    async with service(answer) as (adapter, _):
        found = await adapter.find(REFERENCE)
        assert isinstance(found, CannotTell)
        assert found.reason == "filter_ignored"
    absent = {**options()["find"], "absent": ["Inconnue"]}
    async with service(fault("Sender", "Inconnue"), 500, find=absent) as (adapter, _):
        assert await adapter.find(REFERENCE) == Absent()


# --- what leaves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", [True, False])
async def test_the_sender_proves_itself_as_the_profile_has_it(digest: bool) -> None:
    answer = SoapService({"creerDemande": element("numero", "1")}).answer
    security = {"username": "passerelle", "password": "mot-de-passe-de-test", "digest": digest}
    async with service(answer, security={**security, "timestamp": "5m"}) as (adapter, calls):
        await adapter.submit(Submission(REFERENCE, PAYLOAD))
        await adapter.submit(Submission(REFERENCE, PAYLOAD))
    proofs = [{one.tag.rpartition("}")[2]: one for one in root_of(call).iter()} for call in calls]
    nonce, created = proofs[0]["Nonce"].text or "", "2026-03-16T09:30:00Z"
    assert nonce != proofs[1]["Nonce"].text
    assert proofs[0]["Expires"].text == "2026-03-16T09:35:00Z"
    shown = "mot-de-passe-de-test"
    if digest:
        whole = base64.b64decode(nonce) + f"{created}{shown}".encode()
        shown = base64.b64encode(hashlib.sha1(whole).digest()).decode()
    assert proofs[0]["Password"].text == shown
    kind = "PasswordDigest" if digest else "PasswordText"
    assert proofs[0]["Password"].attrib["Type"].endswith(f"1.0#{kind}")


def root_of(call: httpx.Request) -> ElementTree.Element:
    return ElementTree.fromstring(call.content)


async def test_files_go_beside_the_envelope_and_come_back_so() -> None:
    def mtom(request: httpx.Request) -> httpx.Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        whole = email.message_from_bytes(head + request.content, policy=email.policy.HTTP)
        root, *parts = whole.iter_parts()
        assert root.get_content_type() == "application/xop+xml"
        assert root["content-id"] == whole.get_param("start")
        by_id = {part["content-id"]: part for part in parts}
        include = ElementTree.fromstring(root.get_content()).find(
            ".//{http://www.w3.org/2004/08/xop/include}Include"
        )
        assert include is not None
        part = by_id["<" + include.attrib["href"].removeprefix("cid:") + ">"]
        assert (part.get_content_type(), part.get_content()) == ("image/png", b"\x00PNG\r\n--x")
        listed = envelope(
            '<tns:creerDemandeResponse><numero><x:Include href="cid:a%40b" xmlns:x="urn:x"/>'
            "</numero></tns:creerDemandeResponse>"
        )
        body = (
            b"\r\n--limite\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n"
            + listed
            + b"\r\n--limite\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            + b"\x01\x02\r\n--limite--\r\n"
        )
        kind = 'multipart/related; boundary="limite"; type="application/xop+xml"'
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    async with service(mtom, mtom=True) as (adapter, _):
        sent = Submission(REFERENCE, PAYLOAD, (file(b"\x00PNG\r\n--x"),))
        made = await adapter.submit(sent)
    assert isinstance(made, Accepted)
    assert made.reference == base64.b64encode(b"\x01\x02").decode()


@pytest.mark.parametrize(
    "body", [b"--", b"--x\r\n", b"--x\r\n\r\n<a/>\r\n--x", b"--x" * 100, b"--x\r\nhead\r\n--x--"]
)
def test_a_package_that_is_cut_cannot_be_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_parts(body)


def test_parts_that_are_named_again_and_again_do_not_swell_an_answer() -> None:
    def package(times: int) -> bytes:
        named = "<f><Include href='cid:a'/></f>" * times
        head = b"--x\r\nContent-ID: <r>\r\n\r\n" + envelope(f"<r>{named}</r>")
        return head + b"\r\n--x\r\nContent-ID: <a>\r\n\r\n" + b"z" * 10_000 + b"\r\n--x--"

    read: Any = read_answer(NOTHING, AnswerElement("r"), package(2))
    assert len(read["f"]) == 2
    with pytest.raises(Unreadable, match="too often"):
        read_answer(NOTHING, AnswerElement("r"), package(100))


def test_a_sentence_in_the_place_of_a_code_is_told_nowhere() -> None:
    fault = "<soap:Fault><faultcode>Zoé Fictive : 06 00</faultcode><faultstring>x</faultstring>"
    read = read_answer(NOTHING, None, envelope(f"{fault}</soap:Fault>"))
    assert isinstance(read, SoapFault)
    assert "Zoé" not in read.listed
    assert "06 00" not in read.listed


async def test_arguments_that_do_not_fit_send_nothing() -> None:
    async with service() as (adapter, calls):
        wrong = await adapter.submit(Submission(REFERENCE, {**PAYLOAD, "objett": "x"}))
        assert wrong == Misconfigured("unknown_argument", "objett is unknown, perhaps objet")
        lacking = await adapter.submit(Submission(REFERENCE, {"objet": "x"}))
        assert lacking == Refused("unfit_arguments", "description is missing")
    assert calls == []


async def test_a_declared_header_goes_along() -> None:
    wsdl = FILES["demandes.wsdl"].replace(
        '<wsdl:part name="parameters" element="tns:creerDemande"/>',
        '<wsdl:part name="parameters" element="tns:creerDemande"/>'
        '<wsdl:part name="acces" element="tns:versionResponse"/>',
    )
    body = '<soap:operation soapAction="urn:exemple:demandes:creerDemande"/>\n      <wsdl:input>'
    head = '<soap:header message="tns:creerDemandeRequest" part="acces" use="literal"/>'
    wsdl = wsdl.replace(f"{body}<soap:body use", f'{body}{head}<soap:body parts="parameters" use')
    answer = SoapService({"creerDemande": element("numero", "1")}).answer
    more: dict[str, Any] = {
        "wsdl_file": ConfigFile("demandes.wsdl", {**FILES, "demandes.wsdl": wsdl}),
        "soap_header": {"acces": {"version": "=secrets.jeton"}},
        "secrets": {"jeton": "jeton-de-test"},
    }
    async with service(answer, **more) as (adapter, calls):
        assert isinstance(await adapter.submit(Submission(REFERENCE, PAYLOAD)), Accepted)
    assert b"version>jeton-de-test<" in calls[0].content


# --- answers as values ----------------------------------------------------------------------------


def test_what_may_repeat_is_a_list_and_what_is_not_known_is_read() -> None:
    rows = Shape({"row": Shape({"id": NOTHING})}, several=frozenset({"row"}))
    shape = Shape({"rows": rows, "total": NOTHING})

    def read(inside: str) -> Any:
        return read_answer(shape, AnswerElement("r"), envelope(f"<r xmlns:i='urn:i'>{inside}</r>"))

    assert read("") == {"rows": {"row": []}}
    assert read("<rows i:nil='true'/>") == {"rows": {"row": []}}
    assert read("<rows><row><id>1</id></row></rows>") == {"rows": {"row": [{"id": "1"}]}}
    assert read("<total i:nil='1'/><a>1</a><a>2</a><b c='d'> e </b>") == {
        "total": None,
        "a": ["1", "2"],
        "b": {"@c": "d", "#text": "e"},
        "rows": {"row": []},
    }


# --- the WSDL -------------------------------------------------------------------------------------


def fetched(documents: Mapping[str, bytes | int]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        found = documents.get(str(request.url), 404)
        if isinstance(found, int):
            return httpx.Response(found)
        return httpx.Response(200, content=found)

    return answer


WSDL = f"{ADDRESS}?wsdl"
XSD = "https://gru.exemple.invalid/ws/types.xsd"
MAIN, TYPES = FILES["demandes.wsdl"].encode(), FILES["types.xsd"].encode()


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ({}, "404"),
        ({WSDL: b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"}, "DTD"),
        ({WSDL: b"<html>"}, "XML"),
        ({WSDL: b"<a/>"}, "WSDL"),
        ({WSDL: MAIN}, "404"),
        ({WSDL: MAIN + b" " * 4_000_001}, "4000000"),
        ({WSDL: MAIN, XSD: TYPES + b" " * 3_995_000}, "4000000"),
        ({WSDL: MAIN.replace(b"types.xsd", b"https://ailleurs.exemple.invalid/t.xsd")}, "serveur"),
        ({WSDL: MAIN.replace(b"types.xsd", b"file:///etc/passwd")}, "serveur"),
        ({WSDL: MAIN, XSD: TYPES.replace(b'type="Note"', b'type="Nulle"')}, "zeep"),
        ({WSDL: MAIN.replace(b"xmlsoap.org/soap/http", b"x.org/smtp"), XSD: TYPES}, "port"),
    ],
)
async def test_a_wsdl_that_cannot_be_used_is_told(
    documents: Mapping[str, bytes], said: str
) -> None:
    async with service(fetched(documents), wsdl_file=None, wsdl=WSDL) as (adapter, calls):
        notes = await adapter.check()
        (fault_told,) = told(notes)
        assert "WSDL" in fault_told
        assert said in fault_told.replace("declares a document type", "DTD")
        outcome = await adapter.submit(Submission(REFERENCE, PAYLOAD))
        assert isinstance(outcome, Misconfigured | Refused | TryLater)
    assert {call.method for call in calls} == {"GET"}
    assert {call.url.host for call in calls} == {"gru.exemple.invalid"}


async def test_what_a_file_imports_lies_beside_it_wherever_it_is_said_to_be() -> None:
    wsdl = FILES["demandes.wsdl"].replace("types.xsd", "https://ailleurs.exemple.invalid/types.xsd")
    named = ConfigFile("demandes.wsdl", {**FILES, "demandes.wsdl": wsdl})
    answer = SoapService({"creerDemande": element("numero", "1")}).answer
    async with service(answer, wsdl_file=named) as (adapter, _):
        assert isinstance(await adapter.submit(Submission(REFERENCE, PAYLOAD)), Accepted)
    async with service(wsdl_file=ConfigFile("demandes.wsdl", {"demandes.wsdl": wsdl})) as (
        adapter,
        calls,
    ):
        (fault_told,) = told(await adapter.check())
        assert "config/files/" in fault_told
        assert "types.xsd" in fault_told
    assert calls == []


async def test_a_wsdl_is_fetched_once_a_day_and_kept_when_it_is_gone() -> None:
    documents: dict[str, bytes | int] = {WSDL: MAIN, XSD: TYPES}
    times = [NOW]
    made = SoapService({"creerDemande": element("numero", "1")}).answer

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return fetched(documents)(request) if request.method == "GET" else made(request)

    asked: list[str] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        checked = SoapAdapter.Options.model_validate(options(wsdl_file=None))
        adapter = SoapAdapter(checked, Context("69029", "essai", client, lambda: times[-1]))
        for later in (0, 23, 25):
            times.append(NOW.replace(day=16 + later // 24, hour=9))
            documents[WSDL] = 404 if later == 25 else MAIN
            sent = Submission(REFERENCE, PAYLOAD)
            assert isinstance(await adapter.submit(sent), Accepted)
    assert asked.count("POST") == 3
    assert asked.count("GET") == 2 + 1


async def test_check_names_each_thing_that_the_wsdl_has_not() -> None:
    wrong: dict[str, Any] = {
        "create": {
            "operation": "creerDemande",
            "arguments": {"reference": "=reference", "objett": "x", "usager": {"mail": "y"}},
            "reference": "nummero",
        },
        "find": {**options()["find"], "list": "demandes.demandes"},
        "erase": {"operation": "effacerUsagers", "arguments": {"numero": "=gru_reference"}},
        "statuses": None,
        "amend": {},
    }
    async with service(**wrong) as (adapter, calls):
        notes = [note for note in await adapter.check() if note.level == "fault"]
    assert [(note.at, note.said.told("fr")) for note in notes] == [
        (
            ("create", "arguments", "objett"),
            "create.arguments : l'opération creerDemande n'a pas d'argument objett"
            " (peut-être objet)",
        ),
        (
            ("create", "arguments", "usager", "mail"),
            "create.arguments : l'opération creerDemande n'a pas d'argument usager.mail"
            " (connus : courriel, nom, telephone)",
        ),
        (
            ("create", "arguments", "usager"),
            "create.arguments : l'opération creerDemande demande l'argument usager.nom (le donner)",
        ),
        (
            ("create", "arguments"),
            "create.arguments : l'opération creerDemande demande l'argument description"
            " (le donner)",
        ),
        (
            ("create", "arguments"),
            "create.arguments : l'opération creerDemande demande l'argument objet (le donner)",
        ),
        (
            ("create", "reference"),
            "create.reference : la réponse de creerDemande n'a pas de nummero (peut-être numero)",
        ),
        (
            ("find", "list"),
            "find.list : la réponse de chercherDemande n'a pas de demandes.demandes"
            " (peut-être demande)",
        ),
        (
            ("erase", "operation"),
            "erase.operation : le WSDL n'a pas d'opération effacerUsagers"
            " (peut-être effacerUsager)",
        ),
    ]
    assert calls == []


@pytest.mark.parametrize(
    ("wrong", "at", "said"),
    [
        (
            {"service": "Demande"},
            ("service",),
            "pas de service Demande (peut-être Demandes)",
        ),
        ({"port": "Demandes13"}, ("port",), "il n'a pas de port Demandes13 (peut-être Demandes1"),
        (
            {"soap_header": {"acces": {"cle": "x"}}},
            ("soap_header", "acces"),
            "soap_header : l'opération creerDemande n'a pas d'en-tête acces",
        ),
        (
            {"check": {"operation": "versions"}},
            ("check", "operation"),
            "check.operation : le WSDL n'a pas d'opération versions (peut-être version)",
        ),
    ],
)
async def test_a_file_says_what_is_wrong_and_nobody_is_asked(
    wrong: dict[str, Any], at: tuple[str, ...], said: str
) -> None:
    async with service(**wrong) as (adapter, calls):
        notes = [note for note in await adapter.check_files() if note.level == "fault"]
        assert notes
        assert notes[0].at == at
        assert said in notes[0].said.told("fr")
        assert calls == []
    async with service() as (adapter, calls):
        assert {note.level for note in await adapter.check_files()} == {"ok"}
    async with service(wsdl_file=None) as (adapter, calls):
        assert await adapter.check_files() == ()
    assert calls == []


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("<tns:versionResponse><tns:version>3</tns:version></tns:versionResponse>", True),
        ('<versionResponse xmlns="urn:exemple:demandes"/>', True),
        ('<a:versionResponse xmlns:a="urn:exemple:demandes"/>', True),
        ('<versionResponse xmlns="urn:exemple:autre"/>', False),
        ("<t:versionResponse/>", False),
        ("<versionResponse/>", False),
    ],
)
async def test_an_answer_of_another_namespace_proves_nothing(written: str, taken: bool) -> None:
    async with service(envelope(written)) as (adapter, _):
        notes = [note for note in await adapter.check() if note.said.word == "answers"]
        assert bool(notes) is taken


def grouped(depth: int, last: str) -> tuple[tuple[str, bytes], ...]:
    """The documents of the WSDL with groups that each hold the next one twice."""
    inside = [f'<xs:group ref="g{n + 1}"/>' * 2 for n in range(depth)]
    groups = "".join(
        f'<xs:group name="g{n}"><xs:sequence>{one}</xs:sequence></xs:group>'
        for n, one in enumerate([*inside, last])
    )
    usager = '<xs:complexType name="Usager">\n    <xs:sequence>'
    types = FILES["types.xsd"].replace(usager, f'{groups}{usager}<xs:group ref="g0"/>')
    assert types != FILES["types.xsd"]
    named = {**FILES, "types.xsd": types}
    return tuple((f"{BESIDE}{name}", text.encode()) for name, text in named.items())


@pytest.mark.parametrize(
    ("depth", "last"),
    [(0, '<xs:group ref="g0"/>'), (40, '<xs:element name="a"/>')],
    ids=["one that holds itself", "each holds the next one twice"],
)
def test_groups_without_end_are_no_wsdl(depth: int, last: str) -> None:
    with pytest.raises(UnusableWsdl):
        make_service(f"{BESIDE}demandes.wsdl", grouped(depth, last), None, None)
    make_service(f"{BESIDE}demandes.wsdl", grouped(2, "<xs:any/>"), None, None)


def test_threads_that_read_a_wsdl_together_make_one_service_of_it() -> None:
    """zeep's modules import one another: two threads that load them at once each find half."""
    parse_service.cache_clear()
    documents = tuple((f"{BESIDE}{name}", text.encode()) for name, text in FILES.items())
    together = Barrier(4)

    def read(_: int) -> Any:
        together.wait()
        return make_service(f"{BESIDE}demandes.wsdl", documents, None, None)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(read, range(4)))
    assert all(one is made[0] for one in made)
    assert parse_service.cache_info().misses == 1


def test_zeep_is_loaded_with_the_first_service_alone() -> None:
    for module in Path(adapters.soap.__file__).parent.glob("*.py"):
        for node in ast.parse(module.read_text("utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                named = ast.unparse(node)
                assert "zeep" not in named, module.name
                assert "lxml" not in named, module.name
