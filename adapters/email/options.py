"""The options of a commune that works by mail, as an integrator sets them in its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.email.texts import say
from gateway.sdk import Duration, Options, Secret, Secrets, ServiceInCharge, refuse

_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
#: Characters before the @: the token needs the rest of 64 (RFC 5321, 4.5.3.1.1).
_LOCAL: Final = 24
PORTS: Final = {"smtp": 587, "smtps": 465, "imap": 143, "imaps": 993}


def _address(text: str) -> str:
    if len(text) > 200 or not _ADDRESS.fullmatch(text):
        raise refuse(say("mail_address"))
    return text


def _own(text: str) -> str:
    local = _address(text).partition("@")[0]
    if len(local) > _LOCAL or "+" in local:
        raise refuse(say("local_part"))
    return text


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a server. `tls`: from the first byte on."""

    host: str
    port: int
    tls: bool


def server_of(url: str) -> Server:
    """Read an address that the options have checked."""
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    return Server(parts.hostname or "", port, parts.scheme.endswith("s"))


def _url(*schemes: str) -> Callable[[str], str]:
    def checked(text: str) -> str:
        said = refuse(say("mail_server", first=f"{schemes[0]}://", other=f"{schemes[1]}://"))
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise said from None
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment
        known = parts.scheme in schemes and _HOST.fullmatch(parts.hostname or "")
        if not (known and bare) or "@" in parts.netloc or port == 0:
            raise said
        return text.rstrip("/")

    return checked


MailAddress = Annotated[str, AfterValidator(_address)]
#: Names that IMAP writes without its own encoding.
Folder = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.,/()+=\[\]-]{1,120}$")]
Login = Annotated[str, Field(pattern=r'^[^\s"\\\x00-\x1f\x7f]{1,200}$')]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9-]+)+$")]
Word = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?$")]


class _Access(Options):
    username: Login | None = None
    password: Secret | None = None
    clear: bool = Field(
        False, description="Without TLS: for a server within one's own network alone."
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise refuse(say("half_login"))
        return self


class Smtp(_Access):
    """The commune's mail server. smtp:// requires STARTTLS."""

    url: Annotated[str, AfterValidator(_url("smtps", "smtp"))]


class Imap(_Access):
    """The mailbox for replies, and its folders. imap:// requires STARTTLS."""

    url: Annotated[str, AfterValidator(_url("imaps", "imap"))]
    username: Login
    password: Secret
    folder: Folder = "INBOX"
    done: Folder = Field("Passerelle/Lus", description="Where messages go once they were told.")
    person: Folder = Field(
        "Passerelle/A-traiter", description="Where messages go that a person has to look at."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({self.folder, self.done, self.person}) < 3:
            raise refuse(say("same_folder"))
        return self


class Copies(Options):
    """The folder of copies of our messages, where a lost answer is looked for."""

    folder: Folder
    settle: Annotated[Duration, Field(le=86_400)] = Field(
        900.0, description="A copy may come so much later."
    )


class Replies(Options):
    """The proof that a reply must bring, and the way it is read.

    `host` is the name that the commune's receiving server writes into Authentication-Results; those
    of other servers are not read. `proof`: one of these must have passed for the sender's domain.
    """

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")]
    domains: Annotated[tuple[Domain, ...], Field(min_length=1)] = Field(
        description="Domains that agents of the commune write from; a subdomain is another one."
    )
    proof: Annotated[tuple[Literal["dmarc", "dkim", "spf"], ...], Field(min_length=1)] = ("dmarc",)
    public: bool = Field(False, description="Replies may be shown to the citizen.")
    words: tuple[Word, ...] = Field(
        (), description="Statuses that a reply may name; the mapping tells what each means."
    )
    where: Literal["address", "subject"] = Field(
        "address",
        description="address: demandes+TOKEN.clos@...; subject: [clos] in the subject.",
    )
    quoted: Literal["cut", "keep"] = Field(
        "cut", description="What the reply repeats of our message, and its signature."
    )
    max_mb: float = Field(10, gt=0, le=50, description="Of a reply; of a larger one, its text.")
    max_files: int = Field(10, ge=0, le=50)


class EmailOptions(Options):
    """A commune that works by mail."""

    smtp: Smtp
    sender: Annotated[str, AfterValidator(_own)] = Field(
        alias="from", description="Our own mailbox: mail comes from it, replies come back to it."
    )
    name: str = Field(
        "Toodego", pattern=r'^[^\x00-\x1f\x7f"\\<>@]{1,60}$', description="The sender's name."
    )
    to: MailAddress = Field(description="Where requests go.")
    recipients: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")], MailAddress] = Field(
        default_factory=dict,
        description="Other addresses, by the names that the mapping gives as `recipient`.",
    )
    copy_to: MailAddress | None = Field(
        None, description="A copy of each message goes there, so that it can be found again."
    )
    key: Secrets = Field(description="Makes the tokens in addresses; two while it is replaced.")
    max_mb: float = Field(
        10, gt=0, le=50, description="Of a message, its files included as they are sent."
    )
    link: Annotated[Duration, Field(ge=2 * 86_400, le=90 * 86_400)] = Field(
        30 * 86_400.0,
        description="Files that a message has no room for go as links, which are good for so long.",
    )
    service: ServiceInCharge | None = Field(
        None, description="The service in charge, as the law has named it to the citizen."
    )
    services: dict[str, ServiceInCharge] = Field(
        default_factory=dict, description="Those of single teleservices, by their slugs."
    )
    imap: Imap | None = None
    find: Copies | None = None
    replies: Replies | None = None

    @property
    def max_bytes(self) -> int:
        """The bytes that a message may have."""
        return int(self.max_mb * 1_000_000)

    @model_validator(mode="after")
    def _finds(self) -> Self:
        if self.find is not None and (self.copy_to is None or self.imap is None):
            raise refuse(say("find_needs_copy"))
        return self

    @model_validator(mode="after")
    def _reads(self) -> Self:
        if self.replies is not None and self.imap is None:
            raise refuse(say("replies_need_imap"))
        return self


__all__ = [
    "Copies",
    "EmailOptions",
    "Imap",
    "Replies",
    "Server",
    "Smtp",
    "server_of",
]
