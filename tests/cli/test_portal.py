"""`portal workflow`: what is shipped is what the command writes, and it fits the gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gateway.catalogue import mapping_files
from gateway.core.mapping import RequestMapping
from gateway.core.status import FINAL, PORTAL_WORDS, Status
from gateway.core.workflow import DONE, DUE
from gateway.wire.relay import SHOWN
from tests.cli.conftest import MAPPINGS, Home, run
from tests.files import edit

_GATEWAY = """\
public_url: https://passerelle.exemple.invalid
portals:
  toodego:
    base_url: https://demarches.exemple.invalid
    orig: passerelle.exemple.invalid
    key: env:PORTAL_KEY
    callers: [{orig: demarches.exemple.invalid, key: env:PUSH_KEY}]
    teleservices:
      signalement-anomalie: {commune: fields.commune_raw}
      inscription-scolaire: {commune: fields.commune_raw}
      acte-etat-civil: {commune: fields.commune_raw}
      rendez-vous-encombrants: {commune: fields.commune_raw}
"""
_COMMUNE = """\
commune: "%s"
name: %s
portal: toodego
key: env:COMMUNE_KEY
gru:
  main:
    adapter: rest
    options:
      base_url: https://gru.exemple.invalid/api
      create: {path: /demandes, reference: id}
      amend:
        message: {path: "/demandes/{gru_reference}/notes"}
        change: {path: "/demandes/{gru_reference}"}
        cancellation: {path: "/demandes/{gru_reference}/annulation"}
    poll: null
routes:
  signalement-anomalie: {gru: main, mapping: signalement-anomalie/rest}
  inscription-scolaire: {gru: main, mapping: inscription-scolaire/rest}
  acte-etat-civil: {gru: main, mapping: acte-etat-civil/rest}
  rendez-vous-encombrants: {gru: main, mapping: rendez-vous-encombrants/rest}
"""
_SECRET = "un-secret-invente-de-trente-deux-caracteres"
TELESERVICES = (
    "signalement-anomalie",
    "inscription-scolaire",
    "acte-etat-civil",
    "rendez-vous-encombrants",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One commune that takes every event, at a portal with the shipped teleservices."""
    config = tmp_path / "config"
    (config / "communes").mkdir(parents=True)
    (config / "gateway.yaml").write_text(_GATEWAY, "utf-8")
    (config / "communes" / "bron.yaml").write_text(_COMMUNE % ("69029", "Bron"), "utf-8")
    for name in ("PORTAL_KEY", "PUSH_KEY", "COMMUNE_KEY"):
        monkeypatch.setenv(name, _SECRET)
    return Home(tmp_path, config)


def shipped(teleservice: str) -> Path:
    return MAPPINGS / teleservice / "publik"


