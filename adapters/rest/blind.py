"""Finds paths of the YAML that match nothing in a GRU's answer: a wrong name raises no error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.rest.answers import Documents, Item, NoteFields
from adapters.rest.expression import Json, RestExpression

Named = tuple[str, RestExpression | None]


def needed_paths(rules: Item, items: Sequence[Json]) -> list[str]:
    """Return those of the blind paths that are required for any change."""
    at = None if rules.at is None else rules.at.value
    blind = _blind("", [("status", rules.status), ("at.value", at)], items)
    ways: list[Named] = [("gru_reference", rules.gru_reference), ("reference", rules.reference)]
    lost = _blind("", ways, items)
    given = [path for _, path in ways if path is not None]
    return blind + (lost if len(lost) == len(given) else [])


def blind_paths(rules: Item, items: Sequence[Json]) -> list[str]:
    """Return the paths of `rules` that match nothing in any of the items, as `status: etat.nom`.

    Without items the result is empty.
    """
    at = None if rules.at is None else rules.at.value
    every: list[Named] = [("status", rules.status), ("at.value", at)]
    every += [("gru_reference", rules.gru_reference), ("reference", rules.reference)]
    blind = _blind("", every, items) + _in_fields("", rules, items)
    if rules.notes is not None:
        notes, found = rules.notes, _listed(rules.notes.list, items)
        if found is None:
            return [*blind, f"notes.list: {notes.list.text}"]
        at = None if notes.at is None else notes.at.value
        blind += _blind("notes.", [("at.value", at)], found)
        blind += _in_fields("notes.", notes, found)
    return blind


def _in_fields(where: str, rules: NoteFields, elements: Sequence[Json]) -> list[str]:
    fields = [("internal", rules.internal), ("key", rules.key), ("author", rules.author)]
    blind = _blind(where, fields, elements)
    if where and rules.also:
        return blind  # the rest is in what is fetched for new ones only
    blind += _blind(where, [("message", rules.message)], elements)
    if rules.documents is not None:
        blind += _in_documents(f"{where}documents.", rules.documents, elements)
    return blind


def _in_documents(where: str, rules: Documents, elements: Sequence[Json]) -> list[str]:
    found = _listed(rules.list, elements)
    if found is None:
        return [f"{where}list: {rules.list.text}"]
    fields: list[Named] = [("key", rules.key), ("internal", rules.internal)]
    fields.append(("author", rules.author))
    if not rules.also:
        fields += [("content", rules.content), ("address", rules.address)]
        fields += [("filename", rules.filename), ("content_type", rules.content_type)]
    return _blind(where, fields, found)


def _listed(path: RestExpression, elements: Sequence[Json]) -> list[Json] | None:
    """Return the lists at this path in all elements, joined; None when there is no list in any."""
    found = [path.read(element) for element in elements]
    lists = [several for several in found if isinstance(several, list)]
    return [one for several in lists for one in several] if lists or not found else None


def _blind(where: str, fields: Iterable[Named], elements: Sequence[Json]) -> list[str]:
    return [
        f"{where}{name}: {path.text}"
        for name, path in fields
        if path is not None and elements and all(path.read(e) is None for e in elements)
    ]


__all__ = ["blind_paths", "needed_paths"]
