"""Hands one message to the commune's mail server, and reads the answer (RFC 5321).

A server takes a message when it has read the line with a single dot. Before we write that line a
failure is certain; after it, a lost answer may have been a yes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol, runtime_checkable

import aiosmtplib
from aiosmtplib.protocol import PERIOD_REGEX

from adapters.email.options import Smtp, server_of
from gateway.sdk import (
    PACE,
    Accepted,
    Clock,
    Connector,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unreached,
    Unsure,
    masked,
    secrets_in,
    unreached,
)

#: Reply codes about our login (RFC 4954), and about an address.
_LOGIN: Final = frozenset({530, 534, 535, 538})
_ADDRESS: Final = frozenset({550, 551, 553, 556})
_OPEN: Final = 354
_PIECE: Final = 64 * 1024
#: Seconds for QUIT, whose answer nobody needs.
_GOODBYE: Final = 1.0


@runtime_checkable
class _Writing(Protocol):
    """A writable transport; uvloop's are not of asyncio's classes."""

    def abort(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class _ConversationEnded(Exception):
    """The conversation is over, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class MailServer:
    """The commune's mail server. `own_name` is our name in EHLO."""

    def __init__(self, options: Smtp, connector: Connector, own_name: str) -> None:
        self._options = options
        self._connector = connector
        self._own_name = own_name
        self._server = server_of(options.url)
        self._secrets = secrets_in(options)

    async def send(
        self, message: bytes, sender: str, recipients: Sequence[str], said: Iterable[str]
    ) -> Outcome:
        """Hand a message over, to all recipients or to none.

        `said` are texts of the message, which are masked in what we keep of an answer.
        """
        clock = Clock(self._connector.timeout + len(message) / PACE)
        conversation = _Conversation()
        try:
            async with clock:
                return await self._hand_over(message, sender, recipients, said, conversation)
        except _ConversationEnded as told:
            return told.outcome
        except TimeoutError:
            if not clock.over:
                raise
            if conversation.dotted:
                return Unsure("timeout", "no answer after the message's end")
            return TryLater("timeout", "the message was not handed over in time")

    async def _hand_over(
        self,
        message: bytes,
        sender: str,
        recipients: Sequence[str],
        said: Iterable[str],
        conversation: _Conversation,
    ) -> Outcome:
        async with self._greeted(said) as smtp:
            size = [f"SIZE={len(message)}"] if smtp.supports_extension("size") else []
            allowed = _largest(smtp)
            if 0 < allowed < len(message):
                return Refused("message_too_large", f"the server takes {allowed} bytes")
            await _envelope(smtp, sender, recipients, size, said)
            code, text = await conversation.send(smtp, message, self._connector)
            if 200 <= code <= 299:
                return Accepted(proof={"smtp": str(code)})
            if conversation.dotted and not 400 <= code <= 599:
                return Unsure("unreadable_answer", f"SMTP {code} after the message's end")
            return _judged(code, text, said)

    async def try_recipient(self, sender: str, recipient: str) -> tuple[Outcome, int]:
        """Try an address without sending a message.

        Returns the server's limit of a message's bytes, too; 0 where it names none.
        """
        try:
            async with (
                asyncio.timeout(self._connector.timeout),
                self._greeted(self._secrets) as smtp,
            ):
                await _envelope(smtp, sender, [recipient], [], self._secrets)
                return Accepted(), _largest(smtp)
        except _ConversationEnded as told:
            return told.outcome, 0
        except TimeoutError:
            return TryLater("timeout", "no answer in time"), 0

    @asynccontextmanager
    async def _greeted(self, said: Iterable[str]) -> AsyncIterator[aiosmtplib.SMTP]:
        """Connect, start TLS as the options say, and log in.

        Raises _ConversationEnded and TimeoutError.
        """
        server, options = self._server, self._options
        secured = not options.clear
        tls = await self._connector.tls() if server.tls or secured else None
        try:
            async with self._connector.connection(server.host, server.port) as connected:
                smtp = aiosmtplib.SMTP(
                    hostname=server.host,
                    sock=connected,
                    use_tls=server.tls,
                    start_tls=False,
                    tls_context=tls,
                    timeout=self._connector.timeout,
                    local_hostname=self._own_name,
                )
                try:
                    await smtp.connect()
                    await smtp.ehlo()
                    if secured and not server.tls:
                        if not smtp.supports_extension("starttls"):
                            raise _ConversationEnded(Misconfigured("no_starttls"))
                        await smtp.starttls(server_hostname=server.host)
                        await smtp.ehlo()
                    if tls is not None:
                        self._connector.served(smtp.get_transport_info("peercert"))
                    if options.username is not None and options.password is not None:
                        if not smtp.supported_auth_methods:
                            raise _ConversationEnded(Misconfigured("no_login"))
                        await smtp.login(options.username, options.password.get_secret_value())
                    yield smtp
                    with suppress(aiosmtplib.SMTPException, TimeoutError, OSError):
                        await smtp.quit(timeout=_GOODBYE)
                finally:
                    _abort(smtp)
        except Unreached as error:
            raise _ConversationEnded(error.outcome) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _ConversationEnded(_judged(error.code, error.message, said)) from None
        except aiosmtplib.SMTPTimeoutError:
            raise _ConversationEnded(TryLater("timeout", "no answer in time")) from None
        except (aiosmtplib.SMTPException, ssl.SSLError, ConnectionError) as error:
            # Failures after DATA have ended the conversation with an outcome of their own.
            raise _ConversationEnded(unreached(error).outcome) from None


