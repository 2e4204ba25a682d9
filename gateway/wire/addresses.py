"""The addresses at the portal that belong to one formdata.

A body names addresses, and a key acts for one formdata: the called address is built here from the
portal's configured one, and the body's is only compared with it.
"""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote, unquote

import httpx

from gateway.core.errors import Rejected


def formdata_url(base: str, slug: str, ref: str) -> str:
    """Return the API address of one formdata, at the portal `base`."""
    return f"{base.rstrip('/')}/api/forms/{quote(slug, safe='')}/{quote(ref, safe='')}/"


def own_api_url(base: str, slug: str, ref: str, told: str | None) -> str | None:
    """Return the formdata's address if a body names it; None if it names none.

    Raises Rejected: 400 `foreign_address` for one that is not the portal's, 403 `other_formdata`
    for another formdata's.
    """
    if told is None:
        return None
    own = formdata_url(base, slug, ref)
    # w.c.s. nearly always writes it so.
    if told != own and _below(base, told) not in (
        ["api", "forms", slug, ref, ""],
        ["api", "forms", slug, ref],
    ):
        _other("L'adresse api_url", own)
    return own


def own_file_url(base: str, slug: str, ref: str, told: str) -> str:
    """Return the API address of a formdata's file, where w.c.s. serves it to a signed call.

    `told` may be the front office's address, which w.c.s. writes. Raises Rejected as `own_api_url`.
    """
    if _below(base, told)[-3:] != [slug, ref, "download"]:
        _other("L'adresse d'un fichier", formdata_url(base, slug, ref) + "download")
    query = httpx.URL(told).query.decode("ascii")
    return formdata_url(base, slug, ref) + "download" + ("?" + query if query else "")


def _below(base: str, told: str) -> list[str]:
    """Return the decoded parts of a path below the portal's. Raises Rejected 400 for another's."""
    try:
        url, home = httpx.URL(told), httpx.URL(base.rstrip("/"))
        raw, _, _ = url.raw_path.partition(b"?")
        ours = home.raw_path.rstrip(b"/") + b"/"
        if origin(url) == origin(home) and not url.userinfo and raw.startswith(ours):
            return [unquote(part) for part in raw[len(ours) :].decode("ascii").split("/")]
    except (httpx.InvalidURL, ValueError):
        pass
    text = f"Une adresse n'est pas celle du portail configuré ({base})."
    raise Rejected(400, "foreign_address", text)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port; the scheme's default port where none is written."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _other(what: str, own: str) -> NoReturn:
    text = f"{what} n'est pas celle de cette demande ; attendu : {own}"
    raise Rejected(403, "other_formdata", text)


__all__ = ["formdata_url", "origin", "own_api_url", "own_file_url"]
