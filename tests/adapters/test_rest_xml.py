"""A GRU that speaks XML: bodies written, answers read by declared paths."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
import respx
from pydantic import ValidationError

from adapters.rest import RestAdapter, xml
from adapters.rest.expression import ExpressionFault
from gateway.sdk import Absent, Accepted, Found, Submission, Unreadable, Unsure, WebhookCall
from gateway.sdk.conformance import NOW, REFERENCE
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid"
NASTY = "É <b>&amp; \"q\" 'a' ]]> 😀 \x00\x0b =1+1 {gru_reference}"
XML = {"content-type": "text/xml; charset=utf-8"}


def test_an_answer_is_objects_lists_and_texts() -> None:
    document = (
        b'<?xml version="1.0" encoding="ISO-8859-1"?>'
        b'<a:tickets xmlns:a="urn:a" total="2"><a:ticket id="7"><etat>re\xe7u</etat><vide/>'
        b"<nul xsi:nil='true' xmlns:xsi='urn:x'>x</nul><m>un</m><m>deux</m></a:ticket></a:tickets>"
    )
    value = xml.read({"tickets": "ticket"}, document)
    ticket = {"@id": "7", "etat": "reçu", "vide": None, "nul": None, "m": ["un", "deux"]}
    assert value == {"tickets": {"@total": "2", "ticket": [ticket]}}
    assert xml.read({"tickets": "ticket"}, b"<tickets/>") == {"tickets": {"ticket": []}}
    assert xml.read({}, b"<a x='1'>texte</a>") == {"a": {"@x": "1", "#text": "texte"}}
    with pytest.raises(Unreadable):
        xml.read({}, b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')


def test_a_body_is_well_formed_whatever_it_holds() -> None:
    tree = {
        "s:Envelope": {
            "@xmlns:s": "urn:s",
            "@note": NASTY,
            "s:Body": {"mot": ["a", None, NASTY], "vrai": True, "n": 1.5, "rien": None, "x": {}},
        }
    }
    root = ElementTree.fromstring(xml.write(tree))
    clean = NASTY.replace("\x00\x0b", "")
    assert root.tag == "{urn:s}Envelope"
    assert root.get("note") == clean
    body = root[0]
    assert [child.tag for child in body] == ["mot", "mot", "vrai", "n", "x"]
    assert [child.text for child in body] == ["a", clean, "true", "1.5", None]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"a": 1, "b": 2},
        {"a": ["x"]},
        "x",
        {"a": {"b c": 1}},
        {"a": {"p:b": 1}},
        {"a": {"b><c": 1}},
        {"a": {"@b": {}}},
    ],
)
def test_what_is_no_document_is_not_sent(tree: Any) -> None:
    with pytest.raises(ExpressionFault):
        xml.write(tree)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"a": 1, "b": 2}, "one root"),
        (["=payload"], "one root"),
        ({"a": {"b c": "=reference"}}, "cannot name"),
        ({"s:a": {"b": 1}}, "declared nowhere"),
    ],
)
def test_a_tree_is_checked_when_it_is_read(body: Any, word: str) -> None:
    create = {"path": "/r", "encoding": "xml", "body": body}
    with pytest.raises(ValidationError, match=word):
        RestAdapter.Options.model_validate({"base_url": BASE, "create": create})


OPTIONS: dict[str, Any] = {
    "base_url": BASE,
    "xml_lists": {"demandes": "demande", "notes": "note"},
    "create": {
        "path": "/ws",
        "headers": {"SOAPAction": "creer"},
        "encoding": "xml",
        "content_type": "text/xml; charset=utf-8",
        "body": {
            "s:Envelope": {
                "@xmlns:s": "http://schemas.xmlsoap.org/soap/envelope/",
                "s:Body": {"creer": {"externe": "=reference", "demande": "=payload"}},
            }
        },
        "answer": "xml",
        "reference": "Envelope.Body.creerResponse.numero",
    },
    "errors": [{"when": "Envelope.Body.Fault", "outcome": "unsure", "reason": "soap_fault"}],
    "find": {
        "path": "/demandes",
        "query": {"externe": "=reference"},
        "answer": "xml",
        "list": "demandes.demande",
        "match": "externe",
        "reference": '"@id"',
    },
    "statuses": {
        "path": "/demandes",
        "answer": "xml",
        "list": "demandes.demande",
        "item": {
            "gru_reference": '"@id"',
            "status": "etat",
            "at": {"value": "modifie"},
            "notes": {
                "list": "notes.note",
                "message": "texte",
                "internal": '"@prive"',
                "key": '"@id"',
            },
        },
    },
    "webhook": {
        "verify": {"kind": "query", "name": "cle", "secret": "secret-de-webhook-de-test"},
        "items": "[demande]",
        "item": {"gru_reference": '"@id"', "status": "etat"},
    },
}
LIST = (
    f"<demandes><demande id='7'><externe>{REFERENCE}</externe><etat>ouvert</etat>"
    f"<modifie>{NOW.isoformat()}</modifie><notes><note id='1' prive='false'>"
    "<texte>Bien &lt;reçu&gt;</texte></note></notes></demande></demandes>"
)


async def test_a_gru_in_xml_is_served_both_ways(router: respx.MockRouter) -> None:
    made = "<s:Envelope xmlns:s='urn:s'><s:Body><creerResponse><numero>7</numero></creerResponse>"
    created = router.post(f"{BASE}/ws")
    created.respond(200, text=f"{made}</s:Body></s:Envelope>", headers=XML)
    listed = router.get(f"{BASE}/demandes")
    listed.respond(200, text=LIST, headers=XML)
    async with adapter(OPTIONS, router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"titre": NASTY}))
        assert isinstance(outcome, Accepted)
        assert outcome.reference == "7"
        found = await rest.find(REFERENCE)
        assert isinstance(found, Found)
        told = (await rest.statuses([], None)).items
        fault = "<Envelope><Body><Fault><faultcode>x</faultcode></Fault></Body></Envelope>"
        created.respond(200, text=fault, headers=XML)
        failed = await rest.submit(Submission(REFERENCE, {"titre": "x"}))
        created.respond(200, text="<html><body>", headers=XML)
        broken = await rest.submit(Submission(REFERENCE, {"titre": "x"}))
        listed.respond(200, text="<demandes/>", headers=XML)
        assert isinstance(await rest.find(REFERENCE), Absent)
        query = {"cle": "secret-de-webhook-de-test"}
        body = b"<demande id='7'><etat>fini</etat></demande>"
        hook = await rest.webhook(WebhookCall("POST", XML, query, body))
    sent = created.calls[0].request
    assert sent.headers["content-type"] == "text/xml; charset=utf-8"
    assert "xml" in sent.headers["accept"]
    root = ElementTree.fromstring(sent.content)
    assert root.find(".//titre").text == NASTY.replace("\x00\x0b", "")  # type: ignore[union-attr]
    assert [(c.status, c.message, c.public) for c in told] == [
        ("ouvert", None, False),
        (None, "Bien <reçu>", True),
    ]
    assert isinstance(failed, Unsure)
    assert failed.reason == "soap_fault"
    assert isinstance(broken, Unsure)
    assert [(c.gru_reference, c.status) for c in hook.items] == [("7", "fini")]
