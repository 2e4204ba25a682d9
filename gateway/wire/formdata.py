"""Reads one formdata of w.c.s., pushed or pulled.

Both have the same shape (w.c.s. `formdata.py`, get_json_export_dict). An optional part is read
leniently; what would lose or distort a citizen's data is refused, with a constant code and a French
sentence that never repeats a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NoReturn
from urllib.parse import unquote

import orjson

from gateway.core.errors import Rejected
from gateway.core.request import Json, Person
from gateway.sdk.publik.localtime import parse_aware, parse_local
from gateway.wire.files import FILE_KEYS, IncomingFile, is_file, read_file
from gateway.wire.history import HistoryEntry, read_history
from gateway.wire.spool import MOST_TEXT, NO_TEXTS, LongText, read_document

_SLUG = re.compile(r"/api/forms/([^/?#]+)/[^/?#]+/?$")
#: Characters of a name (an identifier, a number, an account) and of an address.
_LONGEST = 200
_LONGEST_URL = 2_000
#: Top-level keys of a formdata; others come from an explicit payload.
_KNOWN = frozenset(
    {"uuid", "id", "internal_id", "display_id", "display_name", "digests", "digest", "text"}
    | {"url", "backoffice_url", "api_url", "receipt_time", "last_update_time", "user", "fields"}
    | {"criticality_level", "workflow", "actions", "roles", "submission", "evolution"}
    | {"geolocations", "extra"}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a body: bytes as sent, bytes per decoded file, files, nesting, values."""

    max_bytes: int
    max_file_bytes: int
    max_files: int
    max_depth: int
    #: Not configurable.
    max_fields: int = 10_000


@dataclass(frozen=True, slots=True)
class Formdata:
    """A formdata. Times are aware UTC. In `fields`, `workflow_fields` and `extra`, `{"file":
    index}` stands for each file, with its index in `files`.

    `ref` is the public id, unique within the form. `location` is (latitude, longitude). `document`
    is the whole JSON, with words in place of large files' contents.
    """

    ref: str
    uuid: str | None
    display_id: str | None
    slug: str | None
    url: str | None
    api_url: str | None
    receipt_time: datetime | None
    user: Person | None
    fields: Mapping[str, Json]
    workflow_fields: Mapping[str, Json]
    extra: Mapping[str, Json]
    location: tuple[float, float] | None
    channel: str
    files: tuple[IncomingFile, ...]
    history: tuple[HistoryEntry, ...] = ()
    #: Bytes of its text without files' contents: the measure of work on it.
    size: int = field(default=0, compare=False)
    document: Mapping[str, Json] = field(default_factory=dict, compare=False, repr=False)


def parse_formdata(
    body: bytes,
    content_type: str | None,
    *,
    limits: Limits,
    texts: Mapping[str, LongText] = NO_TEXTS,
    names: Sequence[str] = (),
) -> Formdata:
    """Parse the formdata of a JSON body: complete, complete with `extra`, or an explicit payload.

    `texts` are a large body's texts on disk, by the word that replaces each in `body`. `names` are
    the ids that the body may give when the address names its request; the first is its `ref`.
    Without `fields`, every top-level key unknown to w.c.s. goes to `extra`. Raises Rejected 413
    (too large), 415 (not JSON in UTF-8 by its header) or 400 (anything else).
    """
    if len(body) > limits.max_bytes:
        _reject("body_too_large", "La demande dépasse la taille permise.", 413)
    _check_content_type(content_type)
    try:
        document = read_document(body)
    except orjson.JSONDecodeError:
        _reject("not_json", "Le corps n'est pas du JSON valable en UTF-8.")
    if not isinstance(document, dict):
        _reject("not_an_object", "Le corps doit être un objet JSON.")
    return formdata_of(document, limits=limits, texts=texts, names=names, size=len(body))


def formdata_of(
    document: dict[str, Any],
    *,
    limits: Limits,
    texts: Mapping[str, LongText] = NO_TEXTS,
    names: Sequence[str] = (),
    size: int = 0,
) -> Formdata:
    """Return the formdata of a JSON object of `size` bytes; see `parse_formdata`. The formdata
    takes over the object. Raises Rejected as `parse_formdata` does."""
    _check_depth(document, limits.max_depth)
    lying = _Texts(texts)
    if texts:
        lying.restore(document)
    if names:
        given = document.get("id")
        if given is not None and str(given).strip() not in ("", *names):
            _reject("id_mismatch", "L'identifiant (id) n'est pas celui de l'adresse.")
        document["id"] = names[0]
    return _formdata(document, limits, lying, size)


