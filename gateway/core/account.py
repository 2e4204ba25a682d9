"""The normal form in which accounts of the identity provider are compared, stored and hashed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_UUID = re.compile(r"[0-9a-f]{32}")
_APART = str.maketrans("", "", "-{}")


def normal_account(account: str) -> str:
    """Return the account's normal form: for a UUID, 32 lower-case hexadecimal digits, however
    written (upper case, dashes, braces, `urn:uuid:`, blanks); for anything else, the text without
    outer blanks.

    Only a UUID is folded: other identifiers, such as the `sub` that a provider makes for one
    client, may differ by case alone and be two people.
    """
    text = account.strip()
    packed = "".join(text.split()).lower().removeprefix("urn:uuid:").translate(_APART)
    return packed if _UUID.fullmatch(packed) else text


def known_among(known: Iterable[str], accounts: Collection[str]) -> frozenset[str]:
    """Return those of `known`, as written there, whose normal form is in `accounts`."""
    return frozenset(one for one in known if normal_account(one) in accounts)
