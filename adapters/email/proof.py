"""The sender of a message, proven by Authentication-Results of the receiving server (RFC 8601).

Only the declared server's fields count, and of each method the first: a server writes its field
above those that came with the message, and removes those that bear its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import getaddresses
from typing import Final

from adapters.email.options import Replies

#: The pieces of a field (RFC 5322, 3.2): a quoted text, an escaped character, another character.
_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|\\.|(.)', re.DOTALL)
#: Characters that begin a result, a property or a comment, but not within a quoted text.
_MEANT: Final = re.compile(r'[\s;=()"\\]+')
#: Methods of which a message has one result; it may have several signatures.
_ONCE: Final = {"dmarc", "spf"}
_RESULT: Final = re.compile(r"\A\s*(dmarc|dkim|spf)(?:/\d+)?\s*=\s*([a-z]+)", re.IGNORECASE)
_PROPERTY: Final = re.compile(
    r'(?<![a-z0-9_.-])([a-z]+\.[a-z0-9_-]+)\s*=\s*"?([^\s;"]+)', re.IGNORECASE
)
#: The properties that name the domain, by method.
_ABOUT: Final = {
    "dmarc": ("header.from",),
    "dkim": ("header.d", "header.i"),
    "spf": ("smtp.mailfrom", "smtp.helo"),
}
_LONGEST: Final = 8_000


def sender_domain(fields: Sequence[str]) -> str | None:
    """Return the domain of the address in From; None unless there is exactly one address."""
    if len(fields) != 1:
        return None
    found = getaddresses([fields[0][:_LONGEST]])
    if len(found) != 1 or found[0][1].count("@") != 1:
        return None
    return found[0][1].rpartition("@")[2].strip().lower().rstrip(".") or None


def is_proven(senders: Sequence[str], results: Sequence[str], options: Replies) -> bool:
    """Is the message proven to be from one of the commune's domains?

    `senders` are its From fields, `results` its Authentication-Results from the top.
    """
    domain = sender_domain(senders)
    if domain is None or domain not in options.domains:
        return False
    seen: set[str] = set()
    for field in results:
        server, _, rest = _bare(field[:_LONGEST]).partition(";")
        # A version may follow the name.
        if server.split()[:1] != [options.host] and server.split()[:1] != [options.host.lower()]:
            continue
        told = rest.split(";")
        for method in options.proof:
            mine = [one for one in told if _method(one) == method]
            if method in seen or not mine:
                continue
            seen.add(method)
            if method in _ONCE and len(mine) > 1:
                continue  # the server may quote the sender's words in one of them
            if any(_passes(one, method, domain) for one in mine):
                return True
    return False


def _bare(field: str) -> str:
    """Return a field without its comments, and with quoted texts made harmless.

    A server quotes the sender's words in both. The field ends at a comment that is not closed.
    """
    told, depth, at = [], 0, 0
    while at < len(field):
        if field[at] == "(":
            depth, at = depth + 1, at + 1
        elif depth:  # a comment has no quoted texts
            depth -= field[at] == ")"
            at += 2 if field[at] == "\\" else 1
            told += [" "] if not depth else []
        else:
            piece = _PIECE.match(field, at)
            if piece is None:
                break
            told.append(piece[2] or _MEANT.sub("_", piece[1] or "_"))
            at = piece.end()
    return "".join(told)


def _method(result: str) -> str | None:
    found = _RESULT.match(result)
    return None if found is None else found[1].lower()


def _passes(result: str, method: str, domain: str) -> bool:
    """Did this method pass for this domain?"""
    found = _RESULT.match(result)
    if found is None or found[2].lower() != "pass":
        return False
    said = {name.lower(): value.lower() for name, value in _PROPERTY.findall(result)}
    about = {said[name].rpartition("@")[2] for name in _ABOUT[method] if name in said}
    return domain in about


__all__ = ["is_proven", "sender_domain"]
