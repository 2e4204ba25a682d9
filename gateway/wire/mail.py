"""Hands short notes for people to a mail relay (RFC 5321). No note bears data of a citizen."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from typing import Literal

import aiosmtplib
from pydantic import SecretStr

from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater
from gateway.sdk.connecting import Connector, Unreached, unreached
from gateway.wire.network import Network

#: Seven bits a byte: not every relay takes eight (RFC 6152).
_POLICY = SMTP_LINES.clone(cte_type="7bit")
#: Codes that are about our user name and password (RFC 4954).
_LOGIN = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The relay. `tls`: from the first byte on, by STARTTLS, which is then required, or none."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    sender: str
    username: str | None
    password: SecretStr | None
    network: Network


@dataclass(frozen=True, slots=True)
class MailRelay:
    """Sends through the relay, connected to by `connector`."""

    settings: MailSettings
    connector: Connector

    async def send(self, recipients: Sequence[str], subject: str, text: str, name: str) -> Outcome:
        """Send a note to all of these, or to none. `name` tells the note from others, so that a
        mail program shows one that came twice as one."""
        note = EmailMessage(policy=_POLICY)
        note["From"], note["To"] = self.settings.sender, ", ".join(recipients)
        note["Subject"] = subject
        note["Message-ID"] = f"<{name}@{self.settings.sender.rpartition('@')[2]}>"
        note["Auto-Submitted"] = "auto-generated"
        note.set_content(text)
        return await self._asked(note, recipients)

    async def try_sender(self) -> Outcome:
        """Would it take a note of ours? Ends before any recipient is named."""
        return await self._asked(None, ())

    async def _asked(self, note: EmailMessage | None, recipients: Sequence[str]) -> Outcome:
        try:
            async with asyncio.timeout(self.connector.timeout):
                return await self._hand_over(note, recipients)
        except TimeoutError:
            return TryLater("timeout", "the note was not handed over in time")
        except Unreached as error:
            return error.outcome
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _outcome(error.recipients[0].code)
        except aiosmtplib.SMTPResponseException as error:
            return _outcome(error.code)
        except aiosmtplib.SMTPTimeoutError:
            return TryLater("timeout", "no answer in time")
        except (aiosmtplib.SMTPException, ssl.SSLError, ConnectionError) as error:
            return unreached(error).outcome

    async def _hand_over(self, note: EmailMessage | None, recipients: Sequence[str]) -> Outcome:
        settings, lent = self.settings, self.connector
        tls = None if settings.tls == "none" else await lent.tls()
        async with lent.connection(settings.host, settings.port) as connected:
            smtp = aiosmtplib.SMTP(
                hostname=settings.host,
                sock=connected,
                use_tls=settings.tls == "implicit",
                start_tls=False,
                tls_context=tls,
                timeout=lent.timeout,
                local_hostname="passerelle",
            )
            try:
                await smtp.connect()
                if settings.tls == "starttls":
                    await smtp.ehlo()
                    if not smtp.supports_extension("starttls"):
                        return Misconfigured("tls_refused", "the relay has no STARTTLS")
                    await smtp.starttls(server_hostname=settings.host)
                if settings.username is not None and settings.password is not None:
                    await smtp.ehlo()
                    if not smtp.supported_auth_methods:
                        return Misconfigured("access_denied", "the relay offers no login")
                    await smtp.login(settings.username, settings.password.get_secret_value())
                if note is None:
                    if settings.username is None:
                        await smtp.ehlo()
                    await smtp.mail(settings.sender)
                else:
                    await smtp.sendmail(settings.sender, list(recipients), note.as_bytes())
            finally:
                smtp.close()
        return Accepted()


def _outcome(code: int) -> Outcome:
    """Return what a reply that is no success means: 4xx for now, 5xx until something is mended."""
    if code in _LOGIN:
        return Misconfigured("access_denied", f"SMTP {code}")
    return Refused("refused") if 500 <= code <= 599 else TryLater("busy", f"SMTP {code}")


__all__ = ["MailRelay", "MailSettings"]
