"""The keyed hash by which an erased account is refused, and its key.

The key is a secret of the configuration, or a file of the data directory made at the first erasure.
Without it, late pushes of erased people cannot be refused.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from gateway.catalogue.catalogue import Settings
from gateway.core.account import normal_account
from gateway.core.errors import GatewayError
from gateway.core.system_errors import system_error
from gateway.flow.key_file import make_key_file
from gateway.flow.texts import say

KEY_FILE = "erasure.key"
_SHORTEST = 16
#: No account, nor request, is called so.
_CHECKED = "\0check"


class BadKey(GatewayError):
    """The erasure key cannot be used."""


class AccountHasher:
    """Hashes accounts. Another process may make the key at any time."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / KEY_FILE
        self._key: bytes | None = None
        if settings.erasure_key is not None:
            self._key = settings.erasure_key.get_secret_value().encode()
            if len(self._key) < _SHORTEST:
                raise BadKey(say("key_short", least=_SHORTEST))

    def hashes_of(self, account: str | None) -> tuple[str, ...]:
        """Return the hashes under which this account may have been erased. Raises BadKey.

        The first is that of `hash_of`; the others are of earlier versions, which hashed the
        account as written. None for no account, and while there is no key.
        """
        if account is None:
            return ()
        if self._key is None:
            self._key = _read(self._path)
        if self._key is None:
            return ()
        forms = dict.fromkeys((normal_account(account), account))
        return tuple(_hash(self._key, form) for form in forms)

    def hash_of(self, account: str) -> str:
        """Return the account's hash. Makes the key at need. Raises BadKey and OSError."""
        if self._key is None:
            self._key = _read(self._path) or _make(self._path)
        return _hash(self._key, normal_account(account))

    def hash_of_request(self, portal: str, teleservice: str, ref: str) -> str:
        """Return the hash of a single request, by its names at the portal. Makes the key at need.
        Raises BadKey and OSError."""
        return self.hash_of(_request_name(portal, teleservice, ref))

    def hash_of_announcement(self, announcement: str, commune: str) -> str:
        """Return the token that lets a commune say that it has read an announcement. Makes the key
        at need. Raises BadKey and OSError."""
        return self.hash_of("\0".join(("\0announcement", announcement, commune)))

    def marks_of(
        self, account: str | None, portal: str, teleservice: str, ref: str
    ) -> tuple[tuple[str, ...], str | None]:
        """Return the hashes under which an account may have been erased, and that of the request
        itself. None while there is no key: nobody was erased then. Raises BadKey."""
        if self.lost():
            return (), None
        return self.hashes_of(account), self.hash_of_request(portal, teleservice, ref)

    def check_value(self) -> str | None:
        """Return a value that tells this key from others, and not the key; None for no key."""
        return None if self.lost() or self._key is None else _hash(self._key, _CHECKED)

    def lost(self) -> bool:
        """Is there no key?"""
        if self._key is None:
            self._key = _read(self._path)
        return self._key is None


def _request_name(portal: str, teleservice: str, ref: str) -> str:
    return "\0".join(("request", portal, teleservice, ref))


def _hash(key: bytes, account: str) -> str:
    return hmac.new(key, account.encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadKey(say("key_unread", place=str(path), error=system_error(error))) from None
    if len(key) < _SHORTEST:
        raise BadKey(say("key_file_short", place=str(path)))
    return key


def _make(path: Path) -> bytes:
    make_key_file(path)
    key = _read(path)
    if key is None:
        raise BadKey(say("key_vanished", place=str(path)))
    return key
