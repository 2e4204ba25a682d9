"""The chapter for vendors: its commands run as they stand, and its table is that of the code."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from gateway.sandbox.cases import PAGES, PUSH, all_cases, with_cases
from gateway.sandbox.cases import say as cases
from gateway.sandbox.files import CLIENT_ID
from gateway.sandbox.gate import OPERATIONS
from gateway.sandbox.http import SandboxApp
from gateway.sim.server import run_server
from gateway.web.pivot import pivot_router
from gateway.web.pivot_document import pivot_openapi
from gateway.web.pivot_problems import BY_WORD
from tests.life import ROOT
from tests.sandbox.town import open_town

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def test_the_tables_are_those_of_the_code() -> None:
    for name, language in PAGES.items():
        page = (ROOT / name).read_text("utf-8")
        assert with_cases(page, language) == page, "python -m gateway.sandbox.cases ."


def test_both_languages_have_the_same_commands() -> None:
    found = {name: _BLOCK.findall((ROOT / name).read_text("utf-8")) for name in PAGES}
    english, french = found.values()
    assert english == french
    assert len(english) == 6


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_commands_of_the_chapter_run(tmp_path: Path, template: Path) -> None:
    page = (ROOT / "docs/pivot/sandbox.md").read_text("utf-8")
    script = "set -euo pipefail\n" + "".join(_BLOCK.findall(page))
    async with (
        open_town(tmp_path, template) as town,
        run_server(SandboxApp(town.sandbox)) as running,
    ):
        settings = {
            "BASE": running.url,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": town.sandbox.secrets.client,
            "no_proxy": "*",
        }
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await shell.communicate()
        failed = [one for one in town.sandbox.ledger.exchanges if one.verdict == "failed"]
    assert shell.returncode == 0, (said.decode(), failed[:1])
    assert failed == []


def test_no_case_has_the_name_of_a_problem() -> None:
    assert not cases.texts.keys() & BY_WORD.keys()
    assert len(all_cases()) == len(cases.texts) + len(BY_WORD)
    assert cases.texts.keys() >= PUSH


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_case_says_what_to_do(language: str) -> None:
    for one in all_cases().values():
        assert one.text.what("fr" if language == "fr" else "en"), one.word
        assert one.text.remedy("fr" if language == "fr" else "en"), one.word


def test_every_operation_of_the_contract_is_known_at_the_gate() -> None:
    nobody: object = None
    document = pivot_openapi(pivot_router(nobody))  # type: ignore[arg-type]
    named = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert named == set(OPERATIONS)