def parse_location(value: object) -> tuple[float, float] | None:
    """Return (latitude, longitude) of a map field: an object with `lat` and `lon` and nothing else.

    A text such as `12;30` may be anything, and a data source's row may locate something else.
    """
    if not isinstance(value, Mapping) or value.keys() != {"lat", "lon"}:
        return None
    lat, lon = _number(value["lat"]), _number(value["lon"])
    if lat is None or lon is None or not (-90 <= lat <= 90 and -180 <= lon <= 180):
        return None
    return lat, lon


def _formdata(doc: Mapping[str, Json], limits: Limits, texts: _Texts, size: int) -> Formdata:
    fields = _object(doc, "fields")
    extra = dict(_object(doc, "extra"))
    if doc.get("fields") is None:
        extra = {k: v for k, v in doc.items() if k not in _KNOWN} | extra
    workflow = _object(doc, "workflow")
    lift = _Lift(limits, texts)
    lifted = lift.values(fields, "")
    lifted_workflow = lift.values(_object(workflow, "fields"), "workflow_fields.")
    lifted_extra = lift.values(extra, "extra.")
    api_url = _name(doc, "api_url", _LONGEST_URL)
    slug = _SLUG.search(api_url) if api_url else None
    return Formdata(
        ref=_ref(doc.get("id")),
        uuid=_name(doc, "uuid"),
        display_id=_name(doc, "display_id"),
        slug=unquote(slug[1]) if slug else None,
        url=_text(doc.get("url")),
        api_url=api_url,
        receipt_time=parse_local(doc.get("receipt_time"), _history(doc, workflow)),
        user=_person(doc.get("user")),
        fields=lifted,
        workflow_fields=lifted_workflow,
        extra=lifted_extra,
        location=_location(doc, fields),
        channel=_text(_object(doc, "submission", lenient=True).get("channel")) or "web",
        files=tuple(lift.files),
        history=read_history(doc.get("evolution")),
        size=size + texts.size,
        document=doc,
    )


class _Lift:
    """Lifts the files out of JSON values, and counts the values."""

    def __init__(self, limits: Limits, texts: _Texts) -> None:
        self.files: list[IncomingFile] = []
        self._limits = limits
        self._texts = texts
        self._count = 0

    def values(
        self, values: Mapping[str, Json], prefix: str, *, files: bool = True
    ) -> dict[str, Json]:
        if values.keys() == {"file"} and isinstance(values["file"], int):
            # It would pass for a lifted file.
            _reject("reserved_value", "Un champ a la forme réservée aux fichiers.")
        # A data source's row (`_structured`) holds no file, whatever its columns are called.
        return {
            name: self._value(value, prefix + name, files and not name.endswith("_structured"))
            for name, value in values.items()
        }

    def _value(self, value: Json, path: str, files: bool) -> Json:
        self._count += 1
        if self._count > self._limits.max_fields:
            _reject("too_many_fields", "La demande contient trop de champs.")
        kind = type(value)
        if kind is list:
            return [self._value(item, f"{path}.{i}", files) for i, item in enumerate(value)]
        if kind is str and self._texts.lying:
            return self._texts.back(value)  # no file's content after all
        if kind is not dict:
            return value
        if files and is_file(value):
            return self._file(value, path)
        return self.values(value, path + ".", files=files)

    def _file(self, value: Mapping[str, Json], path: str) -> Json:
        if "\0" in path:
            _reject("bad_name", "Le nom d'un champ de fichier contient un caractère nul.")
        if len(self.files) >= self._limits.max_files:
            _reject("too_many_files", "La demande contient trop de fichiers.", 413)
        self.files.append(read_file(path, value, self._limits.max_file_bytes, self._texts.lying))
        return {"file": len(self.files) - 1}


def _check_content_type(content_type: str | None) -> None:
    if not content_type:
        return
    kind, *parameters = (p.strip().lower() for p in content_type.split(";"))
    if kind not in ("application/json", "text/json") and not kind.endswith("+json"):
        _reject("not_json", "Le type de contenu doit être application/json.", 415)
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip() == "charset" and charset.strip(" \"'") not in ("utf-8", "utf8", "us-ascii"):
            _reject("wrong_charset", "Le jeu de caractères doit être UTF-8.", 415)


