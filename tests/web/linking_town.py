"""Two communes whose portals link accounts, a provider, and a citizen's browser."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from gateway.flow.linking import LinkDesk
from tests.web.harness import ENVIRON, Gateway, bundle, gateway
from tests.web.openid_provider import CLIENT, ISSUER, SECRET, OpenIdSim

HOME = "https://passerelle.exemple.invalid"
BRON, VILLEURBANNE = "69029", "69266"
KEYS = {
    BRON: "secret-partage-avec-le-portail-de-bron",
    VILLEURBANNE: "secret-partage-avec-celui-de-villeurbanne",
}
RETURNS = {
    BRON: "https://famille.bron.exemple.invalid/retour?page=comptes",
    VILLEURBANNE: "https://portail.villeurbanne.exemple.invalid/retour",
}
ACCOUNTS = {BRON: "famille-1234", VILLEURBANNE: "v-77"}
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><path d="M0 0h2v1H0z"/></svg>'
SECRETS = ENVIRON | {
    "GLC_PASSWORD": "mot-de-passe-glc",
    "OPENID_SECRET": SECRET,
    "LINK_KEY": "cle-des-rattachements-qui-ne-change-jamais",
    "LINK_BRON": KEYS[BRON],
    "LINK_VILLEURBANNE": KEYS[VILLEURBANNE],
}
GLC = f"""\
glc:
  base_url: {ISSUER.rstrip("/")}
  auth: {{username: passerelle, password: env:GLC_PASSWORD}}
  brake: {{ratio: 1}}
  openid:
    issuer: {ISSUER}
    client_id: {CLIENT}
    client_secret: env:OPENID_SECRET
    account_claim: uuid
    link_key: env:LINK_KEY
    logo: glc.svg
"""
LINKING = """\
linking:
  key: env:{key}
  portal: {portal}
  returns: ["{returns}"]
"""


def files(folder: Path) -> dict[str, str]:
    """The harness's configuration, with links."""
    found = bundle(folder)
    found["config/gateway.yaml"] += GLC
    found["config/files/bron.svg"] = found["config/files/glc.svg"] = LOGO
    for name, insee, portal in (
        ("bron", BRON, "Espace famille"),
        ("villeurbanne", VILLEURBANNE, "Portail citoyen"),
    ):
        told = {"key": f"LINK_{name.upper()}", "portal": portal, "returns": RETURNS[insee]}
        found[f"config/communes/{name}.yaml"] += LINKING.format(**told)
    found["config/communes/bron.yaml"] += "  claims: [given_name, birthdate]\n  logo: bron.svg\n"
    mapping = "mappings/signalement-anomalie/memo.yaml"
    more = "  ours: id\n  compte: link.account\n  niveau: link.acr\n"
    more += "  naissance: link.claims.birthdate\n"
    found[mapping] = found[mapping].replace("  ours: id\n", more, 1)
    return found