def made(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("teleservice", TELESERVICES)
def test_what_is_shipped_is_what_the_command_writes(
    home: Home, monkeypatch: pytest.MonkeyPatch, teleservice: str
) -> None:
    """Made anew with: gru-gateway portal workflow … --out mappings/<teleservice>/publik."""
    out = home.folder / "out"
    # Where no secret is to be had: none is written.
    for name in ("PORTAL_KEY", "PUSH_KEY", "COMMUNE_KEY"):
        monkeypatch.delenv(name)
    told = home.run("portal", "workflow", teleservice, "--out", str(out))
    assert told.exit_code == 0, told.output
    assert "site variable to set at the portal: cle_passerelle_69029" in told.stdout
    written = made(out)
    assert {"workflow.wcs", "test-creation.wcs"} <= set(written)
    assert written == {name: made(shipped(teleservice)).get(name) for name in written}


@pytest.mark.parametrize("teleservice", TELESERVICES)
def test_every_shipped_file_is_well_formed_and_holds_no_key(teleservice: str) -> None:
    files = made(shipped(teleservice))
    assert {"workflow.wcs", "form.wcs"} <= set(files)
    for name, text in files.items():
        root = ET.fromstring(text)
        for element in root.iter("request_signature_key"):
            keys = re.findall(r"\{\{ ?(.*?) ?\}\}", element.text or "")
            assert keys, name
            assert all(re.fullmatch(r"cle_passerelle_\d{5}", key) for key in keys), name
            assert "cle" not in re.sub(r"\{\{.*?\}\}", "", element.text or ""), name
        assert _SECRET not in text


@pytest.mark.parametrize("teleservice", TELESERVICES)
def test_the_workflow_knows_the_words_and_fields_of_the_mapping(teleservice: str) -> None:
    mapping = _mapping(teleservice)
    root = ET.fromstring(made(shipped(teleservice))["workflow.wcs"])
    fields = {field.findtext("varname"): field.findtext("id") for field in root.iter("field")}
    assert DUE in fields
    assert mapping.portal.mark == DONE
    assert DONE in fields
    hooks = {trigger.findtext("identifier") for trigger in root.iter("trigger")}
    assert hooks == {mapping.portal.hook, mapping.portal.document_hook}
    switch = _status(root, "aiguillage")
    conditions = [c.text or "" for c in switch.iterfind("items/item/condition/value")]
    for status, (shown, _) in SHOWN.items():
        word = mapping.portal.words.get(status, PORTAL_WORDS[status])
        assert status is Status.TRANSMITTED or any(f'== "{word}"' in c for c in conditions)
        assert (_status(root, shown).find("forced_endpoint") is not None) == (status in FINAL)


@pytest.mark.parametrize("teleservice", TELESERVICES)
def test_nothing_in_the_workflow_leads_nowhere(teleservice: str) -> None:
    root = ET.fromstring(made(shipped(teleservice))["workflow.wcs"])
    known = {status.findtext("id") for status in root.iterfind("possible_status/status")}
    fields = {field.findtext("varname") for field in root.iter("field")}
    ids = {field.findtext("id") for field in root.iter("field")}
    for item in root.iter("item"):
        target = item.findtext("status")
        assert target is None or target in known
        for end in ("action_on_4xx", "action_on_5xx", "action_on_app_error"):
            assert item.findtext(end) in {None, ":stop", *known}
        for one in item.iterfind("fields/field"):
            assert one.findtext("field_id") in ids
    text = ET.tostring(root, "unicode")
    assert set(re.findall(r"form_var_(bo_\w+)", text)) <= fields
    # What a citizen or a report may write into is never hidden: only the switch is.
    hidden = [
        s.findtext("id") for s in root.iter("status") if s.find("visibility/role") is not None
    ]
    assert hidden == ["aiguillage"]


@pytest.mark.parametrize("teleservice", TELESERVICES)
def test_the_shipped_form_has_every_field_that_the_mapping_reads(teleservice: str) -> None:
    files = made(shipped(teleservice))
    form = ET.fromstring(files["form.wcs"])
    assert form.findtext("url_name") == teleservice
    workflow = ET.fromstring(files["workflow.wcs"])
    link = form.find("workflow")
    assert link is not None
    assert (link.text, link.get("slug")) == (workflow.findtext("name"), workflow.findtext("slug"))
    here = {field.findtext("varname") for field in form.iter("field")}
    inside = {
        field.findtext("varname")
        for name, text in files.items()
        if name.startswith("block-")
        for field in ET.fromstring(text).iter("field")
    }
    mapping = (MAPPINGS / teleservice / "rest.yaml").read_text()
    for path in re.findall(r"\bfields\.(\w+)\b(?!\*)", mapping):
        assert path.removesuffix("_raw") in here, path
    # The register names several fields by their beginning.
    for beginning in re.findall(r"\bfields\.(\w+)\*", mapping):
        assert any(name and name.startswith(beginning) for name in here), beginning
    blocks = {field.findtext("block_slug") for field in form.iter("field")} - {None}
    assert {f"block-{slug}.wcs" for slug in blocks} <= set(files)
    assert bool(blocks) == bool(inside)
    for node in form.iterfind(".//data_source/type"):
        assert f"datasource-{node.text}.wcs" in files


def test_the_tests_name_what_the_workflow_has(home: Home) -> None:
    out = home.folder / "out"
    assert home.run("portal", "workflow", TELESERVICES[0], "--out", str(out)).exit_code == 0
    root = ET.fromstring((out / "workflow.wcs").read_text("utf-8"))
    names = {status.findtext("name") for status in root.iterfind("possible_status/status")}
    buttons = {item.findtext("label") for item in root.iter("item") if item.get("type") == "choice"}
    seen = set()
    for path in out.glob("test-*.wcs"):
        test = ET.fromstring(path.read_text("utf-8"))
        seen.add(test.findtext("name"))
        answers = {one.findtext("uuid") for one in test.iter("webservice-response")}
        for step in test.iter("test-action"):
            assert step.findtext("status_name") in {None, *names}
            assert step.findtext("button_name") in {None, *buttons}
            assert step.findtext("webservice_response_uuid") in {None, *answers}
    assert len(seen) == len(list(out.glob("test-*.wcs")))


def test_several_communes_share_a_workflow_by_their_field(home: Home) -> None:
    other = _COMMUNE % ("69123", "Lyon")
    other = other.replace('commune: "69123"', 'commune: "69123"\ncodes: ["69381", "69382"]')
    (home.config / "communes" / "lyon.yaml").write_text(other, "utf-8")
    out = home.folder / "out"
    told = home.run("portal", "workflow", TELESERVICES[0], "--out", str(out), "--json")
    assert json.loads(told.stdout)["variables"] == ["cle_passerelle_69029", "cle_passerelle_69123"]
    text = (out / "workflow.wcs").read_text("utf-8")
    first = "form_var_bo_commune_appelee|default:form_var_commune_raw"
    assert f"/communes/{{{{ {first} }}}}/teleservices/" in text
    bron = f'{{% if {first} in "69029" %}}{{{{ cle_passerelle_69029 }}}}'
    lyon = f'{{% elif {first} in "69123 69381 69382" %}}{{{{ cle_passerelle_69123 }}}}'
    assert bron + lyon + "{% endif %}" in text
    edit(
        home.config / "gateway.yaml",
        "  signalement-anomalie: {commune: fields.commune_raw}",
        "  signalement-anomalie: {}",
    )
    refused = home.run("portal", "workflow", TELESERVICES[0], "--out", str(out))
    assert refused.exit_code == 3
    assert "no field of the form tells which" in refused.stderr
    one = home.run("portal", "workflow", TELESERVICES[0], "--commune", "69382", "--out", str(out))
    assert one.exit_code == 0
    assert "/communes/69123/teleservices/" in (out / "workflow.wcs").read_text("utf-8")


def test_with_keys_no_other_commune_is_called(home: Home) -> None:
    """A form of one commune may be filled in for another: its key would have opened that one."""
    out = home.folder / "out"
    assert home.run("portal", "workflow", TELESERVICES[0], "--out", str(out)).exit_code == 0
    text = (out / "workflow.wcs").read_text("utf-8")
    assert "/communes/69029/" not in text
    assert 'form_var_commune_raw and not form_var_commune_raw in "69029"' in text
    # A citizen's edit of the field does not lead the next message elsewhere.
    first = "form_var_bo_commune_appelee|default:form_var_commune_raw"
    assert f"/communes/{{{{ {first} }}}}/teleservices/" in text


def test_w_c_s_signs_for_all_communes_of_a_workflow_or_for_none(home: Home) -> None:
    """A key that is a template and gives nothing leaves the call unsigned."""
    other = (_COMMUNE % ("69266", "Villeurbanne")).replace("key: env:COMMUNE_KEY\n", "")
    (home.config / "communes" / "villeurbanne.yaml").write_text(other, "utf-8")
    refused = home.run("portal", "workflow", TELESERVICES[0], "--out", str(home.folder / "out"))
    assert refused.exit_code == 3
    assert "Villeurbanne (69266): no key, and others have one" in refused.stderr


def test_a_button_is_there_only_for_what_the_communes_take(home: Home) -> None:
    home.replace(
        "communes/bron.yaml",
        '        cancellation: {path: "/demandes/{gru_reference}/annulation"}\n',
        "",
    )
    out = home.folder / "out"
    told = home.run("portal", "workflow", TELESERVICES[0], "--out", str(out))
    assert told.exit_code == 0
    assert "no cancellation by the citizen: not taken for Bron (69029)" in told.stderr
    assert "Annuler ma demande" not in (out / "workflow.wcs").read_text("utf-8")
    assert not (out / "test-annulation.wcs").exists()


def test_a_commune_without_a_key_is_signed_by_the_server(home: Home) -> None:
    home.replace("communes/bron.yaml", "key: env:COMMUNE_KEY\n", "")
    out = home.folder / "out"
    assert home.run("portal", "workflow", TELESERVICES[0], "--out", str(out)).exit_code == 0
    assert "request_signature_key" not in (out / "workflow.wcs").read_text("utf-8")
    home.replace(
        "gateway.yaml", "{orig: demarches.exemple.invalid, key:", "{username: toodego, password:"
    )
    refused = home.run("portal", "workflow", TELESERVICES[0], "--out", str(out))
    assert refused.exit_code == 3
    assert "Bron (69029) has no key" in refused.stderr


def test_a_moderated_form_begins_with_an_agent(home: Home) -> None:
    out = home.folder / "out"
    told = home.run("portal", "workflow", TELESERVICES[0], "--moderated", "--out", str(out))
    assert told.exit_code == 0
    root = ET.fromstring((out / "workflow.wcs").read_text("utf-8"))
    assert root.findtext("possible_status/status/id") == "reception"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("signalement-anomale",), 1, "did you mean `signalement-anomalie`?"),
        (("signalement-anomalie", "--portal", "tododego"), 1, "did you mean `toodego`?"),
        (("signalement-anomalie", "--commune", "69266"), 1, "69266 (routes: 69029 (Bron)"),
        (("signalement-anomalie", "--out", "/proc/nowhere"), 3, "/proc/nowhere cannot be written"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    home: Home, arguments: tuple[str, ...], code: int, text: str
) -> None:
    told = home.run("portal", "workflow", *arguments)
    assert told.exit_code == code
    assert text in told.stderr