def _check_depth(document: Json, max_depth: int) -> None:
    # A JSON parser gives values of exactly these types.
    level = [document]
    for _ in range(max_depth):
        level = [
            item
            for value in level
            for item in (value.values() if type(value) is dict else value)
            if type(item) in (dict, list)
        ]
        if not level:
            return
    _reject("too_deep", "Le corps JSON est trop profondément imbriqué.")


class _Texts:
    """The texts of a body on disk; no more is read back than a form can hold."""

    def __init__(self, texts: Mapping[str, LongText]) -> None:
        self.lying = texts
        #: Bytes that were read back.
        self.size = 0

    def back(self, value: str) -> str:
        """Return the text of this word. Raises Rejected 413 when it is too much."""
        long = self.lying.get(value)
        if long is None:
            return value
        self.size += long.size
        if self.size > MOST_TEXT:
            _reject("text_too_long", "Les textes de la demande sont trop longs.", 413)
        return long.text()

    def restore(self, document: dict[str, Json]) -> None:
        """Read everything back but files' contents and the workflow's data, which is large."""
        workflow = document.get("workflow")
        data = workflow.pop("data", None) if isinstance(workflow, dict) else None
        self._walk(document)
        if data is not None:
            document["workflow"]["data"] = data

    def _walk(self, document: dict[str, Json]) -> None:
        waiting: list[Json] = [document]
        while waiting:
            value = waiting.pop()
            if type(value) is dict and not self.lying.keys().isdisjoint(value):
                named = [(self.back(name), one) for name, one in value.items()]
                value.clear()
                value.update(named)
            for at, one in value.items() if type(value) is dict else enumerate(value):
                if type(one) in (dict, list):
                    waiting.append(one)
                elif type(one) is str and at not in FILE_KEYS:
                    value[at] = self.back(one)


def _ref(value: object) -> str:
    text = _text(value)
    if text is None:
        _reject("missing_id", "L'identifiant (id) de la demande manque.")
    # It is part of a portal's address, where a slash or dots would lead to another formdata.
    if len(text) > _LONGEST or not text.isprintable() or {*"/\\"} & {*text} or not text.strip("."):
        _reject("bad_id", "L'identifiant (id) de la demande est mal formé.")
    return text


def _name(parent: Mapping[str, Json], key: str, longest: int = _LONGEST) -> str | None:
    """Return a text for a column of its own, as both databases take it."""
    text = _text(parent.get(key))
    if text is not None and (len(text) > longest or "\0" in text):
        _reject("bad_text", f"« {key} » est trop long ou contient un caractère nul.")
    return text


def _text(value: object) -> str | None:
    """Return a text or a whole number as text, None for an empty or other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def _object(parent: Mapping[str, Json], name: str, *, lenient: bool = False) -> Mapping[str, Json]:
    value = parent.get(name)
    if isinstance(value, dict):
        return value
    if value is not None and not lenient:
        _reject("wrong_type", f"« {name} » doit être un objet JSON.")
    return {}


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = re.fullmatch(r"-?[0-9]{1,3}(?:\.[0-9]{1,20})?", value.strip())
        return float(value) if found else None
    return float(value) if isinstance(value, int | float) and abs(value) <= 180 else None


def _person(value: object) -> Person | None:
    if not isinstance(value, dict):
        return None
    name_id = value.get("NameID")
    names = name_id if isinstance(name_id, list) else [name_id]
    uuid = next((text for n in names if (text := _name({"NameID": n}, "NameID"))), None)
    person = Person(_text(value.get("name")), _text(value.get("email")), uuid)
    return None if person == Person() else person


def _location(doc: Mapping[str, Json], fields: Mapping[str, Json]) -> tuple[float, float] | None:
    base = parse_location(_object(doc, "geolocations", lenient=True).get("base"))
    candidates = (parse_location(value) for value in fields.values())
    return base or next((c for c in candidates if c), None)


def _history(doc: Mapping[str, Json], workflow: Mapping[str, Json]) -> Iterator[datetime]:
    """Yield the instants with offsets in the history; read on demand."""
    evolution = doc.get("evolution")
    entries = evolution if isinstance(evolution, list) else []
    arrivals = (
        _object(workflow, status, lenient=True).get(moment)
        for status in ("status", "real_status")
        for moment in ("first_arrival_datetime", "latest_arrival_datetime")
    )
    texts = chain((e.get("time") for e in entries if isinstance(e, dict)), arrivals)
    yield from sorted(t for text in texts if (t := parse_aware(text)))


def _reject(code: str, text: str, status: int = 400) -> NoReturn:
    raise Rejected(status, code, text)
