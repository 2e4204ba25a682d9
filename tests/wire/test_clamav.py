"""The virus scanner's answers: whatever is no plain answer lets nothing through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.content import InMemory
from gateway.core.errors import Unavailable
from gateway.flow.antivirus import try_scanner
from gateway.wire.clamav import BadScannerAddress, Clamd
from tests.adapters.mail_servers import listening
from tests.clamd import EICAR, SimulatedClamd


async def scanned(server: SimulatedClamd, content: bytes, timeout: float = 10) -> str | None:
    async with listening(server.serve) as port:
        return await Clamd(f"tcp://127.0.0.1:{port}", timeout).scan(InMemory(content))


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 600_000])
async def test_a_file_arrives_whole_and_what_is_in_it_is_found(size: int) -> None:
    server = SimulatedClamd()
    assert await scanned(server, b"x" * size) is None
    assert await scanned(server, b"x" * size + EICAR) == "Eicar-Ndb.UNOFFICIAL"
    assert [len(one) for one in server.seen] == [size, size + len(EICAR)]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (b"", "clamd_slow"),
        (b"stream: OK", "clamd_away"),
        (b"\0", "clamd_strange"),
        (b"stream: OK \n autre\0", "clamd_strange"),
        (b"stream: Can't allocate memory ERROR\0", "clamd_strange"),
        (b"OK\0", "clamd_strange"),
        (b"x" * 10_000, "clamd_away"),
    ],
)
async def test_no_other_answer_lets_a_file_through(said: bytes, word: str) -> None:
    with pytest.raises(Unavailable) as raised:
        await scanned(SimulatedClamd(instead=said), b"abc", timeout=0.2 if not said else 10)
    assert raised.value.said.word == word
    assert raised.value.said.what("fr") != raised.value.said.what()


async def test_a_file_that_was_not_seen_to_its_end_is_not_clean() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(b"stream: OK\0")
        await writer.drain()
        await reader.read(1)
        writer.close()

    async with listening(hasty) as port:
        with pytest.raises(Unavailable):
            await Clamd(f"tcp://127.0.0.1:{port}", 10).scan(InMemory(b"x" * 20_000_000))


async def test_with_more_details_the_name_is_the_same() -> None:
    said = b"stream: Eicar-Ndb.UNOFFICIAL(44d88612fea8a8f36de82e1278abb02f:68) FOUND\0"
    assert await scanned(SimulatedClamd(instead=said), b"abc") == "Eicar-Ndb.UNOFFICIAL"


async def test_a_file_that_is_larger_than_it_takes_is_told_as_such() -> None:
    with pytest.raises(Unavailable) as raised:
        await scanned(SimulatedClamd(largest=300_000), b"x" * 3_000_000)
    assert raised.value.said.word == "clamd_small"


async def test_a_socket_of_a_file_and_one_that_is_not_there(tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/c"
    with pytest.raises(Unavailable):
        await Clamd(place, 5).scan(InMemory(b"x"))
    server = await asyncio.start_unix_server(SimulatedClamd().serve, tmp_path / "c")
    async with server:
        assert await Clamd(place, 5).scan(InMemory(EICAR)) is not None


async def test_check_sees_one_that_is_blind_and_one_that_takes_too_little() -> None:
    async with listening(SimulatedClamd(blind=True).serve) as port:
        assert await try_scanner(Clamd(f"tcp://127.0.0.1:{port}", 5), 10) == ("ClamAV 1.4.6", False)
    async with listening(SimulatedClamd().serve) as port:
        assert await try_scanner(Clamd(f"tcp://127.0.0.1:{port}", 5), 10) == ("ClamAV 1.4.6", True)
    async with listening(SimulatedClamd(largest=9).serve) as port:
        with pytest.raises(Unavailable):
            await try_scanner(Clamd(f"tcp://127.0.0.1:{port}", 5), 10)


@pytest.mark.parametrize(
    "address",
    [
        "clamd",
        "unix:relatif",
        "unix:",
        "tcp://hote",
        "tcp://h:0",
        "tcp://h:99999",
        "http://h:1",
        "tcp://moi@h:1",
        "tcp://h:1/x",
        "tcp:///x:1",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadScannerAddress):
        Clamd(address, 1)
