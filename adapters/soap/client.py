"""Calls operations as the YAML describes them: zeep builds the envelope, the gateway's client sends
it, and we judge the answer. zeep's own transport is not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx

from adapters.rest import xml
from adapters.rest.access import fixed_headers
from adapters.rest.expression import ExpressionFault, Json
from adapters.rest.files import described
from adapters.rest.reading import apply_rules
from adapters.soap.answers import SoapFault, read_answer
from adapters.soap.arguments import find_misfits
from adapters.soap.envelope import pack_envelope, secure_envelope
from adapters.soap.options import SoapCall, SoapOptions
from adapters.soap.signing import (
    SigningKey,
    UnusableKey,
    add_signature,
    digest_of,
    signed_parts,
)
from adapters.soap.texts import say
from adapters.soap.wsdl import (
    BESIDE,
    MOST_BYTES,
    Get,
    ServiceOperation,
    SoapService,
    UnusableWsdl,
    files_beside,
    make_service,
    read_documents,
)
from gateway.sdk import (
    Accepted,
    Answer,
    Context,
    File,
    FilePlaceholders,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
    UnusableAnswer,
    answered,
    beside,
    classify_error,
    classify_status,
    masked,
    same_host,
    secrets_in,
    send,
    texts_in,
    unusable,
    weight,
)

#: The time for which a fetched WSDL is used.
_KEPT: Final = timedelta(hours=24)
#: Statuses of a true fault; others come from a proxy (SOAP 1.1, 6.2; 1.2 part 2, 7.5.2).
_OF_FAULTS: Final = frozenset({200, 400, 500})
#: Statuses of an address without a service: all operations share one address.
_NO_SERVICE: Final = frozenset({404, 405, 410})
#: A weight with which `beside` works in a thread.
IN_A_THREAD: Final = 1 << 20
#: Codes of the message itself (SOAP 1.1, 4.4.1; 1.2 part 1, 5.4.6).
_MISMATCH: Final = frozenset({"VersionMismatch", "MustUnderstand", "DataEncodingUnknown"})
#: Codes of WS-Security (SOAP Message Security 1.1, 12).
_ACCESS: Final = frozenset(
    {"FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "UnsupportedSecurityToken"}
    | {"SecurityTokenUnavailable", "FailedCheck", "MessageExpired", "UnsupportedAlgorithm"}
)


@dataclass(frozen=True, slots=True)
class _KeptService:
    """A service, and the time at which its WSDL was fetched."""

    service: SoapService
    at: Any


class SoapClient:
    """All calls of one instance."""

    def __init__(self, options: SoapOptions, context: Context) -> None:
        self._options = options
        self._client = context.client
        self._now = context.now
        self._rehearsed = context.connector is None
        self._kept: _KeptService | None = None
        self._key: SigningKey | None = None
        #: The reason why the WSDL could not be used at the last reading.
        self.unusable: UnusableWsdl | None = None
        #: The names of our own account; their notes are ours.
        self.accounts = frozenset(str(one) for one in options.accounts)
        self._secrets = secrets_in(options)
        self._constants: dict[str, Json] = {
            "commune": context.commune,
            "secrets": {k: v.get_secret_value() for k, v in options.secrets.items()},
        }
        self._credentials = fixed_headers(options.auth)

    # --- the WSDL -----------------------------------------------------------------------------

    async def service(self) -> SoapService | Outcome:
        """Return the service. It stays as it was when its WSDL cannot be fetched again."""
        kept = self._kept
        if kept is not None and self._now() - kept.at < _KEPT:
            return kept.service
        read = await self._read_service()
        if isinstance(read, SoapService):
            self._kept = _KeptService(read, self._now())
        elif kept is not None:
            return kept.service
        return read

    async def _read_service(self) -> SoapService | Outcome:
        options = self._options
        start = options.wsdl or f"{options.address.partition('?')[0]}?wsdl"
        get: Get = self._document
        self.unusable = None
        if options.wsdl_file is not None:
            start, get = f"{BESIDE}{options.wsdl_file.name}", files_beside(options.wsdl_file)
        try:
            documents = await read_documents(start, get)
            if not isinstance(documents, dict):
                return documents
            of = tuple(sorted(documents.items()))
            make = partial(make_service, start, of, options.service, options.port)
            return await beside(IN_A_THREAD, make)
        except UnusableWsdl as error:
            self.unusable = error
            return Misconfigured("unusable_wsdl", error.said.what())

    async def _document(self, address: str) -> bytes | Outcome:
        if same_host(address, [self._options.address]) is None:
            raise UnusableWsdl(say("imports_elsewhere"))
        headers = {**self._options.headers, **self._credentials}
        request = partial(self._client.build_request, "GET", address, headers=headers)
        answer = await send(self._client, request, safe=True, limit=MOST_BYTES, take=_whole)
        if not isinstance(answer, Answer):
            return answer
        if answer.too_large:
            raise UnusableWsdl(say("wsdl_large", most=MOST_BYTES))
        return classify_status(answer.response, safe=True) or bytes(answer.taken or b"")

    # --- calls --------------------------------------------------------------------------------

    async def run(
        self,
        call: SoapCall,
        scope: Mapping[str, Json],
        *,
        safe: bool,
        address: str | None = None,
        expected: Sequence[int] = (),
        files: Sequence[File] = (),
    ) -> Answer | Outcome:
        """Make a call. Return the answer of a success, else the outcome.

        A `safe` call is repeated at once when the connection breaks, and is never unsure. A fault
        that the call's `absent` names becomes an answer of status 404, if that is `expected`.
        """
        service = await self.service()
        if not isinstance(service, SoapService):
            return service
        operation = service.operations.get(call.operation)
        if operation is None:
            return Misconfigured("no_operation", f"{call.operation}, of {service.name}")
        placeholders = FilePlaceholders()
        content = [placeholders.of(one, base64=not self._options.mtom) for one in files]
        seen = [
            {**described(one, n), "content": token}
            for n, (one, token) in enumerate(zip(files, content, strict=True), 1)
        ]
        inside = {**self._constants, **scope, "files": seen}
        size, held = weight(inside), dict(zip(content, files, strict=True))
        try:
            envelope = await beside(size, partial(self._envelope, call, operation, inside))
            if self._options.signature is not None:
                await self._sign(envelope, size, held)
            build = partial(self._request, envelope, operation, service.version, held)
            request = placeholders.filled(await beside(size, build))
        except UnusableKey as error:
            return Misconfigured("signing_key", error.said.what())
        except ExpressionFault as fault:
            return Refused("unrenderable", str(fault))
        except _Unknown as fault:
            return Misconfigured("unknown_argument", str(fault))
        except _Unfit as fault:
            return Refused("unfit_arguments", str(fault))
        except httpx.InvalidURL as error:
            return classify_error(error, safe=safe)
        read = partial(read_answer, operation.gives, operation.answer)
        most = self._options.max_answer
        answer = await send(self._client, request, safe=safe, limit=most, read=read)
        if not isinstance(answer, Answer):
            return answer
        absent = frozenset(getattr(call, "absent", ()))
        known = 404 in expected and answer.status in _OF_FAULTS
        if known and isinstance(answer.value, SoapFault) and absent & {*answer.value.codes}:
            return replace(answer, status=404, value=None)
        outcome = await beside(answer.size, partial(self._judge, operation, answer, safe))
        sent = {**scope, "files": [one.filename for one in files]}
        return answer if outcome is None else await self.with_answer(outcome, answer, sent)

    def _envelope(
        self, call: SoapCall, operation: ServiceOperation, scope: Mapping[str, Json]
    ) -> Any:
        arguments = _written(call.arguments.render(scope))
        header = {
            k: _written(t.render(self._constants)) for k, t in self._options.soap_header.items()
        }
        if not isinstance(arguments, dict):
            raise ExpressionFault("the arguments are not a table of names")
        for one in find_misfits(arguments, operation.takes):
            if one.word == "unknown":  # a fault of the options, for all requests alike
                raise _Unknown(one.sentence)
            raise _Unfit(one.sentence)
        try:
            envelope = operation.envelope(arguments, header)
        except Exception as error:  # any error of zeep: its texts may quote the citizen
            raise _Unfit(f"{operation.name}: {type(error).__name__}") from None
        secure_envelope(envelope, self._options.security, self._options.signature, self._now())
        return envelope

    def signing_key(self) -> SigningKey | None:
        """Return the key that signs, if one does. Raises UnusableKey."""
        options = self._options.signature
        if self._key is None and options is not None:
            self._key = SigningKey.read(options)
        return self._key

    async def _sign(self, envelope: Any, size: int, files: Mapping[str, File]) -> None:
        try:
            key = await beside(IN_A_THREAD if self._key is None else 0, self.signing_key)
        except UnusableKey:
            if not self._rehearsed:
                raise
            key = None  # where nothing is sent, no secret is read
        if key is None:
            return
        parts = await beside(size, partial(signed_parts, envelope))
        digests = {name: await digest_of(one, files) for name, one in parts.items()}
        await beside(IN_A_THREAD, partial(add_signature, envelope, key, digests))

    def _request(
        self, envelope: Any, operation: ServiceOperation, version: str, files: Mapping[str, File]
    ) -> httpx.Request:
        parts = list(files.items()) if self._options.mtom else []
        content, kind = pack_envelope(envelope, version, parts)
        sent = {"Accept": "text/xml, application/soap+xml, multipart/related", "Content-Type": kind}
        if version == "1.1":
            sent["SOAPAction"] = f'"{operation.action}"'
        elif operation.action:
            sent["Content-Type"] += f'; action="{operation.action}"'
        headers = {**sent, **self._options.headers, **self._credentials}
        return self._client.build_request(
            "POST", self._options.address, headers=headers, content=content
        )

    def _judge(self, operation: ServiceOperation, answer: Answer, safe: bool) -> Outcome | None:
        told = apply_rules(self._options.errors, answer)
        if told is not None:
            return TryLater(told.reason, told.detail) if safe and isinstance(told, Unsure) else told
        fault = answer.value
        if isinstance(fault, SoapFault) and (answer.status in _OF_FAULTS or answer.status < 300):
            return self._fault(fault, answer, safe)
        if answer.status in _NO_SERVICE:
            return Misconfigured("no_service", f"HTTP {answer.status}")
        told = classify_status(answer.response, safe=safe)
        if told is not None:
            return told
        if answer.problem is not None:
            detail = f"HTTP {answer.status}, {answer.problem.detail}"
            return unusable(UnusableAnswer(answer.problem.reason, detail), safe=safe)
        if answer.empty and operation.answers:
            return unusable(UnusableAnswer("unreadable_answer", "an empty answer"), safe=safe)
        return None

    def _fault(self, fault: SoapFault, answer: Answer, safe: bool) -> Outcome:
        """Return the outcome of a fault by its codes: by `faults` first, then by SOAP's own."""
        detail = f"HTTP {answer.status}, fault {fault.listed}"
        for rule in self._options.faults:
            if not any(_names(code, fault.codes) for code in rule.codes):
                continue
            match rule.outcome:
                case "refused":
                    return Refused(rule.reason, detail)
                case "misconfigured":
                    return Misconfigured(rule.reason, detail)
                case "later":
                    return TryLater(rule.reason, detail)
                case "unsure":
                    return (TryLater if safe else Unsure)(rule.reason, detail)
        if _ACCESS.intersection(fault.codes):
            return Misconfigured("access_denied", detail)
        if _MISMATCH.intersection(fault.codes):
            return Misconfigured("soap_mismatch", detail)
        if any(_names(code, fault.codes) for code in ("Client", "Sender")):
            return Refused("refused", detail)
        return unusable(UnusableAnswer("soap_fault", detail), safe=safe)

    async def with_answer(
        self, outcome: Outcome, answer: Answer, scope: Mapping[str, Json]
    ) -> Outcome:
        """Return the outcome with the service's answer; our own words of `scope` are masked."""

        def answered_so() -> Outcome:
            sent = [*self._secrets, *texts_in(scope)]
            fault = answer.value
            if not isinstance(fault, SoapFault):
                return answered(outcome, answer.response, answer.content, sent)
            told = answered(outcome, answer.response, fault.text.encode(), sent)
            if isinstance(told, Accepted):
                return told
            # A code may be a text in the wrong place.
            return replace(told, detail=masked(told.detail, sent))

        return await beside(weight(scope), answered_so)

    async def download(self, address: str, limit: int, *, ours: bool = False) -> Answer | Outcome:
        """Refuse: SOAP gives files within answers alone."""
        return Refused("foreign_file", "files are read in answers alone")

    def within(self, url: str) -> str | None:
        """Return None: there are no further pages."""
        return None


class _Unfit(Exception):
    """The arguments do not fit the operation. The message names them without their values."""


class _Unknown(_Unfit):
    """The operation has no such argument."""


def _names(code: str, codes: Sequence[str]) -> bool:
    """Is the code among these, whole or as a prefix (`Client` of `Client.Validation`)?"""
    return any(one == code or one.startswith(f"{code}.") for one in codes)


def _written(value: Json) -> Any:
    """Return a rendered value without nulls, and with texts that XML can write."""
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_written(one) for one in value if one is not None]
    return xml.writable_text(value)


async def _whole(pieces: Any, limit: int) -> bytes:
    return b"".join([piece async for piece in pieces])


__all__ = ["IN_A_THREAD", "SoapClient"]
