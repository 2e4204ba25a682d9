"""Turns a mapping's payload into form parameters within the limits of GeoReport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.open311.options import Open311Options
from gateway.sdk import Refused

Pairs = list[tuple[str, str]]

LOCATED_BY = ("lat and long", "address_string", "address_id")
CREATE = frozenset(
    {
        "service_code", "lat", "long", "address_string", "address_id", "description", "email",
        "first_name", "last_name", "phone", "device_id", "account_id", "media_url", "attributes",
    }
)  # fmt: skip
UPDATE = frozenset(
    {
        "status", "description", "email", "first_name", "last_name", "title", "phone",
        "account_id", "service_code", "service_request_id_ext", "public_anonymity_required",
        "email_alerts_requested", "media_url", "attributes",
    }
)  # fmt: skip
CUT_MARK = "… [texte coupé]"


def scalar(value: Any) -> str | None:
    """Return a value as a parameter; None to leave it out. Raises TypeError for a list or an
    object."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value).strip() or None
    raise TypeError


def _values(value: Any) -> list[str]:
    listed = value if isinstance(value, list | tuple) else [value]
    return [one for one in map(scalar, listed) if one is not None]


def creation_parameters(
    payload: Mapping[str, Any], known: frozenset[str], options: Open311Options
) -> Pairs | Refused:
    """Return the pairs of the form without empty ones, which the server ignores anyway."""
    strange = sorted(set(payload) - known)
    if strange:
        # A strict server answers 400 to an unknown parameter.
        return Refused("unmappable", f"not parameters of Open311: {', '.join(strange)}")
    pairs: Pairs = []
    for name, value in payload.items():
        if name == "attributes":
            continue
        try:
            values = _values(value) if name == "media_url" else _values([scalar(value)])
        except TypeError:
            return Refused("unmappable", f"{name} is neither text nor number")
        if name == "media_url" and options.media != "url":
            continue
        pairs += [(name, one) for one in values]
    found = attributes(payload.get("attributes"), options.lists)
    return found if isinstance(found, Refused) else pairs + found


def attributes(value: Any, lists: str = "brackets") -> Pairs | Refused:
    """Return `attribute[CODE]=v`. A list gives `attribute[CODE][]=v` for each value, or the same
    name again (`repeated`)."""
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return Refused("unmappable", "attributes is not a map of codes to values")
    pairs: Pairs = []
    for code, inner in value.items():
        many = isinstance(inner, list | tuple) and lists == "brackets"
        try:
            pairs += [(f"attribute[{code}]{'[]' if many else ''}", one) for one in _values(inner)]
        except TypeError:
            return Refused("unmappable", f"attribute {code} is neither text, number nor list")
    return pairs


def fitted(pairs: Pairs, options: Open311Options) -> Pairs | Refused:
    """Return the pairs, with the description cut to the allowed length."""
    fit: Pairs = []
    for name, value in pairs:
        if name == "description" and len(value) > options.description_max:
            if options.too_long == "refuse":
                limit = options.description_max
                return Refused("invalid", f"description is over {limit} characters ({len(value)})")
            value = value[: options.description_max - len(CUT_MARK)] + CUT_MARK
        fit.append((name, value))
    return fit


def complete(pairs: Pairs) -> Refused | None:
    """Check that a creation has a service code and a place."""
    given = {name for name, _ in pairs}
    if "service_code" not in given:
        return Refused("unmappable", "service_code is missing")
    if not ({"lat", "long"} <= given or given & {"address_string", "address_id"}):
        return Refused("unmappable", f"one of {', '.join(LOCATED_BY)} is needed")
    return None


__all__ = ["CREATE", "UPDATE", "Pairs", "complete", "creation_parameters", "fitted"]
