"""Fetches the documents of a WSDL within bounds, and has zeep make a service of them.

zeep is imported with the first service, so a daemon without one never loads it. It gets the
documents from us, and has no transport of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from threading import Lock
from typing import Any, Final
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from adapters.rest.expression import Json
from adapters.soap.answers import NOTHING, AnswerElement, Shape
from adapters.soap.arguments import find_nearest
from adapters.soap.texts import say
from gateway.sdk import ConfigFile, Message, Outcome, Unreadable, beside, read_xml

#: Documents of one WSDL, and their bytes in all.
MOST_DOCUMENTS: Final = 60
MOST_BYTES: Final = 4_000_000
#: Levels of a message that are described: a type may contain itself.
_DEEPEST: Final = 12
#: Elements of a message that are described.
_MOST_SHAPES: Final = 5_000
#: Copies of groups that zeep would make, in all types together.
_MOST_GROUPS: Final = 50_000
_DEEPEST_GROUPS: Final = 100
_GROUPS: Final = {"group", "attributeGroup"}
_IMPORTS: Final = {"import", "include", "redefine"}

#: Gives the bytes of the document at an address, or the failure.
Get = Callable[[str], Awaitable[bytes | Outcome]]


#: The base address of files in `config/files/`.
BESIDE: Final = "http://config.invalid/"


class UnusableWsdl(Exception):
    """The WSDL cannot be used. `said` says why, and quotes nothing but names.

    `option` is the one that asks for a missing part; it is empty for a fault of the WSDL itself.
    """

    def __init__(self, said: Message, option: str = "") -> None:
        super().__init__(said.what())
        self.said, self.option = said, option


async def read_documents(start: str, get: Get) -> dict[str, bytes] | Outcome:
    """Fetch a WSDL and all that it imports, by address. Raises UnusableWsdl."""
    found: dict[str, bytes] = {}
    waiting, size = [start], 0
    while waiting:
        address = waiting.pop()
        if address in found:
            continue
        if len(found) >= MOST_DOCUMENTS:
            raise UnusableWsdl(say("many_documents", most=MOST_DOCUMENTS))
        content = await get(address)
        if not isinstance(content, bytes):
            return content
        size += len(content)
        if size > MOST_BYTES:
            raise UnusableWsdl(say("wsdl_large", most=MOST_BYTES))
        found[address] = content
        places = await beside(len(content), partial(_imports, content))
        waiting += [urljoin(address, place) for place in places]
    return found


def files_beside(file: ConfigFile) -> Get:
    """Return a function that finds documents beside a file by their last name, whatever folder
    their address gives."""

    async def get(address: str) -> bytes:
        name = address.partition("?")[0].rpartition("/")[2]
        if name not in file.beside:
            raise UnusableWsdl(say("imports_lacking", name=name[:100]))
        return file.beside[name].encode()

    return get


def _imports(document: bytes) -> list[str]:
    """Return the addresses that a document imports. Raises UnusableWsdl."""
    try:
        root, _ = read_xml(document)
    except Unreadable as error:
        raise UnusableWsdl(say("wsdl_unreadable", error=str(error))) from None
    if root.tag not in ("definitions", "schema"):
        raise UnusableWsdl(say("no_wsdl"))
    return [place for one in root.iter() if (place := _place(one)) is not None]


def _refuse_swelling(documents: Iterable[bytes]) -> None:
    """Raise UnusableWsdl for groups that would grow without end.

    A few lines of groups that contain one another twice each become millions of copies in zeep.
    """
    held: dict[_Group, list[_Group]] = {}
    used: list[_Group] = []
    for document in documents:
        try:
            root, _ = read_xml(document)
        except Unreadable as error:
            raise UnusableWsdl(say("wsdl_unreadable", error=str(error))) from None
        for one in root.iter():
            if one.tag in _GROUPS and (name := one.get("name")):
                held.setdefault((one.tag, name), []).extend(_groups_in(one))
        used += _groups_in(root)
    copies: dict[_Group, int] = {}
    if sum(_copies(one, held, copies) for one in used) > _MOST_GROUPS:
        raise UnusableWsdl(say("many_groups", most=_MOST_GROUPS))


#: A group by its tag and its name, whatever its namespace.
_Group = tuple[str, str]


def _groups_in(element: Element) -> list[_Group]:
    found = ((one.tag, one.get("ref", "")) for one in element.iter() if one.tag in _GROUPS)
    return [(tag, ref.rpartition(":")[2]) for tag, ref in found if ref]


def _copies(
    group: _Group, held: Mapping[_Group, list[_Group]], copies: dict[_Group, int], depth: int = 0
) -> int:
    if group not in copies:
        if depth > _DEEPEST_GROUPS:
            raise UnusableWsdl(say("many_groups", most=_MOST_GROUPS))
        copies[group] = 1  # zeep itself refuses a group that contains itself
        inside = (_copies(one, held, copies, depth + 1) for one in held.get(group, ()))
        copies[group] = 1 + sum(inside)
    return copies[group]


def _place(element: Element) -> str | None:
    if element.tag not in _IMPORTS:
        return None
    return element.get("location") or element.get("schemaLocation")


@dataclass(frozen=True, slots=True)
class SoapService:
    """The operations of a service at one of its ports. `version` is SOAP's: `1.1` or `1.2`."""

    name: str
    port: str
    version: str
    operations: Mapping[str, ServiceOperation]


