"""Carries the calls: HTTP by the standard library, a token that is renewed, bounds on all of it."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from toodego_pivot.models import AccessToken, PivotFailure, PivotFile
from toodego_pivot.reading import Unreadable

#: Bytes of an answer; one with a hundred messages and their small files has room.
LARGEST_ANSWER = 64_000_000
#: A token that has so many seconds left is renewed.
_MARGIN = 60
#: A token is used for so many seconds at most, whatever its answer says.
_LONGEST_LIFE = 86_400
#: What a header and an address may bear as it stands (RFC 6750, 2.1; RFC 3986).
_TOKEN = re.compile(r"[!-~]{1,8000}\Z")
_ADDRESS = re.compile(r"https?://[!-~]+\Z", re.IGNORECASE)
#: Reads of one file before it is given up.
_TRIES = 4
_PIECE = 65_536


class PivotError(Exception):
    """A call that failed. `again`: seconds after which the same call is worth making; None: never
    as it is."""

    again: float | None = None


class Unreachable(PivotError):
    """Nobody answered, or the answer did not come whole: whether the call counted is not known.
    Make it again; a key, an id or a token sees to it that it counts once."""

    again = 5.0


class Broken(PivotError):
    """A file that did not come whole, or whose bytes are not those that the message names."""

    again = 30.0


class Problem(PivotError):
    """The gateway said no. `failure` is its answer (RFC 9457), where it is one of the contract."""

    def __init__(self, status: int, failure: PivotFailure | None, again: float | None) -> None:
        word = "" if failure is None else f", {failure.type.rpartition(':')[2]}: {failure.detail}"
        super().__init__(f"HTTP {status}{word}")
        self.status = status
        self.failure = failure
        self.again = again


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Lets a redirection be an answer: a token goes nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Transport:
    """Makes calls at `base_url` (`https://passerelle.example`) for one client (`69029.main`).

    `timeout`: seconds without a byte. Not for use by several threads at once.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout: float = 60.0
    _token: str = field(default="", init=False, repr=False)
    _token_until: float = field(default=0.0, init=False, repr=False)
    _opener: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(_NoRedirect), init=False, repr=False
    )

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, int] | None = None,
    ) -> Mapping[str, Any]:
        """Make a call with a token and return the JSON of its answer.

        Raises Problem, Unreachable, Unreadable.
        """
        address = path + (f"?{urlencode(query)}" if query else "")
        for again in (True, False):
            headers = {"Authorization": f"Bearer {self._bearer()}", "Accept": "application/json"}
            data = None
            if body is not None:
                headers["Content-Type"] = "application/json"
                data = json.dumps(body, ensure_ascii=False).encode()
            try:
                return _object(self._send(method, address, headers, data))
            except Problem as problem:
                if problem.status != 401 or not again:
                    raise
                self._token = ""  # the gateway does not know it any more: ask for another, once
        raise AssertionError("not reached")

    def download(self, file: PivotFile, into: IO[bytes]) -> None:
        """Write the bytes of a file that a message names, whole and proven by their SHA-256.

        A read that breaks goes on where it was. Raises Broken, Problem, Unreadable.
        """
        if not _is_address(file.url or ""):
            raise Unreadable("`url` is no address of the web: are the bytes in `content`?")
        for _ in range(_TRIES):
            try:
                self._read_on(file, into)
            except Unreachable:
                continue
            if into.tell() >= file.size:
                break
        _see_whole(file, into)

    def _read_on(self, file: PivotFile, into: IO[bytes]) -> None:
        at = into.tell()
        request = urllib.request.Request(file.url or "", method="GET")
        if at:
            request.add_header("Range", f"bytes={at}-")
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                if at and answer.status != 206:
                    into.seek(0)
                    into.truncate()
                while piece := answer.read(_PIECE):
                    into.write(piece)
                    if into.tell() > file.size:
                        return
        except urllib.error.HTTPError as error:
            _refused(error)
        except (OSError, http.client.HTTPException, UnicodeError):
            raise Unreachable("the file did not come whole") from None

    def _bearer(self) -> str:
        if self._token and time.monotonic() < self._token_until:
            return self._token
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        raw = self._send("POST", "/pivot/v1/token", headers, urlencode(form).encode())
        found = AccessToken.read(_object(raw))
        if not _TOKEN.match(found.access_token):
            raise Unreadable("`access_token` is no token")
        self._token = found.access_token
        life = min(max(0, found.expires_in - _MARGIN), _LONGEST_LIFE)
        self._token_until = time.monotonic() + life
        return self._token

    def _send(
        self, method: str, address: str, headers: dict[str, str], data: bytes | None
    ) -> bytes:
        request = urllib.request.Request(
            self.base_url.rstrip("/") + address, data=data, headers=dict(headers), method=method
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                found: bytes = answer.read(LARGEST_ANSWER + 1)
                missing = answer.length
        except urllib.error.HTTPError as error:
            _refused(error)
        except (OSError, http.client.HTTPException) as error:
            host = urlsplit(self.base_url).netloc
            raise Unreachable(f"{host}: {type(error).__name__}") from None
        if len(found) > LARGEST_ANSWER:
            raise Unreadable("the answer is too large")
        if missing:
            raise Unreachable("the answer did not come whole")
        return found


def segment(text: str) -> str:
    """Return a text as a part of a path."""
    return quote(text, safe="")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text) if _ADDRESS.match(text) else None
        return parts is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise Unreadable("the answer is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("the answer is not a JSON object")
    return found


def _refused(error: urllib.error.HTTPError) -> NoReturn:
    with error:
        status, told = error.code, error.headers.get("Retry-After", "")
        try:
            failure = PivotFailure.read(_object(error.read(1_000_000)))
        except (Unreadable, OSError, http.client.HTTPException):
            failure = None
    after = float(told) if told.isascii() and told.isdigit() and len(told) < 6 else 30.0
    if failure is None:
        again = after if status in (408, 425, 429) or status >= 500 else None
    else:
        again = {"now": 0.0, "after": after}.get(failure.retry)
    raise Problem(status, failure, again) from None


def _see_whole(file: PivotFile, into: IO[bytes]) -> None:
    if into.tell() != file.size:
        raise Broken(f"{into.tell()} bytes came where {file.size} were named")
    into.seek(0)
    digest = hashlib.sha256()
    while piece := into.read(_PIECE):
        digest.update(piece)
    if digest.hexdigest() != file.sha256:
        into.seek(0)
        into.truncate()
        raise Broken("its bytes are not those that the message names (SHA-256)")
