"""`check` of GLC as OpenID provider: discovery, keys, and our own registration there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.catalogue.catalogue import Catalogue
from gateway.cli.check_own import CheckLine
from gateway.cli.openid_texts import say
from gateway.core import reasons
from gateway.core.messages import Message
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.linking_opening import open_provider
from gateway.wire.oidc import ProviderFault
from gateway.wire.oidc_client import OpenIdClient
from gateway.wire.signed_tokens import Jwk

#: The key of `glc.openid` that a fault is about, and what to do.
_ABOUT: Final = {
    "wrong_issuer": ("issuer", "cure_issuer"),
    "bad_metadata": ("issuer", "cure_provider"),
    "unsupported_provider": ("algorithms", "cure_provider"),
    "client_refused": ("client_id", "cure_client"),
    "bad_private_key": ("private_key", "cure_client"),
    "bad_token_answer": ("issuer", "cure_provider"),
}
_KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC"}


async def check_openid(far_ends: FarEnds) -> list[CheckLine]:
    """Read what GLC says of itself as provider, its keys, and prove ourselves there."""
    catalogue = far_ends.catalogue
    glc = catalogue.settings.glc
    if glc is None or glc.openid is None:
        return []
    ours = glc.openid
    back = f"{catalogue.settings.public_url}/lien/retour"
    async with open_provider(far_ends, glc, Environment(), far_ends.transport) as provider:
        try:
            told = (await provider.metadata(ours)).told
            keys = await provider.keys(ours)
            await provider.try_client(ours, back)
        except ProviderFault as fault:
            return [_failed(fault.word)]
    lines = [*_registered(told, ours, catalogue), *_fitting(keys, ours)]
    return lines or [_well(told, keys)]


def _failed(word: str) -> CheckLine:
    key, cure = _ABOUT.get(word, ("issuer", "cure_issuer"))
    own = f"is_{word}"
    why = say(own) if own in say else reasons.of(word).said
    return _line("fault", key, say("failed", why=why, cure=say(cure)))


def _fitting(keys: tuple[Jwk, ...], ours: OpenIdClient) -> list[CheckLine]:
    wanted = {_KINDS[one[:2]] for one in ours.algorithms}
    if wanted & {str(key.get("kty")) for key in keys if key.get("use", "sig") == "sig"}:
        return []
    return [_line("fault", "algorithms", say("no_key", algorithms=tuple(ours.algorithms)))]


def _registered(
    told: Mapping[str, Any], ours: OpenIdClient, catalogue: Catalogue
) -> list[CheckLine]:
    """Hold our settings against what the provider announces. What it announces not is no fault."""
    lines = []
    offered = _words(told, "token_endpoint_auth_methods_supported") or ("client_secret_basic",)
    if ours.client_auth not in offered:
        said = say("no_auth", auth=ours.client_auth, offered=offered)
        lines.append(_line("fault", "client_auth", said))
    wanted = {one for commune in catalogue.communes.values() for one in _claims(commune)}
    for key, announced, names in (
        ("scopes", "scopes_supported", ours.scopes),
        ("acr_values", "acr_values_supported", ours.acr_values),
        ("account_claim", "claims_supported", (ours.account_claim, *sorted(wanted))),
    ):
        known = _words(told, announced)
        missing = tuple(one for one in names if known and one not in known)
        if missing:
            lines.append(_line("warning", key, say("not_offered", names=missing, key=key)))
    if ours.account_claim == "sub" and _words(told, "subject_types_supported") == ("pairwise",):
        lines.append(_line("fault", "account_claim", say("sub_is_pairwise")))
    return lines


def _claims(commune: Any) -> tuple[str, ...]:
    claims: tuple[str, ...] = () if commune.linking is None else commune.linking.claims
    return claims


def _well(told: Mapping[str, Any], keys: tuple[Jwk, ...]) -> CheckLine:
    ways = [
        way
        for way in ("backchannel", "frontchannel")
        if told.get(f"{way}_logout_supported") is True
    ]
    said = say(
        "well",
        count=len(keys),
        kinds=tuple(sorted({str(key.get("kty")) for key in keys})),
        subjects=_words(told, "subject_types_supported"),
        logout=", ".join(ways) if ways else say("no_logout"),
    )
    return CheckLine("glc", "ok", said)


def _line(level: Any, key: str, said: Message) -> CheckLine:
    return CheckLine("glc", level, said, ("openid", key))


def _words(told: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = told.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


__all__ = ["check_openid"]
