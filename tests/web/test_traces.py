"""Traces, from the portal's push to its hook, as a collector reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gateway.core.tracing import root_of
from gateway.wire import otlp
from gateway.wire.clients import open_client
from gateway.wire.otlp import Span, SpanExporter
from tests.web.harness import MARKER, Gateway, anomaly, bundle, gateway, small
from tests.web.test_events import at_work, until

COLLECTOR = "http://collecteur.exemple.invalid:4318/v1/traces"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Collector:
    """Reads what it is sent as the protocol's own classes do."""

    calls: list[httpx.Request] = field(default_factory=list)
    answer: Callable[[int], httpx.Response] = lambda n: httpx.Response(200)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        return self.answer(len(self.calls))

    def spans(self) -> dict[str, Any]:
        """Return the spans by name and id."""
        found = {}
        for call in self.calls:
            assert call.headers["content-type"] == "application/x-protobuf"
            told = ExportTraceServiceRequest()
            told.ParseFromString(call.content)
            for resource in told.resource_spans:
                assert _values(resource.resource.attributes)["service.name"] == "gru-gateway"
                for scope in resource.scope_spans:
                    found.update({f"{one.name} {one.span_id.hex()}": one for one in scope.spans})
        return found

    def named(self, name: str) -> Any:
        (one,) = [span for key, span in self.spans().items() if key.rpartition(" ")[0] == name]
        return one


def _values(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in attributes
    }


@asynccontextmanager
async def traced(
    folder: Path, template: Path, collector: Collector, more: str = "", share: float = 1.0
) -> AsyncIterator[Gateway]:
    files = bundle(folder)
    files["config/gateway.yaml"] += (
        f"traces: {{endpoint: '{COLLECTOR}', share: {share:.9f}{more}}}\n"
    )
    async with gateway(folder, template, files=files) as gw:
        gw.portal.post(COLLECTOR).mock(side_effect=collector)
        gw.portal.post(url__regex=".*/hooks/.*").respond(200, json={"err": 0})
        gw.portal.get(url__regex=".*").respond(404, json={"err": 1})
        yield gw


async def _reported(gw: Gateway) -> None:
    """Wait until the portal's hook was called, and all that this led to is over."""

    async def called() -> bool:
        return any("/hooks/" in call.request.url.path for call in gw.portal.calls)

    async def idle() -> bool:
        return not any(lane.calls for lane in gw.engine.lanes.views())

    await until(called)
    await until(idle)


async def test_one_trace_follows_a_request_to_the_gru_and_back(
    tmp_path: Path, template: Path
) -> None:
    collector = Collector()
    async with traced(tmp_path, template, collector) as gw:
        pushed = await gw.push(anomaly())
        reference = pushed.json()["data"]["id"]
        async with at_work(gw):
            await _reported(gw)
    spans = collector.spans()
    root = root_of(reference, None)
    assert {one.trace_id.hex() for one in spans.values()} == {root.trace_id}
    first = collector.named("request")
    assert (first.span_id.hex(), first.parent_span_id) == (root.span_id, b"")
    submit, report = collector.named("submit"), collector.named("report")
    assert submit.parent_span_id == report.parent_span_id == first.span_id
    for name, whole in (("attempt submit", submit), ("attempt report", report)):
        attempt = collector.named(name)
        assert attempt.parent_span_id == whole.span_id
        told = _values(attempt.attributes)
        assert told["gateway.request"] == reference
        assert told["gateway.attempt"] == 1
        assert whole.start_time_unix_nano <= attempt.start_time_unix_nano
        assert attempt.end_time_unix_nano <= whole.end_time_unix_nano
    waits = [one for one in spans.values() if one.name == "wait"]
    assert {one.parent_span_id for one in waits} == {submit.span_id, report.span_id}
    # The portal is told where its hook belongs, which is the attempt's span.
    (hook,) = [call.request for call in gw.portal.calls if "/hooks/" in call.request.url.path]
    reported = collector.named("attempt report").span_id.hex()
    assert hook.headers["traceparent"] == f"00-{root.trace_id}-{reported}-01"
    # And nobody is named.
    sent = b"".join(call.content for call in collector.calls)
    for word in (MARKER.encode(), b"zoe@", b"Un nid de poule", b"description"):
        assert word not in sent


async def test_a_callers_trace_is_gone_on_with_after_a_restart(
    tmp_path: Path, template: Path
) -> None:
    before, after = Collector(), Collector()
    async with traced(tmp_path, template, before) as gw:
        header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        path = gw.signed("/portal/v1/communes/69029/teleservices/signalement-anomalie/requests")
        assert (await gw.client.post(path, json=anomaly(), headers=header)).status_code == 201
    assert [one.name for one in before.spans().values()] == ["request"]
    async with traced(tmp_path, template, after) as gw, at_work(gw):
        await _reported(gw)
    first = before.named("request")
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, CALLER)
    assert {one.trace_id.hex() for one in after.spans().values()} == {TRACE}
    assert after.named("submit").parent_span_id == first.span_id


async def test_a_stranger_and_a_bad_header_name_no_trace(tmp_path: Path, template: Path) -> None:
    collector = Collector()
    async with traced(tmp_path, template, collector) as gw:
        path = "/portal/v1/communes/69029/teleservices/signalement-anomalie/requests"
        header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        refused = await gw.client.post(path, json=small(), headers=header)
        assert refused.status_code == 401
        bad = {b"traceparent": f"00-{TRACE}-{CALLER}-01\u00e9".encode("latin-1")}
        assert (await gw.client.post(gw.signed(path), json=small(), headers=bad)).status_code == 201
    (span,) = collector.spans().values()
    assert span.trace_id.hex() != TRACE


