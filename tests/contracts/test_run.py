"""Contract runs against the real code: what holds, what differs, what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue.bundle import read_bundle
from gateway.contracts.run import ContractReport, run
from gateway.core.errors import ConfigurationFault, NotFound
from tests.contracts.small import FOLDER, KEY, MAPPING, bundle

ROOT = Path(__file__).parents[2]

GATEWAY = """\
portals:
  toodego:
    base_url: https://portail.exemple.invalid
    environment: test
    orig: passerelle
    key: env:CLE_DU_PORTAIL
    teleservices: {voirie: {}}
"""
COMMUNE = """\
commune: "69029"
name: Bron
portal: toodego
paused: true
gru:
  main:
    adapter: rest
    options:
      base_url: https://bron.exemple.invalid/api
      auth: {kind: bearer, token: "file:/run/secrets/bron"}
      create:
        path: /v2/dossiers
        body: {texte: "=payload.texte", cle: "=secrets.cle"}
        reference: id
      secrets: {cle: env:CLE_DE_BRON}
routes:
  voirie: {gru: main, mapping: voirie/rest}
"""
OWN = """\
case: 1
commune: "69029"
formdata: demande.json
answers: [{method: POST, path: /api/v2/dossiers, status: 201, json: {id: 7}}]
cases:
  - title: Avec les réglages de Bron
    expect:
      calls: [{POST: /api/v2/dossiers, json: {texte: Un trou., cle: "{secret}"}}]
"""


def configured(**changes: tuple[str, str]) -> dict[str, str]:
    return bundle(**changes) | {
        "config/gateway.yaml": GATEWAY,
        "config/communes/bron.yaml": COMMUNE,
    }


def told(report: ContractReport) -> list[str]:
    return [
        difference.sentence()
        for contract in report.contracts
        for result in contract.failures
        for difference in result.differences
    ]


#: Every change of these is tried. Of the others one change of each rule, as all of them would take
#: too long here: `gru-gateway mapping test --weak` tries them.
WHOLE = ("signalement-anomalie/open311", "signalement-anomalie/rest", "inscription-scolaire/rest")


def _shipped(*, whole: bool) -> dict[str, str]:
    """Return the files of these mappings, or of all others."""
    bundle = read_bundle(None, ROOT / "mappings")
    places = tuple(f"mappings/{key}." for key in WHOLE)
    return {
        file: text
        for file, text in bundle.items()
        if not file.endswith(".yaml") or file.startswith(places) is whole
    }


async def test_the_first_mappings_are_under_contract_and_no_rule_is_unprotected() -> None:
    report = await run(_shipped(whole=True))
    assert report.failures(strict=True) == []
    assert report.passed(strict=True)
    assert sorted(contract.mapping for contract in report.contracts) == sorted(WHOLE)
    assert all(
        len(contract.results) > 20 and contract.mutants > 50 for contract in report.contracts
    )


async def test_the_other_mappings_are_under_contract_and_no_rule_is_unprotected() -> None:
    report = await run(_shipped(whole=False), sampled=True)
    assert report.failures(strict=True) == []
    assert report.passed(strict=True)
    assert len(report.contracts) == len(list((ROOT / "mappings").glob("*/*.yaml"))) - len(WHOLE)
    assert all(
        len(contract.results) > 15 and contract.mutants > 20 for contract in report.contracts
    )


async def test_a_small_contract_holds() -> None:
    report = await run(bundle())
    assert told(report) == []
    (contract,) = report.contracts
    assert (contract.mapping, contract.version, len(contract.results)) == (KEY, 3, 8)
    assert contract.weaknesses == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("trou: nid-de-poule", "trou: autre-chose"),
            "POST /demandes · nature : attendu « nid-de-poule »,"
            f" obtenu « autre-chose » ({MAPPING}:9)",
        ),
        (
            (", strip_html: true", ""),
            "POST /demandes · texte : attendu « Un trou. »,"
            f" obtenu « <p>Un trou.</p> » ({MAPPING}:10)",
        ),
        (
            ("  texte: {path: fields.description, strip_html: true}\n", ""),
            "POST /demandes · texte : attendu « Un trou. », obtenu rien",
        ),
        (
            ("status: accepted", "status: refused"),
            "retour vers Toodego · statut : attendu « acceptee »,"
            f" obtenu « refusee » ({MAPPING}:13)",
        ),
        (
            ("fields: [photo]", "fields: [photo, autre]"),
            "POST /fichiers",
        ),
        (
            ("portal: {hook: retour}", "notes: {public: always}\nportal: {hook: retour}"),
            "retour vers Toodego : attendu aucun appel, obtenu une note par retour,"
            " message « entre nous »",
        ),
    ],
)
async def test_a_difference_is_told_in_french_with_the_rule(
    change: tuple[str, str], sentence: str
) -> None:
    report = await run(bundle(mapping=change), weak=False)
    assert not report.passed()
    assert any(sentence in one for one in told(report)), told(report)


async def test_what_should_be_refused_and_leaves_is_told() -> None:
    change = ("natures: {entries:", "natures: {default: divers, entries:")
    report = await run(bundle(mapping=change), weak=False)
    assert (
        "envoi à la GRU : attendu que la demande soit arrêtée (unmappable), obtenu elle part"
        in told(report)
    )


async def test_an_unplanned_call_is_told() -> None:
    report = await run(
        bundle(bench=("path: /demandes, status: 201", "path: /x, status: 201")), weak=False
    )
    assert any("attendu que la demande parte" in one for one in told(report))


async def test_a_mapping_without_a_case_is_refused_by_name() -> None:
    only = {MAPPING: bundle()[MAPPING]}
    report = await run(only)
    assert not report.passed()
    assert report.failures() == [
        f"{MAPPING}:1: la correspondance {KEY} n'a aucun cas (en écrire dans {FOLDER})"
    ]


async def test_a_communes_own_cases_are_played_with_its_options_and_no_secret() -> None:
    files = configured() | {FOLDER + "bron.yaml": OWN}
    report = await run(files, commune="69029", weak=False)
    assert told(report) == []
    assert report.commune == ("69029", "Bron")
    assert [r.title for r in report.contracts[0].results if r.commune] == [
        "Avec les réglages de Bron"
    ]
    assert report.notices == ()


async def test_a_communes_options_without_a_case_are_noticed() -> None:
    report = await run(configured(), commune="69029", weak=False)
    assert report.passed()
    told = report.notices[0].what("fr")
    assert "aucun cas ne porte sur les réglages de la GRU main de 69029" in told


async def test_a_communes_own_case_bites() -> None:
    files = configured() | {FOLDER + "bron.yaml": OWN.replace("texte: Un trou.", "texte: Autre.")}
    report = await run(files, commune="69029", weak=False)
    assert any("texte : attendu « Autre. », obtenu « Un trou. »" in one for one in told(report))


async def test_a_case_gives_its_citizen_a_link() -> None:
    linked = """  - title: Un compte rattaché
    given: {link: {account: famille-1}}
    expect: {calls: [{POST: /demandes, has: {compte: famille-1}}]}
  - title: Une bordure, un fichier d'un autre champ reste
