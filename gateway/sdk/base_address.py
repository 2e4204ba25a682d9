"""The address of a GRU's interface, as an option gives it."""

from __future__ import annotations

from typing import Annotated

import httpx
from pydantic import AfterValidator

from gateway.core.messages import Messages, Text
from gateway.sdk.refusing import refuse

say = Messages(
    Text(
        "no_address",
        "not an address",
        "such as https://host.example.org",
        "n'est pas une adresse",
        "par exemple https://serveur.exemple.fr",
    ),
    Text(
        "address_start",
        "an address begins with https:// and a host name",
        "such as https://host.example.org",
        "une adresse commence par https:// et un nom de serveur",
        "par exemple https://serveur.exemple.fr",
    ),
    Text(
        "address_rest",
        "it must hold no ?, # nor password",
        "leave them out: parameters and credentials have keys of their own",
        "elle ne contient ni ?, ni #, ni mot de passe",
        "les retirer : paramètres et identifiants ont leurs propres clés",
    ),
)


def _checked(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise refuse(say("no_address")) from None
    if url.scheme not in ("https", "http") or not url.host:
        raise refuse(say("address_start"))
    if url.query or url.fragment or url.userinfo:
        raise refuse(say("address_rest"))
    return text.rstrip("/")


#: Calls are made below it. It comes without a slash at its end.
BaseAddress = Annotated[str, AfterValidator(_checked)]

__all__ = ["BaseAddress"]
