"""Removes what is left of a deleted object in an S3 bucket: its versions and unfinished uploads.

`obstore` knows neither, so this speaks the little of S3 that it takes:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html,
API_ListMultipartUploads.html, API_AbortMultipartUpload.html; signatures:
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import html
import http.client
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

#: Seconds of one call; bytes read of one answer; rounds of listing.
_PATIENCE: Final = 5.0
_MOST: Final = 1024 * 1024
_ROUNDS: Final = 20
_CODE: Final = re.compile(r"<Code>(\w{1,40})</Code>")
#: A store without versions or parts may not know the question.
_UNKNOWN: Final = frozenset({"NotImplemented", "MethodNotAllowed"})
_LISTED: Final = {"versions": "VersionId", "uploads": "UploadId"}


class BucketRefused(Exception):
    """The store refused; `code` is S3's own word, empty when it gave none."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def code_in(text: str) -> str:
    """Return S3's own word for a fault in this text; empty when there is none."""
    found = _CODE.search(text)
    return found[1] if found else ""


class Bucket:
    """A bucket and a prefix in it, with keys given as options."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        name, self._prefix = parts.netloc, parts.path.strip("/")
        self._region = options.get("region", "us-east-1")
        own = options.get("virtual_hosted_style_request", "").lower() == "true"
        aws = f"s3.{self._region}.amazonaws.com"
        endpoint = options.get("endpoint") or f"https://{f'{name}.{aws}' if own else aws}"
        to = urlsplit(endpoint)
        self._tls, self._host = to.scheme == "https", to.netloc
        self._base = to.path.rstrip("/") + ("" if own else f"/{name}")
        self._id, self._secret = options["access_key_id"], options["secret_access_key"]
        self._token = options.get("session_token")

    def end(self, place: str) -> None:
        """Remove every version and part of the deleted object at this place. Raises Refused and
        OSError; takes several calls."""
        key = f"{self._prefix}/{place}" if self._prefix else place
        for what, name in _LISTED.items():
            for _ in range(_ROUNDS):
                left = self._listed(what, name, key)
                if not left:
                    break
                for one in left:
                    self._call("DELETE", f"/{quote(key)}", {_parameter(name): one})
            else:
                raise BucketRefused("")

    def _listed(self, what: str, name: str, key: str) -> list[str]:
        try:
            said = self._call("GET", "", {what: "", "prefix": key})
        except BucketRefused as error:
            if error.code in _UNKNOWN:
                return []
            raise
        return [html.unescape(one) for one in re.findall(f"<{name}>([^<]+)</{name}>", said)]

    def _call(self, method: str, path: str, query: Mapping[str, str]) -> str:
        path = f"{self._base}{path}" or "/"
        asked = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, timeout=_PATIENCE)
        try:
            connection.request(method, f"{path}?{asked}", headers=self._signed(method, path, asked))
            answer = connection.getresponse()
            said = answer.read(_MOST).decode("utf-8", "replace")
        except http.client.HTTPException:
            raise ConnectionError from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise BucketRefused(code_in(said))
        return said

    def _signed(self, method: str, path: str, query: str) -> dict[str, str]:
        at = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        body = hashlib.sha256(b"").hexdigest()
        headers = {"host": self._host, "x-amz-content-sha256": body, "x-amz-date": at}
        if self._token:
            headers["x-amz-security-token"] = self._token
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{body}"
        scope = (at[:8], self._region, "s3", "aws4_request")
        within = "/".join(scope)
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{self._secret}".encode()
        for part in (*scope, f"AWS4-HMAC-SHA256\n{at}\n{within}\n{digest}"):
            key = hmac.digest(key, part.encode(), "sha256")
        return headers | {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self._id}/{within},"
            f" SignedHeaders={names}, Signature={key.hex()}"
        }


def _parameter(name: str) -> str:
    """Return the name as a query has it: `versionId`."""
    return name[0].lower() + name[1:]
