"""The table by which w.c.s. judges our answers: their `err` before their status."""

from __future__ import annotations

import httpx
import pytest

from gateway.sim.wscall import CALL_FAILURES, AnswerClass, adopted_number, judge, post, stored

J = AnswerClass


@pytest.mark.parametrize(
    ("status", "headers", "content", "judgement", "app_error", "goes_on"),
    [
        (200, {}, b'{"err": 0, "data": {}}', J.OK, 0, True),
        (201, {}, b"{}", J.OK, 0, True),
        (204, {}, b"", J.OK, 0, True),
        (200, {}, b'{"err": 1}', J.APPLICATION_ERROR, 1, True),
        (200, {}, b'{"err": "12"}', J.APPLICATION_ERROR, 12, True),
        (200, {}, b'{"err": "plein"}', J.APPLICATION_ERROR, "plein", True),
        (200, {}, b'[{"err": 1}]', J.OK, 0, True),
        (200, {"X-Error-Code": "0"}, b'{"err": 1}', J.OK, 0, True),
        (200, {"X-Error-Code": "3"}, b'{"err": 0}', J.APPLICATION_ERROR, 3, True),
        (200, {"X-Error-Code": "ko"}, b"pas du json", J.APPLICATION_ERROR, "ko", True),
        (200, {}, b"<html>", J.BAD_DATA, 0, True),
        (200, {}, b"", J.BAD_DATA, 0, True),
        (400, {}, b'{"err": 1}', J.APPLICATION_ERROR, 1, True),
        (503, {}, b'{"err": 1}', J.APPLICATION_ERROR, 1, True),
        (503, {"X-Error-Code": "0"}, b'{"err": 1}', J.HTTP_5XX, 0, False),
        (503, {}, b'{"err_desc": "x"}', J.HTTP_5XX, 0, False),
        (403, {}, b"", J.HTTP_4XX, 0, False),
        (409, {"X-Error-Code": "0"}, b"{}", J.HTTP_4XX, 0, False),
        (500, {}, b'{"err": 0}', J.HTTP_5XX, 0, False),
        (503, {}, b"", J.HTTP_5XX, 0, False),
    ],
)
def test_judgement(
    status: int,
    headers: dict[str, str],
    content: bytes,
    judgement: AnswerClass,
    app_error: int | str,
    goes_on: bool,
) -> None:
    verdict = judge(status, httpx.Headers(headers), content)
    assert (verdict.judgement, verdict.app_error, verdict.goes_on) == (
        judgement,
        app_error,
        goes_on,
    )


@pytest.mark.parametrize("failure", CALL_FAILURES)
async def test_no_failure_of_the_network_leaves_a_call(failure: type[Exception]) -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        raise failure("made by the test")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fails)) as client:
        verdict = await post("https://exemple.invalid/x", {}, {}, client)
    assert verdict.judgement is J.NETWORK_ERROR


def test_what_is_stored() -> None:
    good = judge(200, {}, b'{"err": 0, "data": {"id": "42"}}')
    assert stored("gw", good, "T") == {
        "gw_status": 200,
        "gw_app_error_code": 0,
        "gw_time": "T",
        "gw_response": {"err": 0, "data": {"id": "42"}},
    }
    bad = judge(503, {}, b'{"err": 1}')
    assert "gw_response" not in stored("gw", bad, "T")
    assert stored("gw", bad, "T")["gw_error_response"] == {"err": 1}
    assert stored("gw", judge(204, {}, b""), "T").keys() == {
        "gw_status",
        "gw_app_error_code",
        "gw_time",
    }


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b'{"err": 0, "data": {"display_id": "TDG-1"}}', "TDG-1"),
        (b'{"err": 0, "display_id": 7}', "7"),
        (b'{"err": 0, "data": {"id": "7"}}', None),
        (b'{"err": 1, "data": {"display_id": "TDG-1"}}', None),
        (b"[]", None),
    ],
)
def test_adopted_number(content: bytes, number: str | None) -> None:
    assert adopted_number(judge(200, {}, content)) == number
