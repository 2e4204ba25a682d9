"""`check`: compares each operation, argument and path with the WSDL, then calls those that only
read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

from adapters.rest.answers import Documents, NoteFields, TimeRule
from adapters.rest.checking import NOBODY
from adapters.rest.expression import RestExpression
from adapters.soap.answers import NOTHING, Shape
from adapters.soap.arguments import Misfit, find_misfits, find_misread, find_nearest, shape_of_items
from adapters.soap.client import IN_A_THREAD, SoapClient
from adapters.soap.options import (
    AmendOperation,
    EraseOperation,
    PollOperation,
    SoapCall,
    SoapOptions,
)
from adapters.soap.signing import UnusableKey
from adapters.soap.texts import say
from adapters.soap.wsdl import ServiceOperation, SoapService
from gateway.sdk import (
    Absent,
    Answer,
    CannotTell,
    Finding,
    Found,
    Message,
    Note,
    Options,
    TryLater,
    beside,
)

#: A certificate that ends before this is told.
_SOON = timedelta(days=30)
#: Known operations that are named when one is not found.
_MOST_NAMED = 20


async def check_service(
    options: SoapOptions,
    client: SoapClient,
    find: Callable[[str], Awaitable[Finding]],
    *,
    aloud: bool,
) -> list[Note]:
    """Return the notes of `check`. `aloud`: faults bear the service's own words."""
    notes: list[Note] = []
    if options.address.startswith("http://") and not aloud:
        notes.append(Note("warning", say("no_https"), at=("address",)))
    notes += await check_wsdl(options, client, aloud=aloud)
    if any(one.level == "fault" for one in notes):
        return notes
    notes += await _called(options, client, aloud=aloud)
    notes += await _searched(options, find, aloud=aloud)
    return notes


async def check_signing(client: SoapClient, now: datetime) -> list[Note]:
    """Return what is to be said of the key and certificate that sign."""
    try:
        key = await beside(IN_A_THREAD, client.signing_key)
    except UnusableKey as error:
        said = say("signing", why=error.said, cure=error.said.cure)
        return [Note("fault", said, at=("signature", "key"))]
    if key is None:
        return []
    ends = key.ends.date().isoformat()
    if key.ends <= now:
        over = say("certificate_over", ends=ends)
        return [Note("fault", say("signing", why=over, cure=over.cure), at=("signature",))]
    if key.ends - now < _SOON:
        soon = say("certificate_soon", ends=ends)
        return [Note("warning", say("signing", why=soon, cure=soon.cure), at=("signature",))]
    return [Note("ok", say("signs", ends=ends))]


async def check_wsdl(options: SoapOptions, client: SoapClient, *, aloud: bool) -> list[Note]:
    """Return what the options have that the WSDL has not. Nothing is called, but the WSDL's own
    address where no file is named."""
    service = await client.service()
    if client.unusable is not None:
        why = client.unusable.said
        at = client.unusable.option or ("wsdl" if options.wsdl_file is None else "wsdl_file")
        return [Note("fault", say("unusable", why=why, cure=why.cure), at=(at,))]
    if not isinstance(service, SoapService):
        return [Note.fault(say("wsdl"), service, aloud=aloud)]
    told = {"service": service.name, "port": service.port, "version": service.version}
    known = tuple(sorted(service.operations)[:_MOST_NAMED])
    notes = [Note("ok", say("read_wsdl", **told, operations=known))]
    for place, call in options.calls.items():
        notes += _held(place, call, service)
        notes += _headers(options, call, service)
    return notes


# --- against the WSDL ---------------------------------------------------------------------------