"""
    files = bundle(
        mapping=("submit:\n", "submit:\n  compte: link.account\n"),
        cases=("  - title: Une bordure, un fichier d'un autre champ reste\n", linked),
    )
    assert told(await run(files, weak=False)) == []
    bites = bundle(
        mapping=("submit:\n", "submit:\n  compte: link.identity\n"),
        cases=("  - title: Une bordure, un fichier d'un autre champ reste\n", linked),
    )
    assert any("compte" in one for one in told(await run(bites, weak=False)))


async def test_unknown_targets_are_named() -> None:
    with pytest.raises(NotFound, match="69266"):
        await run(configured(), commune="69266")
    with pytest.raises(NotFound, match="voirie"):
        await run(configured(), teleservice="absent")


async def test_options_that_the_adapter_refuses_are_told_at_the_bench() -> None:
    with pytest.raises(ConfigurationFault) as raised:
        await run(bundle(bench=("base_url: https", "base_urll: https")))
    assert all(f.file == FOLDER + "bench.yaml" and f.line == 3 for f in raised.value.faults)


async def test_comments_do_not_change_the_digest_and_values_do() -> None:
    (first,) = (await run(bundle(), weak=False)).contracts
    commented = bundle(mapping=("version: 3", "version: 3  # encore"))
    (same,) = (await run(commented, weak=False)).contracts
    (other,) = (await run(bundle(mapping=("version: 3", "version: 4")), weak=False)).contracts
    assert first.digest == same.digest != other.digest
    skipped = await run(bundle(), skip=lambda key, seen: seen == first.digest)
    assert (skipped.contracts, skipped.unchanged) == ((), (KEY,))
