"""An S3 store that takes nothing says why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.core.content import InMemory
from gateway.core.errors import Unavailable
from gateway.store.objects import Objects


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    body = f"<Error><Code>{code}</Code></Error>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "NoSuchBucket", "has no such bucket"),
        (403, "InvalidAccessKeyId", "refuses us: its key"),
        (403, "RequestTimeTooSkewed", "our clock"),
        (401, "AccessDenied", "refuses us"),
        (400, "MalformedXML", "does not answer"),
    ],
)
async def test_why_a_bucket_takes_nothing(status: int, code: str, said: str) -> None:
    with answering(status, code) as endpoint:
        options = {"access_key_id": "cle", "secret_access_key": "geheim", "region": "ici"}
        objects = Objects("s3://seau/prefixe", {"endpoint": endpoint, **options})
        with pytest.raises(Unavailable, match=said) as caught:
            await objects.put("aa/aabb", InMemory(b"un fichier"))
    assert "geheim" not in str(caught.value)
