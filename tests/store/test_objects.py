"""An S3 store that takes nothing says why, and what is deleted there leaves nothing behind.

The answers are those that Ceph's gateway (radosgw 16.2.15) gave, asked for each.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote

import pytest

from gateway.core.content import InMemory
from gateway.core.errors import Unavailable
from gateway.store.objects import Objects

OPTIONS = {"access_key_id": "cle", "secret_access_key": "geheim", "region": "ici"}
KEY = "prefixe/aa/aabb"
VERSIONS = f"""<?xml version="1.0" encoding="UTF-8"?>\
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>seau</Name>\
<Prefix>{KEY}</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><KeyMarker></KeyMarker>\
<VersionIdMarker></VersionIdMarker><DeleteMarker><Key>{KEY}</Key>\
<VersionId>pZGv8ERupL314iRNJKsl4g2tHJJ31ME</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
<Version><Key>{KEY}</Key><VersionId>zH5f1GFbrOMr7F64y1lCMS2gSEqjnMd</VersionId>\
<IsLatest>false</IsLatest><Size>5</Size><Type>Normal</Type></Version></ListVersionsResult>"""
UPLOADS = f"""<?xml version="1.0" encoding="UTF-8"?>\
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>seau</Bucket>\
<Upload><Key>{KEY}</Key><UploadId>2~FMzk5rGJEGXTq_1</UploadId></Upload>\
</ListMultipartUploadsResult>"""


class Far(BaseHTTPRequestHandler):
    """Refuses all, or keeps versions and uploads until each is deleted."""

    refuses: ClassVar[tuple[int, str] | None]
    lists: ClassVar[dict[str, str]]
    asked: ClassVar[list[str]]

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.asked.append(f"{self.command} {path}?{unquote(query)}")
        status, body = 200, ""
        if self.refuses:
            status, body = self.refuses[0], f"<Error><Code>{self.refuses[1]}</Code></Error>"
        elif query == "delete":
            deleted = f"<Deleted><Key>{KEY}</Key></Deleted>"
            body = f"<DeleteResult>{deleted}</DeleteResult>"
        elif self.command == "GET":
            body = next((text for name, text in self.lists.items() if name in query), "")
        elif found := re.search(r"(?:versionId|uploadId)=(.*)", unquote(query)):
            status = 204
            for name, text in self.lists.items():
                kind = "UploadId" if name == "uploads" else "VersionId"
                gone = f"<{kind}>{found[1]}</{kind}>"
                self.lists[name] = text.replace(gone, "")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_PUT = do_POST = do_GET = do_DELETE = handle_any  # noqa: N815 - http.server looks for these

    def log_message(self, *_: object) -> None: ...


@contextmanager
def answering(
    refuses: tuple[int, str] | None = None, lists: dict[str, str] | None = None
) -> Iterator[tuple[Objects, list[str]]]:
    class Handler(Far):
        asked: ClassVar[list[str]] = []

    Handler.refuses, Handler.lists = refuses, lists or {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield Objects("s3://seau/prefixe", {"endpoint": endpoint, **OPTIONS}), Handler.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (404, "NoSuchBucket", "no_bucket"),
        (403, "InvalidAccessKeyId", "no_key"),
        (403, "SignatureDoesNotMatch", "no_secret"),
        (403, "RequestTimeTooSkewed", "wrong_clock"),
        (403, "AccessDenied", "no_right"),
        (403, "", "objects_refuse"),
        (400, "MalformedXML", "objects_silent"),
    ],
)
async def test_why_a_bucket_takes_nothing(status: int, code: str, word: str) -> None:
    with answering((status, code)) as (objects, _):
        for call in (
            objects.put("aa/aabb", InMemory(b"un fichier")),
            objects.read("aa/aabb", 0, 3),
            objects.delete("aa/aabb"),
        ):
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.said.word == word
            assert "geheim" not in str(caught.value)


async def test_what_is_deleted_leaves_no_version_and_no_unfinished_upload() -> None:
    with answering(lists={"versions": VERSIONS, "uploads": UPLOADS}) as (objects, asked):
        assert objects.thorough
        await objects.delete("aa/aabb")
        ended = [line for line in asked if line.startswith("DELETE")]
        assert ended == [
            f"DELETE /seau/{KEY}?versionId=pZGv8ERupL314iRNJKsl4g2tHJJ31ME",
            f"DELETE /seau/{KEY}?versionId=zH5f1GFbrOMr7F64y1lCMS2gSEqjnMd",
            f"DELETE /seau/{KEY}?uploadId=2~FMzk5rGJEGXTq_1",
        ]
        assert asked[-1] == f"GET /seau?prefix={KEY}&uploads="


async def test_a_store_that_knows_neither_is_well() -> None:
    with answering((501, "NotImplemented")) as (objects, asked):
        bucket = objects.bucket
        assert bucket is not None
        bucket.end("aa/aabb")
        assert [line.split()[0] for line in asked] == ["GET", "GET"]


async def test_keys_that_are_not_ours_do_not_look() -> None:
    assert not Objects("s3://seau", {"region": "ici"}).thorough