def _largest(smtp: aiosmtplib.SMTP) -> int:
    """Return the bytes that a message may have (RFC 1870); 0 where the server does not say."""
    said = smtp.esmtp_extensions.get("size", "").strip()[:18]
    return int(said) if said.isascii() and said.isdigit() else 0


class _Conversation:
    """The transfer of one message. `dotted`: its end was written, so the server may have it."""

    def __init__(self) -> None:
        self.dotted = False

    async def send(
        self, smtp: aiosmtplib.SMTP, message: bytes, connector: Connector
    ) -> tuple[int, str]:
        """Send a message and return the last answer. Raises _ConversationEnded without one."""
        protocol = smtp.protocol
        transport: object = smtp.transport
        if protocol is None or not isinstance(transport, _Writing):
            raise _ConversationEnded(TryLater("unreachable", "the connection was closed"))
        # No byte of the message may wait in our buffer when its end is written.
        transport.set_write_buffer_limits(high=0)
        writer = asyncio.StreamWriter(  # for its `drain`
            transport,  # type: ignore[arg-type]
            protocol,
            None,
            asyncio.get_running_loop(),
        )
        try:
            begun = await protocol.execute_command(b"DATA")
            if begun.code != _OPEN:
                return begun.code, begun.message
            quoted = PERIOD_REGEX.sub(b"..", message)
            for start in range(0, len(quoted), _PIECE):
                protocol.write(quoted[start : start + _PIECE])
                await writer.drain()
            connector.leaving()
            self.dotted = True
            protocol.write(b".\r\n")
            last = await protocol.read_response()
        except (aiosmtplib.SMTPServerDisconnected, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            name = type(error).__name__
            if self.dotted:
                raise _ConversationEnded(Unsure("no_answer", name)) from None
            raise _ConversationEnded(
                TryLater("no_answer", f"{name} before the message's end")
            ) from None
        except aiosmtplib.SMTPResponseException:  # not an answer of SMTP
            if self.dotted:
                raise _ConversationEnded(Unsure("unreadable_answer", "no answer of SMTP")) from None
            raise _ConversationEnded(TryLater("unreadable_answer", "no answer of SMTP")) from None
        return last.code, last.message


async def _envelope(
    smtp: aiosmtplib.SMTP,
    sender: str,
    recipients: Sequence[str],
    size: Sequence[str],
    said: Iterable[str],
) -> None:
    """Name sender and recipients. Raises _ConversationEnded for the first that is refused."""
    try:
        await smtp.mail(sender, options=size)
        for one in recipients:
            await smtp.rcpt(one)
    except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused) as error:
        outcome = _judged(error.code, error.message, said)
        if error.code in _ADDRESS:
            answer = getattr(outcome, "answer", None)
            outcome = Misconfigured("recipient_refused", f"SMTP {error.code}", answer)
        raise _ConversationEnded(outcome) from None


def _judged(code: int, text: str, said: Iterable[str]) -> Outcome:
    """Return the outcome of a failure: 4xx is temporary, 5xx is final (RFC 5321, 4.2.1)."""
    detail = f"SMTP {code}"
    answer = f"{detail} {masked(text, said)}"
    if code in _LOGIN:
        return Misconfigured("access_denied", detail, answer)
    if 500 <= code <= 599:
        return Refused("refused", detail, answer)
    if 400 <= code <= 499:
        return TryLater("busy", detail, answer=answer)
    return TryLater("unreadable_answer", detail, answer=answer)


def _abort(smtp: aiosmtplib.SMTP) -> None:
    transport: object = smtp.transport
    if isinstance(transport, _Writing):
        transport.abort()
    smtp.close()


__all__ = ["MailServer"]
