"""The output of `check`: faults first, then warnings, each once; a screen for sixty communes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.check import _print
from gateway.cli.check_own import CheckLine
from gateway.core.errors import Fault
from gateway.core.messages import plain
from tests.cli.conftest import MAPPINGS, Home

WARNED = plain("nothing to try from here", "try it with a request")


@pytest.fixture
def sixty(home: Home) -> Catalogue:
    bundle = read_bundle(home.config, MAPPINGS)
    one = build(bundle, environ={}, secrets=NeededSecrets.NONE)
    bron = one.communes["69029"]
    gru = replace(next(iter(bron.grus.values())), name="main")
    codes = [f"69{n:03}" for n in range(60)]
    communes = {
        c: replace(bron, insee=c, name=f"C{c}", grus={"main": replace(gru, commune=c)})
        for c in codes
    }
    return replace(one, communes=communes)


def lines(catalogue: Catalogue, level: Literal["ok", "warning"] = "ok") -> list[CheckLine]:
    communes = catalogue.communes.values()
    return [CheckLine(one.grus["main"].lane_name, level, WARNED) for one in communes]


def test_sixty_communes_that_are_well_fit_on_a_screen(
    sixty: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    _print(sixty, (), tuple(lines(sixty)), offline=False, verbose=False)
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines() == [
        f"configuration: 1 portal, 60 communes, 60 routes, {len(sixty.mappings)} mappings",
        "far ends: 60 asked",
        "60 communes without fault or warning",
        "all well",
    ]
    _print(sixty, (), tuple(lines(sixty)), offline=False, verbose=True)
    assert len(capsys.readouterr().out.splitlines()) == 64


def test_the_same_warning_of_sixty_is_one_line_below_the_fault(
    sixty: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lines(sixty, "warning")
    found[30] = CheckLine(found[30].far_end, "fault", plain("nothing listens", "start it"))
    odd = Fault("config/communes/69000-x.yaml", 3, plain("has no route", "add one"))
    _print(sixty, (odd,), tuple(found), offline=False, verbose=False)
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "fault: gru:69030:main: nothing listens (start it)",
        "warning: gru:69000:main, gru:69001:main, gru:69002:main, 56 more (-v):"
        " nothing to try from here (try it with a request)",
        "warning: config/communes/69000-x.yaml:3: has no route (add one)",
    ]
    assert "C69000 (69000): no fault, 2 warnings" in told.out
    assert told.out.splitlines()[-1] == "1 fault, 60 warnings"
    _print(sixty, (odd,), tuple(found), offline=False, verbose=True)
    assert "gru:69059:main" in capsys.readouterr().err


def test_what_is_said_of_an_option_is_told_at_its_line(home: Home) -> None:
    file = home.config / "communes" / "decines.yaml"
    recorded = MAPPINGS / "signalement-anomalie" / "soap.cases"
    (home.config / "files").mkdir()
    for name in ("demandes.wsdl", "types.xsd"):
        (home.config / "files" / name).write_text((recorded / name).read_text("utf-8"), "utf-8")
    file.write_text(
        'commune: "69275"\nname: Décines-Charpieu\nportal: toodego\n'
        "gru:\n  main:\n    adapter: soap\n    options:\n"
        "      address: http://127.0.0.1:9/ws\n      wsdl_file: demandes.wsdl\n"
        "      create:\n        operation: creerDemandes\n        arguments: =payload\n",
        "utf-8",
    )
    told = home.run("check", "--lang", "fr")
    assert (
        f"{file}:11:9 : create.operation : le WSDL n'a pas d'opération creerDemandes"
        " (peut-être creerDemande)"
    ) in " ".join(told.stderr.split())


def test_what_the_gateway_itself_is_given_is_told_at_its_line(home: Home) -> None:
    settings = home.config / "gateway.yaml"
    more = (
        "antivirus: {address: tcp://127.0.0.1:9}\n"
        "mail:\n  host: 127.0.0.1\n  port: 9\n  from: passerelle@exemple.fr\n"
    )
    settings.write_text(more + settings.read_text("utf-8"), "utf-8")
    bron = home.config / "communes" / "69029-bron.yaml"
    told = home.run("check", "--lang", "fr").stderr
    assert f"anomalie : {settings}:1:1 : l'antivirus ne répond pas" in told
    assert f"anomalie : {settings}:4:3 : relais de courrier : " in told
    lines = told.splitlines()
    assert any(line.startswith(f"anomalie : {bron}:") for line in lines), "its GRU is away"
    assert not any("gru:69029" in line for line in lines)
    assert "Traceback" not in told
    far_ends = json.loads(home.run("check", "--json").stdout)["far_ends"]
    (relay,) = (one for one in far_ends if one["far_end"] == "mail")
    assert relay["place"] == f"{settings}:4:3"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("host: smtp://relais.exemple.fr", "a server's name alone"),
        ("host: relais.exemple.fr:587", "a server's name alone"),
        ("host: relais exemple", "a server's name alone"),
        ("host: relais.exemple.fr\n  port: 465", "perhaps `tls: implicit`"),
        ("host: relais.exemple.fr\n  port: 587\n  tls: implicit", "perhaps `tls: starttls`"),
    ],
)
def test_a_relay_that_is_written_as_something_else_is_told(
    home: Home, entry: str, said: str
) -> None:
    settings = home.config / "gateway.yaml"
    text = f"mail:\n  from: passerelle@exemple.fr\n  {entry}\n" + settings.read_text("utf-8")
    settings.write_text(text, "utf-8")
    told = home.run("check", "--offline").stderr
    line = 4 if "port" in entry and "fr:587" not in entry else 3
    assert f"{settings}:{line}:3: `mail." in told
    assert said in told