@dataclass(frozen=True, slots=True)
class ServiceOperation:
    """One operation.

    `takes` and `gives` are the shapes of its messages, `headers` that of its header. `answer` is
    the answer's element, if the WSDL names it.
    """

    name: str
    takes: Shape
    gives: Shape
    headers: Shape
    answer: AnswerElement | None
    answers: bool
    action: str
    zeep: Any = field(repr=False, compare=False)

    def envelope(self, arguments: Mapping[str, Json], header: Mapping[str, Json]) -> Any:
        """Return the envelope as an element of lxml. Raises whatever zeep raises."""
        more = {"_soapheaders": dict(header)} if header else {}
        return self.zeep.create(**arguments, **more).content


class _Documents:
    """The transport that zeep asks for documents; it has those that were fetched."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents

    def load(self, address: str) -> bytes:
        try:
            return self._documents[address]
        except KeyError:
            raise UnusableWsdl(say("imports_lacking", name=address[:100])) from None


#: One thread at a time loads zeep: its modules import one another, and a second thread could find
#: half of one.
_LOADING: Final = Lock()


def make_service(
    start: str,
    documents: tuple[tuple[str, bytes], ...],
    service: str | None,
    port: str | None,
) -> SoapService:
    """Make a service of a WSDL's documents, once for all communes with the same ones.

    It takes long: call it in a thread. Raises UnusableWsdl.
    """
    with _LOADING:
        return parse_service(start, documents, service, port)


@lru_cache(maxsize=64)
def parse_service(
    start: str,
    documents: tuple[tuple[str, bytes], ...],
    service: str | None,
    port: str | None,
) -> SoapService:
    """Make a service, and load the parts of zeep that a call needs. For `make_service` alone."""
    _refuse_swelling(content for _, content in documents)
    import zeep.wsse.username
    import zeep.xsd  # noqa: F401 - loaded here, under the lock
    from zeep.settings import Settings
    from zeep.wsdl import Document

    settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, xml_huge_tree=False)
    try:
        wsdl = Document(start, _Documents(dict(documents)), settings=settings)
    except UnusableWsdl:
        raise
    except Exception as error:  # of any kind: its texts may hold anything
        raise UnusableWsdl(say("zeep_cannot", error=type(error).__name__)) from None
    return _chosen({name: one.ports for name, one in wsdl.services.items()}, service, port)


def _chosen(
    services: Mapping[str, Mapping[str, Any]], service: str | None, port: str | None
) -> SoapService:
    """Return the service at the first SOAP port of those that are named. Raises UnusableWsdl."""
    from zeep.wsdl.bindings.soap import Soap12Binding, SoapBinding

    if service is not None:
        if service not in services:
            cure = _nearest_of(service, services)
            raise UnusableWsdl(say("no_service_named", name=service, cure=cure), "service")
        services = {service: services[service]}
    ports = [(name, at, one.binding) for name, all_ in services.items() for at, one in all_.items()]
    if port is not None:
        named = [at for _, at, _ in ports]
        ports = [one for one in ports if one[1] == port]
        if not ports:
            cure = _nearest_of(port, named)
            raise UnusableWsdl(say("no_port_named", name=port, cure=cure), "port")
    for name, at, binding in ports:
        if isinstance(binding, SoapBinding):
            version = "1.2" if isinstance(binding, Soap12Binding) else "1.1"
            try:
                operations = _operations(binding.all())
            except Exception as error:  # zeep reads a type at its first use
                raise UnusableWsdl(say("zeep_cannot", error=type(error).__name__)) from None
            return SoapService(name, at, version, operations)
    if port is not None:
        raise UnusableWsdl(say("no_soap_port", name=port), "port")
    raise UnusableWsdl(say("no_soap"))


def _nearest_of(name: str, known: Iterable[str]) -> Message:
    shape = Shape(dict.fromkeys(known, NOTHING))
    near = find_nearest(name, shape)
    if near is not None:
        return say("meant", name=near)
    return say("there_is", known=tuple(sorted(shape.children)[:20]) or say("nothing"))


def _operations(operations: Mapping[str, Any]) -> dict[str, ServiceOperation]:
    found = {}
    for name, one in operations.items():
        if one.input is None:
            continue
        body = one.output.body if one.output is not None else None
        found[name] = ServiceOperation(
            name=name,
            takes=_Shapes().of(one.input.body.type) if one.input.body is not None else NOTHING,
            gives=_Shapes().of(body.type) if body is not None else NOTHING,
            headers=_Shapes().of(getattr(one.input.header, "type", None)),
            answer=_answer_element(body) if one.style == "document" else None,
            answers=body is not None,
            action=one.soapaction or "",
            zeep=one,
        )
    return found


def _answer_element(body: Any) -> AnswerElement | None:
    """Return the element that an answer's body begins with, in the style `document`."""
    if body is None:
        return None
    return AnswerElement(body.name, body.qname.namespace or "")


