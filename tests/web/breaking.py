"""The changes of an OpenAPI document that would break a half-connector of a former one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any


def breaks(former: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Each promise of `former` that `now` does not keep, by its place.

    Gone: a path, method, webhook, answer, field, value or type. Added: what a caller must send.
    """
    return sorted({*_operations(former, now), *_schemas(former, now)})


def _operations(former: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for part in ("paths", "webhooks"):
        for path, methods in former.get(part, {}).items():
            for method, operation in methods.items():
                place = f"{method.upper()} {path}"
                other = now.get(part, {}).get(path, {}).get(method)
                if other is None:
                    yield f"{place} is gone"
                    continue
                for status in operation["responses"].keys() - other["responses"].keys():
                    yield f"{place} no longer answers {status}"
                needed = {p["name"] for p in other.get("parameters", ()) if p.get("required")}
                known = {p["name"] for p in operation.get("parameters", ())}
                for name in needed - known:
                    yield f"{place} needs {name}"
                yield from _body(place, operation.get("requestBody"), other.get("requestBody"))


def _body(place: str, former: Json, now: Json) -> Iterator[str]:
    if former is None:
        if now is not None and now.get("required"):
            yield f"{place} needs a body"
        return
    for kind, one in former["content"].items():
        other = {} if now is None else now["content"].get(kind, {})
        if one.get("schema", {}) != other.get("schema") and "$ref" in one.get("schema", {}):
            yield f"{place} takes another {kind}"


def _schemas(former: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    models = now["components"]["schemas"]
    for name, model in former["components"]["schemas"].items():
        other = models.get(name)
        if other is None:
            yield f"{name} is gone"
        else:
            yield from _schema(name, model, other)


def _schema(  # noqa: C901 - a branch for each kind of break
    place: str, former: Mapping[str, Json], now: Mapping[str, Json]
) -> Iterator[str]:
    for key in ("type", "$ref", "const", "format", "pattern"):
        if key in former and former[key] != now.get(key):
            yield f"{place}: its {key} is another"
    for value in former.get("enum", ()):
        if value not in now.get("enum", ()):
            yield f"{place}: {value!r} is gone"
    for key in ("maxLength", "maxItems", "maximum"):
        if now.get(key, former.get(key, 0)) < former.get(key, 0) or (key in now) > (key in former):
            yield f"{place}: its {key} is smaller"
    for name, field in former.get("properties", {}).items():
        other = now.get("properties", {}).get(name)
        if other is None:
            yield f"{place}.{name} is gone"
        else:
            yield from _schema(f"{place}.{name}", field, other)
    sent = former.get("additionalProperties") is False
    for name in now.get("required", ()):
        if sent and name not in former.get("required", ()):
            yield f"{place} needs {name}"
    for name in former.get("required", ()):
        if not sent and name not in now.get("required", ()):
            yield f"{place}.{name} may be missing"
    if "items" in former:
        yield from _schema(f"{place}[]", former["items"], now.get("items", {}))
    others = [str(one) for one in now.get("anyOf", ())]
    for one in former.get("anyOf", ()):
        if "$ref" in one and str(one) not in others:
            yield f"{place}: {one['$ref']} is gone"
        if one.get("type") not in (None, *(n.get("type") for n in now.get("anyOf", ()))):
            yield f"{place}: {one['type']} is gone"
