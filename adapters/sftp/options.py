"""The options of a commune that exchanges files, as an integrator sets them in its file."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.sftp.texts import say
from gateway.sdk import Duration, Options, Secret, ServiceInCharge, refuse

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_USER: Final = re.compile(r"[^\s/@:\x00-\x1f]{1,100}")
_KEY: Final = re.compile(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,2000}={0,2}"
)


def _url(text: str) -> str:
    said = refuse(say("sftp_address"))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise said from None
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    known = parts.scheme == "sftp" and _HOST.fullmatch(parts.hostname or "")
    user = _USER.fullmatch(unquote(parts.username or ""))
    if not (known and bare and user) or parts.password is not None or port == 0:
        raise said
    return text.rstrip("/")


def _host_key(text: str) -> str:
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise refuse(say("host_key"))
    kind, _, packed = key.partition(" ")
    try:
        # The key names its own kind (RFC 4253, 6.6).
        told = base64.b64decode(packed, validate=True)
    except ValueError:
        raise refuse(say("host_key")) from None
    if not told.startswith(len(kind).to_bytes(4) + kind.encode()):
        raise refuse(say("host_key"))
    return key


#: A folder, relative to the login's own or absolute; never upwards.
RemoteFolder = Annotated[
    str,
    Field(
        pattern=r"^/?[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$",
        max_length=200,
    ),
]


class Returns(Options):
    """The files that the commune gives back.

    `ready` is the sign that a file is whole. rename: an unfinished file has another name, which
    begins with a dot or ends with .part, .tmp or .filepart. checksum: NAME.sha256 beside it holds
    its digest. stable: the file has not changed since the last poll.
    """

    folder: RemoteFolder = "retours"
    done: RemoteFolder = "retours-lus"
    errors: RemoteFolder = "retours-en-erreur"
    ready: Literal["rename", "checksum", "stable"] = "rename"
    public: bool = Field(False, description="Messages may be shown to the citizen.")
    max_mb: float = Field(5, gt=0, le=50, description="Of a return, and of each file it names.")
    max_files: int = Field(10, ge=0, le=50, description="That one change may name.")


class SftpOptions(Options):
    """A commune that exchanges files."""

    url: Annotated[str, AfterValidator(_url)]
    host_keys: Annotated[
        tuple[Annotated[str, AfterValidator(_host_key)], ...], Field(min_length=1, max_length=4)
    ] = Field(description="Public keys that the server may show; two while it changes its own.")
    key: Secret | None = Field(None, description="Our private key (OpenSSH), by reference.")
    password: Secret | None = None
    folder: RemoteFolder = Field("demandes", description="Where each request becomes a folder.")
    format: Literal["json", "csv", "xml"] = "json"
    encoding: Literal["utf-8", "windows-1252"] = "utf-8"
    unfit: Literal["refuse", "replace"] = Field(
        "refuse",
        description="A character that Windows-1252 lacks, in csv: a person is asked, or the letter"
        " without its accent, else a question mark. In xml it is written as a number.",
    )
    spreadsheet: bool = Field(
        False, description="csv is opened in a spreadsheet: no cell of it is a formula."
    )
    moved_to: tuple[RemoteFolder, ...] = Field(
        (), description="Folders where the commune moves requests to, once it has taken them."
    )
    removed: bool = Field(
        False, description="The commune takes folders away: what is not there may have been taken."
    )
    settle: Annotated[Duration, Field(le=86_400)] | None = Field(
        None, description="What is not there is asked for again so much later."
    )
    service: ServiceInCharge | None = Field(
        None, description="The service in charge, as the law has named it to the citizen."
    )
    services: dict[str, ServiceInCharge] = Field(
        default_factory=dict, description="Those of single teleservices, by their slugs."
    )
    returns: Returns | None = None

    @model_validator(mode="after")
    def _logs_in(self) -> Self:
        if (self.key is None) == (self.password is None):
            raise refuse(say("one_login"))
        return self

    @model_validator(mode="after")
    def _encodes(self) -> Self:
        if self.format == "json" and self.encoding != "utf-8":
            raise refuse(say("json_encoding"))
        return self


__all__ = ["Returns", "SftpOptions"]
