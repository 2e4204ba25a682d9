"""The time of releases of N communes by the command line: `python -m tests.bench.releases`.

Each commune has three routes (two GRUs) over the shipped mappings. Every command is a process of
its own, as an operator starts it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.bench.bundle import ENVIRON, ROOT, SLUG, insee

_SCHOOL = "inscription-scolaire"
_SHARED = f"{SLUG}/rest.yaml"
_SIGNED = ("--by", "Ana Inventée", "--function", "DGS", "--means", "courrier")


def write(folder: Path, communes: int) -> None:
    """The configuration of `communes` communes, the shipped mappings beside it."""
    places = folder / "config" / "communes"
    places.mkdir(parents=True)
    settings = {
        "data_dir": str(folder / "var"),
        "portals": {
            "toodego": {
                "base_url": "https://portail.exemple.invalid",
                "environment": "test",
                "orig": "passerelle",
                "key": "env:PORTAL_KEY",
                "callers": [{"orig": "toodego", "key": "env:PUSH_KEY"}],
                "teleservices": {
                    slug: {"commune": "fields.commune_raw"} for slug in (SLUG, _SCHOOL)
                },
            }
        },
    }
    (folder / "config" / "gateway.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    for n in range(communes):
        text = yaml.safe_dump(_commune(n), allow_unicode=True, sort_keys=False)
        (places / f"{insee(n)}.yaml").write_text(text, "utf-8")
    shutil.copytree(ROOT / "mappings", folder / "mappings")


def _commune(n: int) -> dict[str, object]:
    address = f"https://gru-{insee(n)}.exemple.invalid"
    rest = {
        "adapter": "rest",
        "environment": "test",
        "poll": None,
        "options": {
            "base_url": address,
            "auth": {"kind": "header", "name": "X-Api-Key", "value": "env:GRU_KEY"},
            "create": {"path": "/api/tickets", "reference": "ticket.id"},
        },
    }
    open311 = {
        "adapter": "open311",
        "environment": "test",
        "options": {"endpoint": f"{address}/open311/v2", "api_key": "env:GRU_KEY"},
    }
    odd = n % 2 == 1
    return {
        "commune": insee(n),
        "name": f"Commune {n}",
        "portal": "toodego",
        "contacts": {"technical": f"dsi-{insee(n)}@exemple.invalid"},
        "gru": {"outil": rest, "voirie": open311} if odd else {"outil": rest},
        "routes": {
            SLUG: {"gru": "voirie", "mapping": f"{SLUG}/open311"}
            if odd
            else {"gru": "outil", "mapping": f"{SLUG}/rest"},
            _SCHOOL: {"gru": "outil", "mapping": f"{_SCHOOL}/rest"},
        },
    }


class _Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, what: str, *arguments: str) -> str:
        """One command, timed; its standard output."""
        where = ("--config", self.folder / "config", "--mappings", self.folder / "mappings")
        begun, cpu = time.monotonic(), _cpu()
        done = subprocess.run(
            [Path(sys.executable).with_name("gru-gateway"), *arguments, *where],
            env=os.environ | ENVIRON,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = len(done.stdout.splitlines())
        seconds, cpu = time.monotonic() - begun, _cpu() - cpu
        print(
            f"{what:<32} {seconds:7.1f} s  CPU {cpu:5.1f} s  exit {done.returncode}  {lines} lines",
            flush=True,
        )
        return done.stdout

    def sign(self, communes: int, *, one_by_one: bool) -> None:
        begun = time.monotonic()
        chosen = [insee(n) for n in range(communes)]
        if one_by_one:
            for one in chosen:
                self.run(f"sign {one}", "release", "sign", one, *_SIGNED)
        else:
            self.run("sign all", "release", "sign", *chosen, *_SIGNED)
        print(f"{'signing':<32} {time.monotonic() - begun:7.1f} s", flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Refuse, sign, apply, change a shared line, plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communes", type=int, default=60)
    parser.add_argument("--one-by-one", action="store_true", help="sign commune by commune")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="releases-") as name:
        place = _Place(Path(name))
        write(place.folder, asked.communes)
        place.run("db upgrade", "db", "upgrade")
        place.run("refuse unsigned", "release", "apply")
        place.sign(asked.communes, one_by_one=asked.one_by_one)
        place.run("apply", "release", "apply")
        place.run("apply, nothing new", "release", "apply")
        shared = place.folder / "mappings" / _SHARED
        text = shared.read_text("utf-8")
        shared.write_text(text.replace("max_length: 120", "max_length: 90"), "utf-8")
        place.run("plan, one shared line changed", "release", "plan")
        place.run("list", "release", "list")
        place.run("verify", "release", "verify")
        place.run("commune list", "commune", "list")


if __name__ == "__main__":
    main()
