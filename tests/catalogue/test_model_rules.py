"""Rules about several keys are told beside the faults of single keys, and none that is not so."""

from __future__ import annotations

import pytest
from pydantic import Field, model_validator

from adapters.email import EmailOptions
from adapters.sftp import SftpOptions
from adapters.soap import SoapAdapter
from gateway.catalogue.config_faults import validate
from gateway.catalogue.secrets import SecretSource
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault
from gateway.core.messages import Messages, Text
from gateway.sdk import Options, refuse

say = Messages(
    Text("pair", "a and b go together", "", "a et b", ""), Text("same", "equal", "", "", "")
)


class Pair(Options):
    a: int | None = None
    b: int | None = None
    c: int = 0

    @model_validator(mode="after")
    def _both(self) -> Pair:
        if (self.a is None) != (self.b is None):
            raise refuse(say("pair"))
        return self

    @model_validator(mode="after")
    def _differ(self) -> Pair:
        if self.a is not None and self.a == self.b:
            raise refuse(say("same"))
        return self


class Whole(Options):
    pair: Pair = Pair()
    pairs: dict[str, Pair] = Field(default_factory=dict)
    listed: tuple[Pair, ...] = ()
    names: tuple[int, ...] = Field((1,), min_length=1)
    either: int | tuple[int, ...] = 0


def told(text: str, model: type[Options] = Whole) -> list[str]:
    with pytest.raises(ConfigurationFault) as raised:
        validate(model, load_yaml(text, "f"), SecretSource({"KEY": "x", "PASSWORD": "y"}))
    return [str(one).partition(": ")[2] for one in raised.value.faults]


@pytest.mark.parametrize(
    ("text", "broken", "faults"),
    [
        ("pair: {a: 1, c: x}", ["`pair`: a and b go together"], 2),
        ("pairs: {one: {a: 1, c: x}}", ["`pairs.one`: a and b go together"], 2),
        ("listed: [{a: 1, c: x}, {}]", ["`listed.0`: a and b go together"], 2),
        ("pair: {a: 1, d: 1}", ["`pair`: a and b go together"], 2),
        # What was meant is not said to be missing, nor is what is there and wrong.
        ("pair: {a: 1, bb: 1}", [], 1),
        ("pair: {a: 1, b: x}", [], 1),
        ("pair: {a: x, b: x}", [], 2),
        ("names: [x]", [], 1),
        ("either: [x]", [], 1),
    ],
)
def test_all_is_told_at_once_and_nothing_that_only_follows(
    text: str, broken: list[str], faults: int
) -> None:
    found = told(text)
    assert [one for one in found if "go together" in one or "equal" in one] == broken
    assert len(found) == faults, found


def test_a_rule_that_looks_at_what_is_at_fault_is_silent() -> None:
    assert len(told("pair: {a: x, b: 1, c: x}")) == 2
    assert [one for one in told("pair: {a: 1, b: 1, c: x}") if "equal" in one]


def test_adapters_tell_rules_and_keys_together() -> None:
    email = (
        "smtp: {url: 'smtp://m.exemple.fr', username: u}\nfrom: a@b.fr\nto: rien\nkey: env:KEY\n"
        "find: {folder: Copies}\nreplies: {host: m, domains: [b.fr]}\n"
    )
    words = " ".join(told(email, EmailOptions))
    for part in ("go together", "find needs", "replies needs imap", "`to`: not an address"):
        assert part in words
    assert "the file" not in words
    sftp = "url: https://x\nhost_keys: [non]\nencoding: windows-1252\n"
    found = told(sftp, SftpOptions)
    assert len(found) == 4, found
    soap = (
        "address: https://a.fr\nwsdl: https://b.fr\ncreate: {operation: o}\n"
        "amend: {creation: {operation: o}}\nfaults: [{code: 'a b', outcome: later}]\n"
    )
    found = told(soap, SoapAdapter.Options)
    assert len(found) == 3, found
