"""The list API of w.c.s.: filters, order, pages and rows."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams

from gateway.core.request import Json
from gateway.sim import texts
from gateway.sim.form import Form
from gateway.sim.formdata import PARIS, SimulatedFormdata
from gateway.sim.workflow import WorkflowStatus

ON = frozenset({"on", "true", "1"})
OFF = frozenset({"off", "false", "0"})
SWITCHES = ("user", "fields", "evolution", "roles", "submission", "workflow", "workflow-data")
_ORDERS: dict[str, Callable[[SimulatedFormdata], Any]] = {
    "receipt_time": lambda item: item.received,
    "last_update_time": lambda item: item.updated,
    "id": lambda item: (len(item.internal_id), item.internal_id),
}
Check = Callable[[SimulatedFormdata], bool]


class BadQuery(ValueError):
    """The answer 400. w.c.s. translates `text` and fills in `values`; None: there is no text."""

    def __init__(self, text: str | None = None, *values: str) -> None:
        super().__init__(text)
        self.text = text
        self.values = values


def matching(
    form: Form, items: list[SimulatedFormdata], query: QueryParams
) -> list[SimulatedFormdata]:
    """Return the formdata that the query asks for, in its order. Raises BadQuery.

    Only the named column orders them. Rows of the same time come in the table's order, and a row
    that is written moves to the end of the table.
    """
    checks = _filters(form, query)
    rows = [item for item in items if item.form is form and all(check(item) for check in checks)]
    order = query.get("order_by", "-receipt_time")
    column = order.removeprefix("-")
    rows.sort(key=lambda item: item.written)
    if column in _ORDERS:  # another column changes nothing
        rows.sort(key=_ORDERS[column], reverse=order.startswith("-"))
    return rows


def list_page(
    rows: list[SimulatedFormdata],
    query: QueryParams,
    raw_query: str,
    url: str,
    row: Callable[[SimulatedFormdata], Json],
) -> Json:
    """Return the page: an array, or an object with the count and the neighbouring pages."""
    limit, offset = _whole(query, "limit"), _whole(query, "offset") or 0
    data = [row(item) for item in rows[offset : None if limit is None else offset + limit]]
    if query.get("response_type") != "dict":
        return data
    body: dict[str, Json] = {"err": 0, "count": len(rows), "data": data}
    if limit is not None:
        if offset + limit < len(rows):
            body["next"] = f"{url}?{_at(raw_query, offset + limit)}"
        if offset > 0:
            body["previous"] = f"{url}?{_at(raw_query, max(0, offset - limit))}"
    return body


def _at(raw_query: str, offset: int) -> str:
    """Return the same query, signature included, with another offset."""
    pairs = dict(parse_qsl(raw_query, keep_blank_values=True))
    return urlencode(pairs | {"offset": str(offset)})


def row_of(item: SimulatedFormdata, query: QueryParams, base: str, fires: bool) -> dict[str, Json]:
    """Return one row: ids and times, and what the switches add. File contents are left out."""
    full = query.get("full") in ON
    wanted = {name for name in SWITCHES if full or query.get(f"include-{name}") in ON}
    row = item.row(base)
    if not wanted:
        return row
    without = frozenset(SWITCHES) - wanted
    whole = item.document(base, files=False, without=without)
    whole.pop("digests")
    if full or query.get("include-actions") in ON:
        whole["actions"] = item.actions(base, fires)
    return {**whole, "digest": row["digest"]}


def _filters(form: Form, query: QueryParams) -> list[Check]:
    names = {one.varname for one in form.fields if one.type not in _UNFILTERED}
    names |= {one.varname for one in form.backoffice}
    checks: list[Check] = []
    for name, value in query.items():
        if not name.startswith("filter-") or name.endswith(("-value", "-operator")):
            continue
        field = name.removeprefix("filter-")
        if name in _BOUNDS:
            moment = _wall_clock(query.get(f"{name}-value", ""))
            # Without the switch, or with an unreadable date, nothing is filtered or said.
            if value in ON and moment is not None:
                checks.append(functools.partial(_bounded, _BOUNDS[name], moment))
        elif name == "filter-internal-id":
            operator = query.get(f"{name}-operator", "eq")
            checks.append(functools.partial(_numbered, _number_check(operator), _numbers(value)))
        elif name in _EXACT:
            checks.append(functools.partial(_exact, _EXACT[name], value))
        elif field in names:
            operator = query.get(f"{name}-operator", "eq")
            if operator not in _OPERATORS:
                raise BadQuery(texts.OPERATOR, operator, name)
            checks.append(functools.partial(_valued, field, _OPERATORS[operator], value))
        else:
            raise BadQuery(texts.FILTER, field)
    checks.append(_status(form, query.get("filter", "all"), query.get("filter-operator", "eq")))
    if query.get("include-anonymised") not in ON:
        checks.append(lambda item: not item.anonymised)
    return checks


def _status(form: Form, asked: str, operator: str) -> Check:
    if operator not in ("eq", "ne", "in", "not_in"):
        raise BadQuery(texts.OPERATOR_OF, operator, "filter-operator")
    wanted: set[str] = set()
    for word in asked.split("|") if operator in ("in", "not_in") else [asked]:
        wanted |= _statuses(form, word)
    negative = operator in ("ne", "not_in")
    return lambda item: (item.status in wanted) is not negative


def _statuses(form: Form, word: str) -> set[str]:
    """Return the ids of the statuses that a word stands for: a group, an id or a name."""
    groups: dict[str, Callable[[WorkflowStatus], bool]] = {
        "all": lambda status: True,
        "done": lambda status: status.endpoint,
        "pending": lambda status: not status.endpoint,
    }
    if word in groups:
        return {status.id for status in form.statuses if groups[word](status)}
    return {status.id for status in form.statuses if word in (status.id, status.name)}


def _numbers(text: str) -> list[int]:
    words = re.split("[|,]", text)
    if not all(word.isdigit() for word in words):
        raise BadQuery(texts.VALUE, text, "filter-internal-id-value")
    return [int(word) for word in words]


def _number_check(operator: str) -> Callable[[int, list[int]], bool]:
    found = _NUMBER_OPERATORS.get(operator)
    if found is None:
        raise BadQuery(texts.OPERATOR_OF, operator, "filter-internal-id")
    return found


def _numbered(
    check: Callable[[int, list[int]], bool], asked: list[int], item: SimulatedFormdata
) -> bool:
    return item.internal_id.isdigit() and check(int(item.internal_id), asked)


_NUMBER_OPERATORS: dict[str, Callable[[int, list[int]], bool]] = {
    "eq": lambda number, asked: number in asked,
    "ne": lambda number, asked: number not in asked,
    "in": lambda number, asked: number in asked,
    "not_in": lambda number, asked: number not in asked,
    "gt": lambda number, asked: number > asked[0],
    "gte": lambda number, asked: number >= asked[0],
    "lt": lambda number, asked: number < asked[0],
    "lte": lambda number, asked: number <= asked[0],
}
#: Kinds of fields without a filter.
_UNFILTERED = frozenset({"file", "map", "block"})
_BOUNDS: dict[str, Callable[[SimulatedFormdata, datetime], bool]] = {
    "filter-start": lambda item, at: _wall(item.received) >= at,
    "filter-end": lambda item, at: _wall(item.received) <= at,
    "filter-start-mtime": lambda item, at: _wall(item.updated) >= at,
    "filter-end-mtime": lambda item, at: _wall(item.updated) <= at,
}
_EXACT: dict[str, Callable[[SimulatedFormdata, str], bool]] = {
    "filter-number": lambda item, text: item.display_id == text,
    "filter-identifier": lambda item, text: item.id in text.split(","),
    "filter-user-uuid": lambda item, text: item.account == text,
}
#: Compare a field's values (none when empty) with the wanted values.
_OPERATORS: dict[str, Callable[[list[str], str], bool]] = {
    "eq": lambda values, asked: asked in values,
    "ne": lambda values, asked: asked not in values,
    "in": lambda values, asked: any(v in asked.split("|") for v in values),
    "not_in": lambda values, asked: not any(v in asked.split("|") for v in values),
    "gt": lambda values, asked: any(v > asked for v in values),
    "gte": lambda values, asked: any(v >= asked for v in values),
    "lt": lambda values, asked: any(v < asked for v in values),
    "lte": lambda values, asked: any(v <= asked for v in values),
    "icontains": lambda values, asked: any(asked.lower() in v.lower() for v in values),
    "existing": lambda values, asked: bool(values),
    "absent": lambda values, asked: not values,
}


def _bounded(
    check: Callable[[SimulatedFormdata, datetime], bool], at: datetime, item: SimulatedFormdata
) -> bool:
    return check(item, at)


def _exact(
    check: Callable[[SimulatedFormdata, str], bool], text: str, item: SimulatedFormdata
) -> bool:
    return check(item, text)


def _valued(
    field: str, check: Callable[[list[str], str], bool], asked: str, item: SimulatedFormdata
) -> bool:
    values: Mapping[str, Json] = item.fields | item.workflow_fields
    told = (values.get(f"{field}_raw"), values.get(field))
    return check([str(one) for one in told if one not in (None, "", [])], asked)


def _wall_clock(text: str) -> datetime | None:
    """Return a filter's date as w.c.s. reads it: the local time, without its zone."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _wall(moment: datetime) -> datetime:
    return moment.astimezone(PARIS).replace(tzinfo=None, microsecond=0)


def _whole(query: QueryParams, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise BadQuery
    return int(text)
