"""People who are told, in `gateway.yaml`: what is refused, at its line, and what it means."""

from __future__ import annotations

import pytest

from gateway.catalogue.alerting import Telling
from gateway.catalogue.build import build
from gateway.core.errors import ConfigurationFault
from gateway.core.incident import Severity

SETTINGS = """portals: {toodego: {base_url: https://portail.exemple.invalid}}
mail: {host: relais.exemple.org, from: passerelle@exemple.org}
telling:
  channels:
    salon: {chat: env:CHAT}
"""
ENVIRON = {
    "CHAT": "https://chat.exemple.org/hooks/abc?x=1",
    "KEY": "whsec_" + "YWJj" * 10,
    "SHORT": "trop-court",
    "ODD": "pas une adresse secrète",
}


def read(text: str) -> Telling:
    """Build a configuration of settings alone, with these lines of `telling`."""
    bundle = {"config/gateway.yaml": SETTINGS + text}
    return build(bundle, environ=ENVIRON, adapters={}).settings.telling


def test_channels_hear_what_the_file_says() -> None:
    telling = read("""    astreinte: {webhook: env:CHAT, secret: [env:KEY, env:KEY], notes: majeur}
    elus: {role: direction, to: communes, notes: bloquant, quiet: {from: "20:00", to: "07:30"}}
    bron: {mail: [a@exemple.org], to: ["69029"], notes: none, digest: "08:00"}
  quiet: {from: "21:00", to: "06:00", weekends: true}
  heartbeat: {url: env:CHAT, every: 30s}
  self_test: 3
""")
    salon, astreinte, elus, bron = telling.channels
    assert (salon.hearing.communes, salon.hearing.least) == (None, Severity.MINEUR)
    assert astreinte.target is not None
    assert (len(astreinte.target.secrets), astreinte.hearing.least) == (2, Severity.MAJEUR)
    assert (elus.hearing.everywhere, elus.role, elus.quiet != salon.quiet) == (
        True,
        "direction",
        True,
    )
    assert salon.quiet == telling.quiet
    assert (bron.hearing.communes, bron.hearing.least) == (frozenset({"69029"}), None)
    assert (telling.heartbeat_every, telling.self_test) == (30.0, 3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("    a: {}", "webhook"),
        ("    a: {chat: env:CHAT, mail: [a@exemple.org]}", "webhook"),
        ("    a: {webhook: env:CHAT}", "secret"),
        ("    a: {webhook: env:CHAT, secret: env:SHORT}", "24"),
        ("    a: {chat: env:ODD}", "http"),
        ("    a: {chat: https://chat.exemple.org/x}", "env:"),
        ("    a: {chat: env:MISSING}", "MISSING"),
        ("    a: {matrix: env:CHAT, secret: env:KEY}", "room"),
        ("    a: {role: direction}", "communes"),
        ("    a: {mail: [personne]}", "mail"),
        ("    a: {chat: env:CHAT, notes: grave}", "bloquant"),
        ('    a: {chat: env:CHAT, digest: "8h"}', "20:30"),
        ("    a: {chat: env:CHAT, to: [lyon]}", "to"),
        ('  quiet: {from: "25:00", to: "07:00"}', "20:30"),
        ("  self_test: 31", "28"),
        ("  heartbeat: {url: env:ODD}", "http"),
        ("  heartbit: null", "heartbeat"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(line: str, told: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        read(f"{line}\n")
    faults = {(one.file, one.line) for one in caught.value.faults}
    assert faults == {("config/gateway.yaml", 6)}
    words = " ".join(map(str, caught.value.faults))
    assert told in words, words
    assert "secrète" not in words
