"""What a stranger sends to the sandbox, and what its page shows of hostile values."""

from __future__ import annotations

from pathlib import Path

from gateway.sandbox.exchanges import LONGEST, shown_part
from tests.sandbox.town import open_town

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_what_cannot_be_read_is_refused_and_nothing_fails(
    tmp_path: Path, template: Path
) -> None:
    async with open_town(tmp_path, template) as town:
        for headers in ({"Host": "[::1"}, {"Origin": "http://["}, {"Origin": "null"}):
            answer = await town.client.post("/sandbox/act", headers=headers, data={"case": "plain"})
            assert answer.status_code == 403, headers
        for form, status in (
            ("seconds=%C2%B2", 422),
            ("seconds=" + "9" * 5000, 422),
            ("seconds=9999999999", 422),
            ("&".join(["a=1"] * 21), 400),
        ):
            answer = await town.client.post("/sandbox/act", content=form, headers=_FORM)
            assert answer.status_code == status, form[:40]
            assert answer.json()["detail"]
        for seconds in ("9" * 400, "1e999", "-1", "true"):
            answer = await town.client.post(
                "/sandbox/v1/clock", content=f'{{"seconds": {seconds}}}'
            )
            assert answer.status_code == 422, seconds[:40]
        assert town.sandbox.requests == []


def test_what_acts_on_a_screen_is_shown_as_what_it_is() -> None:
    told = shown_part(
        "POST /\x00\u202e", [("X-\x1b", "a\x9b\u2066")], "1\r\n2\n\u202e\x1b[31m\tx".encode()
    )
    assert told.first == "POST /\\u0000\\u202e"
    assert told.headers == (("X-\\u001b", "a\\u009b\\u2066"),)
    assert told.body == "1\n2\n\\u202e\\u001b[31m\tx"


def test_a_large_file_is_told_by_its_size_and_a_large_text_by_its_beginning() -> None:
    assert shown_part("", (), b"\x89PNG\xff" * LONGEST).body == f"({5 * LONGEST} bytes)"
    text = "é" * LONGEST  # cut within a character
    told = shown_part("", (), b"x" + text.encode())
    assert told.cut
    assert told.body == "x" + "é" * ((LONGEST - 1) // 2)