@dataclass
class LinkTown:
    """A gateway that links accounts, and all who take part."""

    gw: Gateway
    provider: OpenIdSim
    browser: httpx.AsyncClient
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def desk(self) -> LinkDesk:
        assert self.gw.engine.linking is not None
        return self.gw.engine.linking

    @property
    def session(self) -> str:
        """The token of the browser's session."""
        return self.browser.cookies.get("__Host-lien-session") or ""

    def keep(self, token: str) -> None:
        """Let the browser have this session, as if an answer had not come."""
        self.browser.cookies.set("__Host-lien-session", token, "passerelle.exemple.invalid")

    # --- a commune's portal -------------------------------------------------------------------

    def token(self, insee: str, kind: str, place: str, *, key: str = "", **changed: Any) -> str:
        """A message that a commune's portal signs; `changed` claims of None are left out."""
        now = int(self.gw.clock[0].timestamp())
        claims: dict[str, Any] = {"iss": insee, "aud": HOME + place, "iat": now, "exp": now + 120}
        claims["jti"] = f"numero-unique-{next(self.numbers):06}"
        claims.update(changed)
        told = {name: one for name, one in claims.items() if one is not None}
        key = key or KEYS[insee]
        return jwt.encode({"alg": "HS256", "typ": kind}, told, OctKey.import_key(key))

    def request(self, insee: str = BRON, **changed: Any) -> str:
        told = {"account": ACCOUNTS[insee], "return_to": RETURNS[insee], "state": "etat-du-portail"}
        return self.token(insee, "link-request+jwt", f"/lien/{insee}", **(told | changed))

    async def call(
        self, method: str, insee: str = BRON, rest: str = "", **changed: Any
    ) -> httpx.Response:
        place = f"/linking/v1/communes/{insee}"
        token = self.token(insee, "link-call+jwt", place, **changed)
        headers = {"Authorization": f"Bearer {token}"}
        return await self.gw.client.request(method, f"{place}/links{rest}", headers=headers)

    async def confirm(self, agreed: dict[str, Any], insee: str = BRON) -> httpx.Response:
        """The portal confirms what was answered to its request."""
        about = {"in_response_to": agreed["in_response_to"]}
        return await self.call("PUT", insee, f"/{agreed['sub']}", **about)

    def answer(self, url: str, insee: str = BRON) -> dict[str, Any]:
        """Return the answer with which the citizen came back to `url`."""
        assert url.startswith(RETURNS[insee])
        token = parse_qs(urlsplit(url).query)["reponse"][0]
        read = jwt.decode(token, OctKey.import_key(KEYS[insee]), algorithms=["HS256"])
        assert read.header["typ"] == "link-answer+jwt"
        assert (read.claims["iss"], read.claims["aud"]) == (HOME, insee)
        return read.claims

    # --- the citizen --------------------------------------------------------------------------

    async def begin(self, insee: str = BRON, **changed: Any) -> httpx.Response:
        return await self.bring(self.request(insee, **changed), insee)

    async def bring(self, token: str, insee: str = BRON) -> httpx.Response:
        """The portal's form, which leads to the first page. A browser sends no cookie with it."""
        form, none = {"demande": token}, {"Cookie": "autre=1"}
        answer = await self.browser.post(f"/lien/{insee}", data=form, headers=none)
        if answer.status_code != 303:
            return answer
        return await self.browser.get(answer.headers["location"])

    async def sign_in(self) -> httpx.Response:
        """From the page with GLC's button to the one that asks."""
        sent = await self.browser.get("/lien/connexion")
        assert sent.status_code == 303, sent.text
        back = await self.browser.get(self.provider.signed_in(sent.headers["location"]))
        if back.status_code != 303:
            return back
        return await self.browser.get(back.headers["location"])

    async def send(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        """Send the form of a page."""
        token = re.search(r'name="jeton" value="([^"]+)"', page.text)
        told = {"jeton": unescape(token[1]) if token else "", **fields}
        return await self.browser.post(path, data=told, headers={"Origin": HOME})

    async def agree(self, insee: str = BRON, **changed: Any) -> dict[str, Any]:
        """From the portal to the portal: what the answer says."""
        assert (await self.begin(insee, **changed)).status_code == 200
        page = await self.sign_in()
        assert page.status_code == 200, page.text
        back = await self.send(page, "/lien/accord", choix="oui")
        return self.answer(left(back), insee)

    async def link(self, insee: str = BRON, **changed: Any) -> str:
        """Link, to the portal's confirmation: the citizen's identity for that commune."""
        agreed = await self.agree(insee, **changed)
        identity: str = agreed["sub"]
        answer = await self.confirm(agreed, insee)
        assert answer.status_code == 200, answer.text
        return identity


def left(page: httpx.Response) -> str:
    """Return the address to which a goodbye leads."""
    assert page.status_code == 200, page.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)
    assert found is not None
    return unescape(found[1])


@asynccontextmanager
async def open_town(folder: Path, template: Path) -> AsyncIterator[LinkTown]:
    async with gateway(folder, template, files=files(folder), environ=SECRETS) as gw:
        provider = OpenIdSim(lambda: gw.clock[0])
        provider.install(gw.portal)
        transport = httpx.ASGITransport(gw.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as browser:
            yield LinkTown(gw, provider, browser)
