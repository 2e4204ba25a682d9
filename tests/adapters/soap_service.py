"""A SOAP service that answers as npm's `soap` does (`recorded/soap`), and the options for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import httpx

from gateway.sdk import ConfigFile

RECORDED = Path(__file__).parent / "recorded" / "soap"
ADDRESS = "https://gru.exemple.invalid/ws/demandes"
#: The WSDL and what it imports, by name.
FILES = {name: (RECORDED / name).read_text("utf-8") for name in ("demandes.wsdl", "types.xsd")}
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><soap:Envelope'
    ' xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"  xmlns:tns="urn:exemple:demandes"'
    ' xmlns:t="urn:exemple:demandes:types"><soap:Body>'
)
_END = "</soap:Body></soap:Envelope>"
_PIECE = "=files[].{nom: name, type: content_type, contenu: content}"


def options(**more: Any) -> dict[str, Any]:
    """The options of the commune's file, some of them replaced."""
    note = {
        "operation": "ajouterNote",
        "arguments": {
            "numero": "=gru_reference",
            "cle": "=event.key",
            "texte": "=message",
            "piece": _PIECE,
        },
        "find": {
            "operation": "chercherNote",
            "arguments": {"numero": "=gru_reference", "cle": "=event.key"},
            "list": "notes.note",
            "match": "cle",
        },
    }
    return {
        "address": ADDRESS,
        "wsdl_file": ConfigFile("demandes.wsdl", FILES),
        "security": {
            "username": "passerelle",
            "password": "mot-de-passe-de-test",
            "digest": True,
            "timestamp": "5m",
        },
        "create": {
            "operation": "creerDemande",
            "arguments": f"=merge(payload, {{reference: reference, piece: {_PIECE[1:]}}})",
            "reference": "numero",
            "link": "lien",
        },
        "find": {
            "operation": "chercherDemande",
            "arguments": {"reference": "=reference"},
            "list": "demandes.demande",
            "match": "reference",
            "reference": "numero",
        },
        "amend": {"message": note, "document": note},
        "statuses": {
            "operation": "listerModifications",
            "arguments": {"depuis": "=since"},
            "list": "demandes.demande",
            "item": {
                "gru_reference": "numero",
                "reference": "reference",
                "status": "etat",
                "at": {"value": "modifieeLe"},
                "notes": {
                    "list": "notes.note",
                    "message": "texte",
                    "key": "identifiant",
                    "internal": "interne",
                    "at": {"value": "ecriteLe"},
                    "sender_key": "cle",
                },
            },
        },
        "erase": {
            "operation": "effacerUsager",
            "arguments": {"numero": "=gru_reference"},
            "absent": ["DemandeInconnue"],
        },
        "check": {"operation": "version"},
        **more,
    }


def element(name: str, *inside: str | None, text: bool = False) -> str:
    """An element as the service writes it; `text`: what is in it is escaped."""
    held = "".join(escape(one or "") if text else one or "" for one in inside)
    return f"<{name}>{held}</{name}>"


def envelope(body: str) -> bytes:
    return f"{_HEAD}{body}{_END}".encode()


def fault(code: str, subcode: str, text: str = "") -> bytes:
    """A fault, whose form is that of SOAP 1.2 in whichever envelope."""
    return envelope(
        f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value><soap:Subcode><soap:Value>"
        f"{subcode}</soap:Value></soap:Subcode></soap:Code><soap:Reason><soap:Text>{escape(text)}"
        "</soap:Text></soap:Reason></soap:Fault>"
    )


def operation_of(request: httpx.Request) -> str | None:
    """The operation that a call names."""
    told = request.headers.get("soapaction") or request.headers.get("content-type", "")
    found = re.findall(r"urn:exemple:demandes:(\w+)", told)
    return found[-1] if found else None


class SoapService:
    """Answers the operations that it knows: by what is in the answer, or a fault's codes."""

    def __init__(self, answers: Mapping[str, str | tuple[str, str]]) -> None:
        self._answers = answers

    def answer(self, request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/xml; charset=utf-8"}
        name = operation_of(request) or next(iter(self._answers))
        told = self._answers.get(name)
        if told is None:
            return httpx.Response(500, headers=headers, content=fault("Server", "Inattendu"))
        if isinstance(told, tuple):
            return httpx.Response(500, headers=headers, content=fault(*told))
        body = f'<{name}Response xmlns="urn:exemple:demandes">{told}</{name}Response>'
        return httpx.Response(200, headers=headers, content=envelope(body))


__all__ = ["ADDRESS", "FILES", "RECORDED", "SoapService", "element", "envelope", "fault", "options"]
