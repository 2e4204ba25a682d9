"""Hostile calls to the sandbox, and hostile values on its page."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gateway.core.errors import GatewayError
from gateway.sandbox.exchanges import LONGEST, shown_part
from gateway.sandbox.listening import Listener
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


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ([], {}),
        ({"access_token": None}, {}),
        ({"access_token": "a"}, ["a"]),
        ({"access_token": "a"}, {"items": "a"}),
        ({"access_token": "a"}, {"items": [{"token": "a", "event": 7}]}),
        ({"access_token": "a"}, {"items": [None], "more": True}),
    ],
)
@pytest.mark.parametrize("feed", [False, True])
async def test_listen_says_that_what_answers_is_no_gateway(
    token: object, answer: object, feed: bool, tmp_path: Path
) -> None:
    def told(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=token if request.url.path.endswith("token") else answer)

    async with httpx.AsyncClient(transport=httpx.MockTransport(told)) as client:
        listener = Listener(
            gateway=client,
            local=client,
            base_url="http://ailleurs.invalid",
            client_id="69999.main",
            client_secret="x" * 30,
            target="http://ici.invalid",
            signing=("whsec_" + "QUFB" * 8,),
            show=lambda one: None,
            away=lambda status, seconds: listener.stop.set(),
            cursor=tmp_path / "lu" if feed else None,
        )
        with pytest.raises(GatewayError, match="no gateway"):
            await listener.run()