def _held(place: tuple[str, ...], call: SoapCall, service: SoapService) -> Iterator[Note]:
    """Yield the faults of a call against the WSDL."""
    operation = service.operations.get(call.operation)
    if operation is None:
        shape = Shape(dict.fromkeys(service.operations, NOTHING))
        where = ".".join((*place, "operation"))
        cure = _cure(call.operation, shape)
        said = say("no_operation", where=where, name=call.operation, cure=cure)
        yield Note("fault", said, at=(*place, "operation"))
        return
    for one in find_misfits(call.arguments.tree, operation.takes):
        at = (*place, "arguments", *one.path[: -1 if one.word == "missing" else None])
        told = {"where": ".".join((*place, "arguments")), "operation": operation.name}
        name = ".".join(one.path)
        if one.word == "unknown":
            cure = _meant(one, operation.takes)
            yield Note("fault", say("unknown", **told, name=name, cure=cure), at=at)
        else:
            yield Note("fault", say(one.word, **told, name=name), at=at)
    for path, expression, shape in _reads(call, operation):
        found = find_misread(expression, shape)
        if found is not None:
            where = ".".join((*place, *path))
            told = {"where": where, "operation": operation.name, "name": ".".join(found.path)}
            said = say("misread", **told, cure=_meant(found, shape))
            yield Note("fault", said, at=(*place, *path))


def _headers(options: SoapOptions, call: SoapCall, service: SoapService) -> Iterator[Note]:
    """Yield the headers that an operation does not have: each goes along with each call."""
    operation = service.operations.get(call.operation)
    if operation is None or operation.headers.open:
        return
    for name in options.soap_header:
        if name not in operation.headers.children:
            told = {"operation": operation.name, "name": name}
            cure = _cure(name, operation.headers)
            yield Note("fault", say("no_header", **told, cure=cure), at=("soap_header", name))


Seen = tuple[tuple[str, ...], RestExpression, Shape]


def _reads(call: SoapCall, operation: ServiceOperation) -> Iterator[Seen]:
    """Yield each expression over the answer: its place in the YAML, itself, and its shape."""
    if isinstance(call, PollOperation) and call.detail is not None:
        if call.list is not None:
            yield ("list",), call.list, operation.gives
    elif not isinstance(call, EraseOperation | AmendOperation):
        yield from _paths(call, (), operation.gives)


def _paths(rules: Options, where: tuple[str, ...], shape: Shape) -> Iterator[Seen]:
    listed = getattr(rules, "list", None)
    if listed is not None:
        yield (*where, "list"), listed, shape
    whole, shape = shape, shape if listed is None else shape_of_items(listed, shape)
    for name, value in rules:
        match value:
            case RestExpression() if name != "list":
                yield (*where, name), value, whole if name == "server_cursor" else shape
            case TimeRule():
                yield (*where, name, "value"), value.value, shape
            case NoteFields() | Documents():
                yield from _paths(value, (*where, name), shape)


def _meant(one: Misfit, shape: Shape) -> Message:
    if one.nearest is not None:
        return say("meant", name=one.nearest)
    for step in one.path[:-1]:
        shape = shape.children.get(step, NOTHING)
    return say("there_is", known=tuple(sorted(shape.children)[:_MOST_NAMED]))


def _cure(name: str, shape: Shape) -> Message:
    return _meant(Misfit((name,), "unknown", find_nearest(name, shape)), shape)


# --- calls ----------------------------------------------------------------------------------------


async def _called(options: SoapOptions, client: SoapClient, *, aloud: bool) -> list[Note]:
    call = options.check
    if call is None:
        return [Note("warning", say("unchecked"))]
    answer = await client.run(call, {}, safe=True)
    if not isinstance(answer, Answer):
        what = say("access", operation=call.operation)
        return [Note.fault(what, answer, aloud=aloud)]
    return [Note("ok", say("answers", operation=call.operation))]


async def _searched(
    options: SoapOptions, find: Callable[[str], Awaitable[Finding]], *, aloud: bool
) -> list[Note]:
    if options.find is None:
        return [Note("warning", say("no_find"))]
    match finding := await find(NOBODY):
        case Absent():
            return [Note("ok", say("find_answers"))]
        case Found():
            return [Note("fault", say("find_believes", nobody=NOBODY), at=("find", "match"))]
        case CannotTell(reason, detail):
            failure = TryLater(reason, detail, answer=finding.answer)
            return [Note.fault(say("search"), failure, aloud=aloud)]


__all__ = ["check_service", "check_wsdl"]
