"""Every kind of fault, each at its file and line, and all of them at once."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from gateway.catalogue import registry
from gateway.sdk import Options
from gateway.sdk.secrets import unread_secret
from tests.catalogue.config_samples import (
    BRON,
    BRON_FILE,
    BUNDLE,
    ENVIRON,
    GATEWAY,
    MAPPING_FILE,
    SETTINGS_FILE,
    DummyAdapter,
    DummyOptions,
    faults,
    line_of,
    spoilt,
)

CASES = [
    # file, what is replaced, by what, where the fault stands, what it says
    (SETTINGS_FILE, "limit: 2d", "limit: soon", "retry:", "not a duration"),
    (SETTINGS_FILE, "reconcile: 10m", "reconcil: 10m", "reconcil", "`reconcil` is not known"),
    (SETTINGS_FILE, "fields.commune_raw", "fields[", "commune: fields[", "not a JMESPath"),
    (SETTINGS_FILE, "https://demarches", "ftp://demarches", "base_url", "begin with https://"),
    (
        SETTINGS_FILE,
        "https://demarches.example.org",
        "https://moi:sesame@demarches.example.org",
        "base_url",
        "hold no password",
    ),
    (SETTINGS_FILE, "    key: env:TOODEGO_KEY\n", "", "toodego:", "orig and key go together"),
    (SETTINGS_FILE, "      - username: toodego\n", "      - orig: x\n", "- orig: x", "one way"),
    (
        SETTINGS_FILE,
        "      - username: toodego\n        password: env:TOODEGO_PUSH_PASSWORD\n",
        "      - orig: demarches.example.org\n        key: env:BRON_KEY\n",
        "- orig: demarches.example.org\n        key: env:BRON_KEY",
        "the orig demarches.example.org is declared on line",
    ),
    (
        SETTINGS_FILE,
        "    teleservices:\n",
        "      - {username: toodego, password: env:BRON_KEY}\n    teleservices:\n",
        "- {username",
        "the username toodego is declared on line",
    ),
    (SETTINGS_FILE, "env:TOODEGO_PUSH_KEY", "env:NOWHERE", "key: env:NOWHERE", "env:NOWHERE is"),
    (SETTINGS_FILE, "env:TOODEGO_KEY", "file:/nowhere/key", "key: file:", "file:/nowhere/key is"),
    (SETTINGS_FILE, "env:TOODEGO_KEY", "sesame", "key: sesame", "never in the clear"),
    (SETTINGS_FILE, "portals:", "database: env:BRON_KEY\nportals:", "database", "no address of"),
    (SETTINGS_FILE, "portals:", "limits: {file_mb: 90}\nportals:", "limits", "larger than the"),
    (
        SETTINGS_FILE,
        "portals:",
        "attachments: {url: 'ftp://x/y'}\nportals:",
        "attachments:",
        "is s3://bucket/prefix or file:///folder",
    ),
    (
        SETTINGS_FILE,
        "portals:",
        "attachments:\n  url: file://relative/x\nportals:",
        "  url: file:",
        "file:///absolute/path",
    ),
    (
        SETTINGS_FILE,
        "portals:",
        "attachments:\n  url: s3://b/p\n  options:\n    allow_http: 'true'\nportals:",
        "    allow_http",
        "no such option of an S3 store: allow_http",
    ),
    (
        SETTINGS_FILE,
        "portals:",
        "attachments:\n  url: s3://b/p\n  options:\n    secret_access_key: sesame\nportals:",
        "    secret_access_key",
        "never in the clear",
    ),
    (
        SETTINGS_FILE,
        "portals:",
        "attachments:\n  url: s3://b/p\n  options:\n    region: env:NOWHERE\nportals:",
        "    region",
        "env:NOWHERE is not set",
    ),
    (SETTINGS_FILE, "portals:", "portals: ]", "portals: ]", "not YAML"),
    (BRON_FILE, '"69029"', "69029", "commune:", "an INSEE code is text"),
    (BRON_FILE, '"69029"', '"bron"', "commune:", "not an INSEE code"),
    (BRON_FILE, "name: Bron\n", "", "commune:", "`name` is missing"),
    (BRON_FILE, "portal: toodego", "portal: todego", "portal:", "there is no portal todego"),
    (BRON_FILE, "env:BRON_KEY", "env:NOWHERE", "key:", "env:NOWHERE is not set"),
    (BRON_FILE, "adapter: dummy", "adapter: dumy", "    adapter:", "`dumy` is not installed"),
    (BRON_FILE, "adapter: dummy", "adapter: broken", "    options:", "fails on these options"),
    (BRON_FILE, "      url:", "      uri:", "      uri:", "`uri` is not known"),
    (BRON_FILE, "env:DUMMY_TOKEN", "env:NOWHERE", "      token:", "env:NOWHERE is not set"),
    (BRON_FILE, "env:DUMMY_TOKEN", "sesame", "      token:", "never in the clear"),
    (BRON_FILE, "env:DUMMY_TOKEN", "env:OTHER_TOKEN", "      token:", "the token *** is not well"),
    (
        BRON_FILE,
        "      url:",
        "      login: {password: sesame}\n      url:",
        "      login:",
        "`password` is a secret",
    ),
    (
        BRON_FILE,
        "      url:",
        "      headers:\n        X-Key: sesame\n      url:",
        "        X-Key:",
        "`X-Key` is a secret",
    ),
    (
        BRON_FILE,
        "      url:",
        "      backups:\n        - user: a\n          password: env:NOWHERE\n      url:",
        "          password:",
        "env:NOWHERE is not set",
    ),
    (BRON_FILE, "      url:", "      poll: false\n      url:", "    poll: 2m", "cannot be polled"),
    (BRON_FILE, "timeout: 15s", "timeout: -1", "    timeout:", "not a duration"),
    (BRON_FILE, "concurrency: 2", "concurrency: 0", "    lane:", "must be at least 1"),
    (BRON_FILE, "    gru: main", "    gru: mian", "    gru: mian", "no GRU `mian`"),
    (
        BRON_FILE,
        "  signalement-anomalie:\n",
        "  signalement:\n",
        "  signalement:",
        "the portal toodego has no teleservice signalement",
    ),
    (
        BRON_FILE,
        "mapping: signalement-anomalie/dummy",
        "mapping: signalement-anomalie/dumy",
        "    mapping:",
        "there is no mapping",
    ),
    (
        BRON_FILE,
        "mapping: signalement-anomalie/dummy",
        "mapping: ../../secret",
        "    mapping:",
        "is not written as it must be",
    ),
    (MAPPING_FILE, "adapter: dummy", "adapter: open311", None, "for the adapter open311"),
    (MAPPING_FILE, "version: 1", "version: 0", "version:", "must be at least 1"),
]

#: Where the change brings a second fault of its own: the mapping no longer fits, a key is missing.
OTHERS = {
    "the portal toodego has no teleservice signalement": 1,
    "fails on these options": 1,
    "`uri` is not known": 1,
}


@pytest.mark.parametrize(("file", "old", "new", "at", "said"), CASES)
def test_each_fault_stands_at_its_line(
    file: str, old: str, new: str, at: str | None, said: str
) -> None:
    bundle = spoilt(file, old, new)
    found = faults(bundle)
    fitting = [f for f in found if said in f.what]
    assert fitting, [str(f) for f in found]
    if at is not None:
        assert (fitting[0].file, fitting[0].line) == (file, line_of(bundle, file, at))
    assert all("sesame" not in str(f) for f in found)
    # A fault brings no others with it that are not there.
    assert len(found) == OTHERS.get(said, 0) + 1, [str(f) for f in found]


def test_remedies_help() -> None:
    (fault,) = faults(spoilt(BRON_FILE, '"69029"', "69029"))
    assert fault.remedy == "write it in quotes"
    (fault,) = faults(spoilt(BRON_FILE, "adapter: dummy", "adapter: dumy"))
    assert fault.remedy == "installed: broken, dummy"
    (fault,) = faults(spoilt(BRON_FILE, "portal: toodego", "portal: todego"))
    assert "toodego" in fault.remedy


def test_all_faults_at_once() -> None:
    bundle = {
        SETTINGS_FILE: GATEWAY.replace("reconcile: 10m", "reconcil: 10m").replace(
            "env:TOODEGO_KEY", "env:NOWHERE"
        ),
        BRON_FILE: BRON.replace('"69029"', "69029")
        .replace("timeout: 15s", "timeout: never")
        .replace("env:DUMMY_TOKEN", "sesame")
        .replace("    gru: main", "    gru: mian"),
        "config/communes/caluire.yaml": "commune: 69034\nnaem: Caluire\n",
        "config/communes/ecully.yaml": "- a list\n",
        "config/communes/feyzin.yaml": "a: [\n",
        MAPPING_FILE: BUNDLE[MAPPING_FILE].replace("fields.titre", "fields["),
    }
    told = "\n".join(str(f) for f in faults(bundle))
    for said in (
        "config/gateway.yaml:15: `reconcil` is not known",
        "config/gateway.yaml:6: the secret env:NOWHERE",
        "config/communes/bron.yaml:1: `commune`: an INSEE code is text",
        "config/communes/bron.yaml:11: `token` is a secret",
        "config/communes/bron.yaml:13: `gru.main.timeout`: not a duration",
        "config/communes/bron.yaml:18: this commune has no GRU `mian`",
        "config/communes/caluire.yaml:1:",
        "config/communes/caluire.yaml:2: `naem` is not known",
        "config/communes/ecully.yaml:1:",
        "config/communes/feyzin.yaml:1: not YAML",
        "mappings/signalement-anomalie/dummy.yaml:6:",
    ):
        assert said in told, f"{said}\n--- in\n{told}"
    assert "sesame" not in told
    # The mapping is at fault itself: that a route names it is no second fault.
    assert "there is no mapping" not in told


def test_one_commune_one_file() -> None:
    bundle = BUNDLE | {"config/communes/encore.yaml": BRON}
    (fault,) = faults(bundle)
    assert (fault.file, fault.line) == ("config/communes/encore.yaml", 1)
    assert "69029 is in config/communes/bron.yaml" in fault.what


def test_a_mapping_for_another_teleservice() -> None:
    other = "mappings/piscine/dummy.yaml"
    text = BUNDLE[MAPPING_FILE].replace("signalement-anomalie", "piscine")
    bundle = spoilt(BRON_FILE, "signalement-anomalie/dummy", "piscine/dummy") | {other: text}
    (fault,) = faults(bundle)
    assert "is for the teleservice piscine" in fault.what
    assert (fault.file, fault.line) == (BRON_FILE, 19)


def test_missing_settings_still_tell_the_communes_faults() -> None:
    bundle = spoilt(BRON_FILE, "timeout: 15s", "timeout: never")
    del bundle[SETTINGS_FILE]
    found = faults(bundle)
    assert [(f.file, f.line) for f in found] == [(BRON_FILE, 13), (SETTINGS_FILE, 0)]


@pytest.mark.parametrize("name", sorted(set(ENVIRON) - {"OTHER_TOKEN"}))
def test_each_missing_secret_is_named(name: str) -> None:
    without = {k: v for k, v in ENVIRON.items() if k != name}
    (fault,) = faults(BUNDLE, without)
    assert f"env:{name} is not set" in fault.what
    assert f"env:{name}" in BUNDLE[fault.file].splitlines()[fault.line - 1]
    (fault,) = faults(BUNDLE, ENVIRON | {name: " "})
    assert f"env:{name} is empty" in fault.what


def test_a_missing_secret_hides_no_other_fault_of_its_part() -> None:
    settings = GATEWAY.replace("    orig: passerelle.example.org\n", "").replace(
        "env:TOODEGO_KEY", "env:NOWHERE"
    )
    commune = BRON.replace("env:DUMMY_TOKEN", "env:NOWHERE").replace("      url:", "      uri:")
    found = faults(BUNDLE | {SETTINGS_FILE: settings, BRON_FILE: commune})
    assert [(one.file, one.line, one.said.word) for one in sorted(found)] == [
        (BRON_FILE, 9, "of_options"),
        (BRON_FILE, 10, "of_options"),
        (BRON_FILE, 11, "env_unset"),
        (SETTINGS_FILE, 3, "of_value"),
        (SETTINGS_FILE, 5, "env_unset"),
    ]


def test_an_adapter_s_secret_is_one_that_is_read() -> None:
    class Left(Options):
        token: dict[str, list[SecretStr | None]]

    class Within(Options):
        lefts: tuple[Left, ...] = ()

    assert unread_secret(DummyOptions) is None
    assert unread_secret(Within) == "Left.token"
    left = type("LeftAdapter", (DummyAdapter,), {"Options": Within})
    said = registry.unfit(left, "dummy")
    assert said is not None
    assert said.word == "unread_secret"


@pytest.mark.parametrize(
    ("block", "word"),
    [
        ('{masters: ["vault:transit/gru"]}', "sealing.vault"),
        (
            '{masters: ["vault:transit"], vault: {url: "https://v.fr", token: env:BRON_KEY}}',
            "MOUNT",
        ),
        ('{masters: ["vault:t/g"], vault: {url: "https://v.fr"}}', "role_id"),
        ('{masters: ["vault:t/g"], vault: {url: "http://v.fr", token: env:BRON_KEY}}', "https"),
        (
            '{masters: ["vault:t/g"],'
            ' vault: {url: "https://v.fr", token: env:BRON_KEY, role_id: env:BRON_KEY}}',
            "role_id",
        ),
    ],
)
def test_a_vault_is_named_whole_and_called_with_tls(block: str, word: str) -> None:
    found = faults(spoilt(SETTINGS_FILE, "retry: {delays", f"sealing: {block}\nretry: {{delays"))
    assert any(word in str(one) for one in found), found
