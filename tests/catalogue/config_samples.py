"""A small configuration that is well, to be spoilt by each test, and its adapter."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field, field_validator

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import Catalogue
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.outcome import Accepted, Outcome
from gateway.sdk import Adapter, Capabilities, Note, Options, Secret, Submission

ENVIRON = {
    "TOODEGO_KEY": "sesame-toodego",
    "TOODEGO_PUSH_KEY": "sesame-push",
    "TOODEGO_PUSH_PASSWORD": "sesame-password",
    "BRON_KEY": "sesame-bron",
    "DUMMY_TOKEN": "sesame-token",
    "OTHER_TOKEN": "sesame-other",
}


class Login(BaseModel):
    user: str = "gateway"
    password: Secret


class DummyOptions(Options):
    url: str
    token: Secret
    poll: bool = True
    login: Login | None = None
    headers: dict[str, Secret] = Field(default_factory=dict)
    backups: list[Login] = Field(default_factory=list)

    @field_validator("token")
    @classmethod
    def _said_aloud(cls, token: Secret) -> Secret:
        # An adapter's author may be careless with what is told in an error.
        if token.get_secret_value() == ENVIRON["OTHER_TOKEN"]:
            raise ValueError(f"the token {token.get_secret_value()} is not well")
        return token


class DummyAdapter(Adapter):
    kind = "dummy"
    Options = DummyOptions

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(find=True, statuses=self.options.poll)

    async def check(self) -> Sequence[Note]:
        return ()

    async def submit(self, submission: Submission) -> Outcome:
        return Accepted("1")


class BrokenAdapter(DummyAdapter):
    kind = "broken"

    @property
    def capabilities(self) -> Capabilities:
        raise RuntimeError("sesame-token is in this text")


ADAPTERS: dict[str, type[Adapter]] = {"dummy": DummyAdapter, "broken": BrokenAdapter}

GATEWAY = """\
retry: {delays: [5s, 1m], limit: 2d}
portals:
  toodego:
    base_url: https://demarches.example.org
    orig: passerelle.example.org
    key: env:TOODEGO_KEY
    callers:
      - orig: demarches.example.org
        key: env:TOODEGO_PUSH_KEY
      - username: toodego
        password: env:TOODEGO_PUSH_PASSWORD
    teleservices:
      signalement-anomalie:
        commune: fields.commune_raw
        reconcile: 10m
"""

BRON = """\
commune: "69029"
name: Bron
portal: toodego
key: env:BRON_KEY
contacts: {technical: dsi@bron.exemple.invalid}
gru:
  main:
    adapter: dummy
    options:
      url: https://gru.exemple.invalid
      token: env:DUMMY_TOKEN
    lane: {concurrency: 2, rate: 10}
    timeout: 15s
    poll: 2m
    retry: {limit: 9d}
routes:
  signalement-anomalie:
    gru: main
    mapping: signalement-anomalie/dummy
"""

MAPPING = """\
mapping: 1
teleservice: signalement-anomalie
adapter: dummy
version: 1
submit:
  title: fields.titre
"""

BUNDLE = {
    "config/gateway.yaml": GATEWAY,
    "config/communes/bron.yaml": BRON,
    "mappings/signalement-anomalie/dummy.yaml": MAPPING,
}
SETTINGS_FILE, BRON_FILE, MAPPING_FILE = BUNDLE


def make(bundle: dict[str, str] | None = None, **environ: str) -> Catalogue:
    return build(bundle or BUNDLE, environ=ENVIRON | environ, adapters=ADAPTERS)


def spoilt(file: str, old: str, new: str) -> dict[str, str]:
    """The sample bundle with one text replaced; it must be there exactly once."""
    assert BUNDLE[file].count(old) == 1, old
    return BUNDLE | {file: BUNDLE[file].replace(old, new)}


def faults(bundle: dict[str, str], environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    try:
        build(bundle, environ=ENVIRON if environ is None else environ, adapters=ADAPTERS)
    except ConfigurationFault as error:
        return error.faults
    raise AssertionError("no fault was found")


def line_of(bundle: dict[str, str], file: str, text: str) -> int:
    """The line where `text` first stands."""
    return bundle[file][: bundle[file].index(text)].count("\n") + 1
