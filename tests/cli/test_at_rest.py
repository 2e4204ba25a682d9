"""Files on disk are for the gateway's own account, and where the configuration says."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import only_process
from gateway.catalogue.catalogue import Settings
from gateway.cli.setting import MAPPINGS, load_settings
from gateway.core.errors import GatewayError
from gateway.flow.erased_accounts import AccountHasher
from gateway.ops.at_rest import open_to_others
from gateway.store.engine import Database
from gateway.wire.spool import Spool
from tests.cli.conftest import Home


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _settings(home: Home) -> Settings:
    return load_settings(home.config, MAPPINGS).settings


def _modes(folder: Path) -> dict[str, str]:
    return {one.name: oct(stat.S_IMODE(one.stat().st_mode)) for one in folder.iterdir()}


def test_all_that_is_made_is_for_nobody_else(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    settings = _settings(home)
    database = Database(settings.database.get_secret_value())
    AccountHasher(settings).hash_of("0123456789abcdef")
    try:
        with only_process(settings.data_dir):
            Spool(settings.data_dir).close()
            with database.engine.begin():
                assert set(_modes(settings.data_dir).values()) == {"0o600"}
                assert len(_modes(settings.data_dir)) >= 4
        assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
        assert open_to_others(settings) == []
    finally:
        database.close()


def test_what_others_may_read_is_told_with_its_remedy(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    data_dir = _settings(home).data_dir
    data_dir.chmod(0o755)
    (data_dir / "gateway.db").chmod(0o644)
    told = [(one.file, one.remedy) for one in open_to_others(_settings(home))]
    file = data_dir / "gateway.db"
    assert told == [
        (str(data_dir), f"chmod 700 {data_dir}"),
        (str(file), f"chmod 600 {file}"),
    ]
    assert f"chmod 600 {file}" in home.run("check", "--offline").stderr


def test_a_relative_data_folder_is_one_of_the_configuration(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.replace("gateway.yaml", f"data_dir: {home.folder}/var", "data_dir: var")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mappings = str(MAPPINGS.absolute())
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GRU_GATEWAY_MAPPINGS", mappings)
    assert home.run("db", "upgrade").exit_code == 0
    assert (home.config / "var" / "gateway.db").is_file()
    assert list(elsewhere.iterdir()) == []

    # As an earlier version has left it: in the folder where it was started.
    shutil.move(home.config / "var", elsewhere / "var")
    with pytest.raises(GatewayError, match=str(elsewhere / "var" / "gateway.db")):
        load_settings(home.config, Path(mappings))