def test_mappings_that_one_workflow_cannot_serve_are_told_at_their_line(
    home: Home, tmp_path: Path
) -> None:
    mappings = tmp_path / "mappings" / "signalement-anomalie"
    mappings.mkdir(parents=True)
    text = (MAPPINGS / "signalement-anomalie" / "rest.yaml").read_text("utf-8")
    changed = text.replace(
        "  hook: retour_commune\n",
        '  triggers: {done: {jump: cloture}}\n  words: {done: "c\'est fait"}\n',
    )
    (mappings / "rest.yaml").write_text(changed, "utf-8")
    for slug in TELESERVICES[1:]:
        other = f"  {slug}: {{gru: main, mapping: {slug}/rest}}\n"
        home.replace("communes/bron.yaml", other, "")
    told = run(
        "portal",
        "workflow",
        TELESERVICES[0],
        "--config",
        str(home.config),
        "--mappings",
        str(tmp_path / "mappings"),
    )
    assert told.exit_code == 3
    for word in ("no hook", "`triggers` call other actions", "the word for done cannot stand"):
        assert word in told.stderr
    assert re.search(r"rest\.yaml:\d+: ", told.stderr)


def _mapping(teleservice: str) -> RequestMapping:
    path = MAPPINGS / teleservice / "rest.yaml"
    return mapping_files.load_mapping(path.read_text("utf-8"), path.as_posix())


def _status(root: ET.Element, name: str) -> ET.Element:
    found = [s for s in root.iterfind("possible_status/status") if s.findtext("id") == name]
    assert len(found) == 1
    return found[0]