@dataclass(slots=True)
class _Shapes:
    """Describes messages, `left` elements at most: types may contain one another."""

    left: int = _MOST_SHAPES

    def of(self, kind: Any, depth: int = 0) -> Shape:
        """Return the shape of one of zeep's types."""
        nested = getattr(kind, "elements_nested", None)
        self.left -= 1
        if nested is None or depth > _DEEPEST or self.left < 0:
            return Shape(open=nested is not None)
        found = _Children(self, depth)
        for _, one in nested:
            found.add(one, needed=True, repeated=False)
        for name, attribute in getattr(kind, "attributes", ()):
            if isinstance(name, str):
                found.children.setdefault(name, NOTHING)
                if getattr(attribute, "required", False):
                    found.required.add(name)
        several, required = frozenset(found.several), frozenset(found.required)
        return Shape(found.children, several, required, found.open)


@dataclass(slots=True)
class _Children:
    """The children of one type, gathered from its groups and choices."""

    shapes: _Shapes
    depth: int
    children: dict[str, Shape] = field(default_factory=dict)
    several: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)
    open: bool = False

    def add(self, one: Any, *, needed: bool, repeated: bool) -> None:
        from zeep.xsd import Any as AnyElement
        from zeep.xsd import Choice, Element, Group

        repeated = repeated or one.accepts_multiple
        # A group may contain groups, each twice, or itself.
        self.shapes.left -= 1
        if isinstance(one, AnyElement) or self.shapes.left < 0:
            self.open = True
        elif isinstance(one, Element):
            self._element(one, needed, repeated)
        elif isinstance(one, Group):
            self.add(one.child, needed=needed, repeated=repeated)
        else:
            # zeep names a repeated sequence itself.
            self.open = self.open or one.accepts_multiple
            needed = needed and not isinstance(one, Choice) and not one.is_optional
            for child in one:
                self.add(child, needed=needed and not repeated, repeated=repeated)

    def _element(self, one: Any, needed: bool, repeated: bool) -> None:
        self.children[one.attr_name] = self.shapes.of(one.type, self.depth + 1)
        if repeated:
            self.several.add(one.attr_name)
        if needed and not one.is_optional and one.default is None and not one.nillable:
            self.required.add(one.attr_name)


__all__ = [
    "BESIDE",
    "MOST_BYTES",
    "MOST_DOCUMENTS",
    "ServiceOperation",
    "SoapService",
    "UnusableWsdl",
    "files_beside",
    "make_service",
    "read_documents",
]
