"""A valid configuration, and the catalogue's answers about it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from gateway.catalogue.glc import DeletionsEntry
from gateway.core.errors import ConfigurationFault, Rejected
from gateway.core.retry import RetryPolicy
from tests.catalogue.config_samples import (
    BRON,
    BRON_FILE,
    BUNDLE,
    ENVIRON,
    MAPPING_FILE,
    SETTINGS_FILE,
    make,
    spoilt,
)
from tests.sealing import master


def test_everything_is_there_with_its_units() -> None:
    catalogue = make()
    settings = catalogue.settings
    assert settings.data_dir == Path("var")
    assert settings.database.get_secret_value() == "sqlite:///var/gateway.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 8700)
    assert settings.limits.max_bytes == 80 * 1024 * 1024
    assert settings.retry == RetryPolicy(delays=(5, 60), limit=2 * 86400)
    portal = catalogue.portals["toodego"]
    assert portal.production
    assert portal.key is not None
    assert portal.key.get_secret_value() == ENVIRON["TOODEGO_KEY"]
    assert portal.lane_name("69029") == "portal:toodego:69029"
    teleservice = portal.teleservices["signalement-anomalie"]
    assert teleservice.reconcile == 600
    assert teleservice.commune_path is not None
    assert teleservice.commune_path.search({"fields": {"commune_raw": "69029"}}) == "69029"
    gru = catalogue.communes["69029"].grus["main"]
    assert gru.lane_name == "gru:69029:main"
    assert (gru.lane.concurrency, gru.lane.rate) == (2, 10)
    assert (gru.lane.timeout, gru.poll) == (15, 120)
    assert gru.capabilities.find
    # Keys that the GRU leaves out are those of the settings, not the defaults.
    assert gru.lane.retry == RetryPolicy(delays=(5, 60), limit=9 * 86400)
    assert catalogue.warnings == ()


def test_a_commune_may_have_several_codes() -> None:
    bron = BRON + 'codes: ["69381", "69389"]\n'
    catalogue = make(BUNDLE | {BRON_FILE: bron})
    for code in ("69029", "69381", "69389"):
        assert catalogue.route("toodego", code, "signalement-anomalie").commune == "69029"
        assert catalogue.keys_for(None, None, code) == catalogue.keys_for(None, None, "69029")
    assert catalogue.insee("69382") == "69382"
    with pytest.raises(Rejected) as refused:
        catalogue.route("toodego", "69382", "signalement-anomalie")
    assert refused.value.code == "unknown_commune"


def test_a_code_leads_to_one_commune() -> None:
    bron = BRON + 'codes: ["69381", "69381", "69029"]\n'
    with pytest.raises(ConfigurationFault) as refused:
        make(BUNDLE | {BRON_FILE: bron})
    assert {fault.what for fault in refused.value.faults} == {
        f"the code {code} is in {BRON_FILE} already" for code in ("69381", "69029")
    }


def test_a_mapping_is_in_one_file() -> None:
    twin = MAPPING_FILE.replace("mappings/", "mappings/encore/")
    with pytest.raises(ConfigurationFault) as refused:
        make(BUNDLE | {twin: BUNDLE[MAPPING_FILE]})
    (fault,) = refused.value.faults
    assert (fault.file, fault.what) == (
        MAPPING_FILE,
        f"the mapping signalement-anomalie/dummy is in {twin} already",
    )


def test_routes() -> None:
    catalogue = make()
    route = catalogue.route("toodego", "69029", "signalement-anomalie")
    assert route.gru is catalogue.communes["69029"].grus["main"]
    assert route.mapping is catalogue.mappings["signalement-anomalie/dummy"]
    assert (route.portal, route.commune, route.teleservice) == (
        "toodego",
        "69029",
        "signalement-anomalie",
    )


@pytest.mark.parametrize(
    ("asked", "code", "listed"),
    [
        (("ailleurs", "69029", "signalement-anomalie"), "unknown_portal", "toodego"),
        (("toodego", "69001", "signalement-anomalie"), "unknown_commune", "Bron (69029)"),
        (("toodego", "69029", "autre"), "unknown_teleservice", "signalement-anomalie"),
        (("toodego", "69029", "piscine"), "no_route", "signalement-anomalie"),
    ],
)
def test_no_route_says_what_there_is(asked: tuple[str, str, str], code: str, listed: str) -> None:
    bundle = spoilt(SETTINGS_FILE, "    teleservices:\n", "    teleservices:\n      piscine: {}\n")
    with pytest.raises(Rejected) as caught:
        make(bundle).route(*asked)
    assert (caught.value.status, caught.value.code) == (404, code)
    assert listed in caught.value.text


def test_keys_by_orig_else_by_commune() -> None:
    catalogue = make()

    def keys(portal: str | None, orig: str | None, commune: str | None) -> list[tuple[str, str]]:
        found = catalogue.keys_for(portal, orig, commune)
        return [(name, key.get_secret_value()) for name, key in found]

    push, bron = ENVIRON["TOODEGO_PUSH_KEY"], ENVIRON["BRON_KEY"]
    assert keys(None, "demarches.example.org", None) == [("toodego", push)]
    assert keys("toodego", "demarches.example.org", "69029") == [("toodego", push)]
    assert keys("ailleurs", "demarches.example.org", "69029") == []
    # An orig that nobody has is not made good by the commune's own key.
    assert keys("toodego", "inconnu.example.org", "69029") == []
    assert keys("toodego", None, "69029") == [("toodego", bron)]
    assert keys(None, None, "69029") == [("toodego", bron)]
    assert keys("ailleurs", None, "69029") == []
    assert keys("toodego", None, None) == []
    assert keys("toodego", None, "69001") == []


def test_basic() -> None:
    catalogue = make()
    found = catalogue.basic("toodego")
    assert found is not None
    (password,) = found[1]
    assert (found[0], password.get_secret_value()) == ("toodego", ENVIRON["TOODEGO_PUSH_PASSWORD"])
    assert catalogue.basic("demarches.example.org") is None
    assert len(catalogue.portals["toodego"].callers) == 2


def test_polling_by_default_only_where_the_adapter_can() -> None:
    text = BRON.replace("    poll: 2m\n", "")
    assert make(BUNDLE | {BRON_FILE: text}).communes["69029"].grus["main"].poll == 60
    text = text.replace("      url:", "      poll: false\n      url:")
    assert make(BUNDLE | {BRON_FILE: text}).communes["69029"].grus["main"].poll is None


def test_database_by_reference() -> None:
    block = "database: env:DSN\nsealing: {masters: [env:MASTER]}\nportals:"
    bundle = spoilt(SETTINGS_FILE, "portals:", block)
    dsn = "postgresql://passerelle:sesame-dsn@base/passerelle"
    secret = master().secret.hex()
    catalogue = make(bundle, DSN=dsn, MASTER=secret)
    assert catalogue.settings.database.get_secret_value() == dsn
    assert "sesame-dsn" not in repr(catalogue)
    assert secret not in repr(catalogue)


def test_postgresql_needs_a_master_key_that_is_given() -> None:
    bundle = spoilt(SETTINGS_FILE, "portals:", "database: env:DSN\nportals:")
    with pytest.raises(ConfigurationFault, match=r"gateway\.yaml:\d+: with PostgreSQL the master"):
        make(bundle, DSN="postgresql://passerelle@base/passerelle")


@pytest.mark.parametrize(
    ("file", "old", "new", "said", "at"),
    [
        (
            BRON_FILE,
            "    adapter: dummy",
            "    environment: test\n    adapter: dummy",
            "production portal (toodego) feeds a test GRU",
            "    environment",
        ),
        (
            SETTINGS_FILE,
            "    orig: passerelle.example.org\n    key: env:TOODEGO_KEY\n",
            "",
            "do not prove who we are",
            "  toodego:",
        ),
        (
            SETTINGS_FILE,
            "base_url: https://demarches",
            "base_url: http://demarches",
            "without TLS",
            "    base_url",
        ),
        (
            SETTINGS_FILE,
            "    teleservices:\n",
            "    teleservices:\n      piscine: {}\n",
            "no commune has a route for piscine",
            "      piscine",
        ),
        (
            SETTINGS_FILE,
            "    base_url",
            "    environment: test\n    base_url",
            "a test portal (toodego) feeds production GRU",
            None,
        ),
    ],
)
def test_warnings(file: str, old: str, new: str, said: str, at: str | None) -> None:
    bundle = spoilt(file, old, new)
    (warning,) = make(bundle).warnings
    assert said in warning.what
    if at is not None:
        assert warning.file == file
        assert bundle[file].splitlines()[warning.line - 1].startswith(at)


def test_a_commune_without_routes_is_warned_about() -> None:
    text = BRON[: BRON.index("routes:")]
    said = [w.what for w in make(BUNDLE | {BRON_FILE: text}).warnings]
    assert any("Bron has no route" in what for what in said)


def test_each_key_of_the_list_of_deletions_reaches_its_reader() -> None:
    changed = {"path": "/x/", "uuid": "account.id", "since_param": "since", "next": None}
    shape = DeletionsEntry.model_validate(changed).shape()
    assert {field.name for field in fields(shape)} == {*DeletionsEntry.model_fields}
    assert (shape.path, shape.uuid.text, shape.since_param) == ("/x/", "account.id", "since")
    assert (shape.next, shape.items.text) == (None, "results")


def test_a_form_s_slug_may_hold_an_underscore() -> None:
    """As w.c.s. makes them: such a form could not be connected, as mappings had a type of their
    own."""
    slug, file = "demande_de_benne", "mappings/demande_de_benne/dummy.yaml"
    bundle = {
        file if name == MAPPING_FILE else name: text.replace("signalement-anomalie", slug)
        for name, text in BUNDLE.items()
    }
    assert make(bundle).route("toodego", "69029", slug).mapping.file == file