async def test_a_repeated_push_and_a_later_event_are_spans_of_their_own(
    tmp_path: Path, template: Path
) -> None:
    collector = Collector()
    async with traced(tmp_path, template, collector) as gw:
        for _ in range(2):
            await gw.push(small())
    first, again = collector.named("request"), collector.named("push")
    assert again.parent_span_id == first.span_id
    assert again.trace_id == first.trace_id


@pytest.mark.parametrize(
    ("more", "told"), [("", {"portal"}), (", pass_on: [gru]", {"gru"}), (", pass_on: []", set())]
)
async def test_far_ends_are_told_as_the_settings_say(
    tmp_path: Path, template: Path, more: str, told: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str | None] = {}
    async with traced(tmp_path, template, Collector(), more) as gw:
        memo = gw.memo()
        submit = memo.submit

        async def asking(submission: Any) -> Any:
            await memo.context.client.get("https://gru.exemple.invalid/probe")
            return await submit(submission)

        monkeypatch.setattr(memo, "submit", asking)
        await gw.push(anomaly())
        async with at_work(gw):
            await _reported(gw)
        for call in gw.portal.calls:
            if call.request.url.path == "/probe":
                seen["gru"] = call.request.headers.get("traceparent")
            elif "/hooks/" in call.request.url.path:
                seen["portal"] = call.request.headers.get("traceparent")
    assert seen.keys() == {"gru", "portal"}
    assert {name for name, header in seen.items() if header} == told


async def test_a_share_of_none_is_a_trace_of_nothing(tmp_path: Path, template: Path) -> None:
    collector = Collector()
    async with traced(tmp_path, template, collector, share=1.0e-9) as gw:
        await gw.push(anomaly())
        async with at_work(gw):
            await _reported(gw)
    assert collector.calls == []


async def test_a_collector_that_hangs_slows_nobody_and_is_counted(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "QUEUE", 3)
    async with traced(tmp_path, template, Collector()) as gw:
        hung = asyncio.Event()

        async def hangs(request: httpx.Request) -> httpx.Response:
            await hung.wait()
            return httpx.Response(200)

        gw.portal.post(COLLECTOR).mock(side_effect=hangs)
        for n in range(6):
            assert (await gw.push(small(str(n)))).status_code == 201
        scraped = (await gw.client.get("/ops/metrics")).text
        assert 'gru_gateway_trace_spans{result="dropped"}' in scraped
        assert 'gru_gateway_trace_spans{result="dropped"} 0.0' not in scraped
        hung.set()


def _span(n: int) -> Span:
    return Span("x", "INTERNAL", TRACE, f"{n + 1:016x}", None, 1, 2)


@asynccontextmanager
async def _exporter(answer: Callable[[int], httpx.Response]) -> AsyncIterator[SpanExporter]:
    router = respx.MockRouter(assert_all_called=False)
    router.post(COLLECTOR).mock(side_effect=Collector(answer=answer))
    transport = httpx.MockTransport(router.async_handler)
    client = open_client(timeout=1.0, connections=1, transport=transport)
    async with client:
        yield SpanExporter(client, COLLECTOR, {"authorization": "secret"}, {}, gather=0)


async def _done(exporter: SpanExporter) -> bool:
    return exporter.counts["sent"] > 0


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (httpx.Response(200), {"sent": 5}),
        (httpx.Response(200, content=b"\xff" * 100), {"sent": 5}),
        (httpx.Response(200, content=b"x" * 10_000_000), {"lost": 5}),
        (httpx.Response(400), {"lost": 5}),
        (httpx.Response(401), {"lost": 5}),
        (httpx.Response(302, headers={"location": "http://ailleurs.invalid/"}), {"lost": 5}),
        (httpx.Response(503), {"lost": 5}),
        (
            httpx.Response(
                200,
                content=ExportTraceServiceResponse(
                    partial_success=ExportTracePartialSuccess(rejected_spans=2)
                ).SerializeToString(),
            ),
            {"sent": 3, "lost": 2},
        ),
    ],
)
async def test_whatever_a_collector_answers_is_counted(
    answer: httpx.Response, counts: Mapping[str, int]
) -> None:
    async with _exporter(lambda n: answer) as exporter:
        exporter.offer([_span(n) for n in range(5)])
        await exporter.flush(5.0)
    assert +exporter.counts == counts


async def test_a_collector_that_is_away_gets_them_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "_DELAYS", (0.0,))
    away = {1: httpx.Response(503), 2: httpx.Response(429, headers={"retry-after": "x"})}
    async with _exporter(lambda n: away.get(n, httpx.Response(200))) as exporter:
        exporter.offer([_span(n) for n in range(5)])
        running = asyncio.create_task(exporter.run())
        await until(lambda: _done(exporter))
        running.cancel()
    assert +exporter.counts == {"sent": 5}


async def test_what_was_under_way_at_a_stop_is_sent_by_the_flush() -> None:
    async with _exporter(lambda n: httpx.Response(200)) as exporter:
        exporter.offer([_span(n) for n in range(5)])
        running = asyncio.create_task(exporter.run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await exporter.flush(5.0)
    assert +exporter.counts == {"sent": 5}
